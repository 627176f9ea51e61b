// Charts of the console, drawn by Chart.js, which unfold brings. An element says what it shows:
//   <div data-charts="/a/json/view" data-refresh="10">  asks again each 10 seconds
//   <button data-range="week">                          inside of it: another span of time
// The view answers {since, until, series: [{name, unit, kind, t, low, mid, high}]}; times are Unix
// seconds, shown in UTC as everywhere in the console. `low` and `high` are the smallest and largest
// values behind each of `mid`; None is a gap, and none of `low` means that all values are shown.
"use strict";

(() => {
  const DAY = 86400;
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const pad = (n) => String(n).padStart(2, "0");

  function when(seconds, span) {
    const at = new Date(seconds * 1000);
    const day = `${at.getUTCDate()} ${at.toLocaleString("en", { month: "short", timeZone: "UTC" })}`;
    if (span > 300 * DAY) return `${day} ${at.getUTCFullYear()}`;
    if (span > 3 * DAY) return day;
    const time = `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}`;
    return span > DAY ? `${day} ${time}` : time;
  }

  const exactly = (seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;

  const short = (value) => String(Math.round(value * 100) / 100);

  // Steps that people read: minutes, hours and days, not powers of ten.
  const STEPS = [60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 61 * DAY];

  function ticks(scale) {
    const { min, max } = scale;
    const wanted = Math.max(2, Math.floor(scale.width / 90));
    const step = STEPS.find((s) => (max - min) / s <= wanted) || STEPS.at(-1);
    scale.ticks = [];
    for (let t = Math.ceil(min / step) * step; t <= max; t += step) {
      scale.ticks.push({ value: t });
    }
  }

  // None is a gap, which stays one: nobody was heard, so no line may claim otherwise.
  const points = (series, values) => series.t.map((t, i) => ({ x: t, y: values[i] }));

  function datasets(series) {
    const accent = style("--accent");
    if (series.kind === "bars") {
      return [{ data: points(series, series.mid), backgroundColor: accent, type: "bar", barThickness: "flex", borderRadius: 2 }];
    }
    const line = { borderWidth: 1.5, pointRadius: 0, pointHitRadius: 8, tension: 0, spanGaps: false };
    const lines = [{ ...line, data: points(series, series.mid), borderColor: accent }];
    if (series.low) {
      const edge = { ...line, borderWidth: 0, backgroundColor: `color-mix(in srgb, ${accent} 22%, transparent)`, borderColor: accent };
      lines.push({ ...edge, data: points(series, series.low), pointHitRadius: 0 });
      lines.push({ ...edge, data: points(series, series.high), fill: "-1", pointHitRadius: 0 });
    }
    return lines;
  }

  function options(data, series) {
    const span = data.until - data.since;
    const colour = style("--quiet");
    return {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      plugins: {
        legend: { display: false },
        tooltip: {
          displayColors: false,
          filter: (item) => item.datasetIndex === 0,
          callbacks: {
            title: (items) => items.length ? exactly(items[0].parsed.x) : "",
            label: (item) => told(series, item),
          },
        },
      },
      scales: {
        x: {
          type: "linear", min: data.since, max: data.until, offset: false, afterBuildTicks: ticks,
          ticks: { color: colour, callback: (value) => when(value, span), maxRotation: 0, autoSkip: false },
          grid: { display: false },
        },
        y: {
          // What is never below zero needs no room there.
          min: lowest(series) >= 0 && lowest(series) < highest(series) / 4 ? 0 : undefined, grace: "5%",
          ticks: { color: colour, maxTicksLimit: 5, precision: series.kind === "bars" ? 0 : undefined },
          grid: { color: style("--line") }, border: { display: false },
        },
      },
    };
  }

  function told(series, item) {
    const i = series.t.indexOf(item.parsed.x);
    const value = `${short(item.parsed.y)} ${series.unit}`;
    if (!series.low || i < 0 || series.low[i] === series.high[i]) return value;
    return [value, `from ${short(series.low[i])} to ${short(series.high[i])} ${series.unit}`];
  }

  const lowest = (series) => Math.min(...(series.low || series.mid).filter((v) => v !== null));
  const highest = (series) => Math.max(...(series.high || series.mid).filter((v) => v !== null));

  function summary(series) {
    const [low, high] = [short(lowest(series)), short(highest(series))];
    return `${low === high ? low : `${low} to ${high}`} ${series.unit}`;
  }

  class Board {
    constructor(root) {
      this.root = root;
      this.grid = root.querySelector(".charts");
      this.boxes = new Map();
      this.range = root.querySelector("[aria-pressed=true]")?.dataset.range;
      root.addEventListener("click", (event) => {
        const button = event.target.closest("[data-range]");
        if (!button) return;
        this.range = button.dataset.range;
        for (const each of root.querySelectorAll("[data-range]")) {
          each.setAttribute("aria-pressed", String(each === button));
        }
        this.load();
      });
      // Light and dark are one class on <html>.
      new MutationObserver(() => this.data && this.draw()).observe(
        document.documentElement, { attributeFilter: ["class"] });
      this.load();
      if (root.dataset.refresh) {
        setInterval(() => document.hidden || this.load(), root.dataset.refresh * 1000);
      }
    }

    async load() {
      const asked = this.range;
      const url = this.root.dataset.charts + (asked ? `?range=${asked}` : "");
      let data;
      try {
        const reply = await fetch(url, { headers: { Accept: "application/json" }, redirect: "error" });
        if (!reply.ok) throw new Error(`${reply.status}`);
        data = await reply.json();
      } catch {
        this.root.dataset.state = "unreachable"; // the next round may do better
        return;
      }
      if (asked !== this.range) return; // an older answer that came late
      this.data = data;
      this.draw();
      this.root.dataset.state = "drawn";
    }

    draw() {
      const names = new Set(this.data.series.map((series) => series.name));
      for (const [name, box] of this.boxes) {
        if (names.has(name)) continue;
        box.chart.destroy();
        box.element.remove();
        this.boxes.delete(name);
      }
      this.root.querySelector(".nothing")?.toggleAttribute("hidden", names.size > 0);
      for (const series of this.data.series) this.drawOne(series);
    }

    drawOne(series) {
      const box = this.boxes.get(series.name) || this.makeBox(series);
      const text = summary(series);
      box.said.textContent = text;
      box.canvas.setAttribute("aria-label", `${series.name}: ${text}`);
      box.chart.data.datasets = datasets(series);
      box.chart.options = options(this.data, series);
      box.chart.update();
    }

    makeBox(series) {
      const element = document.createElement("div");
      element.className = "chart-box";
      element.innerHTML = '<h3><b></b><span></span></h3><div class="canvas-box"><canvas role="img"></canvas></div>';
      element.querySelector("b").textContent = series.name;
      this.grid.append(element);
      const canvas = element.querySelector("canvas");
      const box = {
        element, canvas, said: element.querySelector("span"),
        chart: new Chart(canvas, { type: "line", data: { datasets: [] }, options: options(this.data, series) }),
      };
      this.boxes.set(series.name, box);
      return box;
    }
  }

  window.addEventListener("load", () => {
    Chart.defaults.font.family = "Inter";
    document.querySelectorAll("[data-charts]").forEach((root) => new Board(root));
  });
})();
