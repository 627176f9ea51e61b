"""What `make bench` makes of its measurements: ratios, bars, and the tables of the docs."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from bench import publish
from bench.contestants import CONTESTANTS
from bench.limit import NO_HTTP
from bench.measure import GeneratorLimit, Result
from bench.picture import picture
from bench.report import Report

OURS, FIRST, LIMIT = (
    next(c for c in CONTESTANTS if c.name == name) for name in ("ruuvinet", "drf", "limit")
)
MACHINE = {
    "cores": 2, "cpu": "a CPU", "file_system": "ext4", "fsync_ms": 1.0, "python": "3.11",
    "postgresql": "18", "sqlite": "3.40",
}  # fmt: skip


def result(name, mode, requests_s, *, round_=1, p99_ms=50.0, **more):
    return Result(
        contestant=name, round=round_, mode=mode, requests_s=requests_s,
        readings_s=24 * requests_s, p50_ms=10, p99_ms=p99_ms, max_ms=99, errors=0,
        accepted=int(requests_s), duration_s=1, cpu_server_s=1, cpu_database_s=0, cpu_broker_s=0,
        cpu_generator_s=0, cpu_others_s=0, **more,
    )  # fmt: skip


@pytest.fixture
def report():
    """Of two rounds; the second was twice as fast for RuuviNet, three times for the database."""
    report = Report(
        MACHINE,
        GeneratorLimit(requests_s=9e4, cpu_us_per_request=9, p99_ms=1),
        {"rounds": 2, "seconds": 1},
        [OURS, FIRST, LIMIT],
    )
    for round_, (ours, limit) in enumerate([(1000, 4000), (2000, 12000)], start=1):
        for mode in ("keep-alive", "close"):
            report.results += [
                result("ruuvinet", mode, ours, round_=round_, batch_posts=13 + round_),
                result("drf", mode, 100, round_=round_, p99_ms=500.0),
            ]
        report.results.append(result("limit", NO_HTTP, limit, round_=round_, batch_posts=14))
    return report


def test_the_share_of_the_databases_own_limit_is_taken_round_by_round(report):
    kept, new = report.shares()
    assert (kept["mode"], new["mode"]) == ("keep-alive", "close")
    assert (kept["lowest"], kept["highest"]) == (pytest.approx(1 / 6), 0.25)


def test_the_databases_own_limit_is_no_peer(report):
    assert {row["peer"] for row in report.ratios()} == {"drf"}
    assert [row["peer"] for row in report.shares()] == ["limit", "limit"]


def test_p99_is_compared_as_well(report):
    assert {row["p99_ratio"] for row in report.ratios()} == {0.1}


def test_the_limit_is_measured_with_the_batches_that_ruuvinet_had(report):
    assert report.batch_of("postgresql") == 14  # the median of 14 and 15, rounded to even
    assert report.batch_of("sqlite") is None


def test_text_says_how_much_of_the_limit_is_left(report):
    assert "keep-alive: 21% (17%-25%) of what PostgreSQL alone takes" in report.text()


def test_rules_are_compared_with_the_same_without():
    ruled = OURS.with_rules(0.1)
    assert "--with-worker" in ruled.serve
    assert "--with-worker" not in OURS.serve
    report = Report(MACHINE, GeneratorLimit(1, 1, 1), {"rounds": 1, "seconds": 1}, [OURS, ruled])
    for mode in ("keep-alive", "close"):
        plain = result("ruuvinet", mode, 1000, p99_ms=50.0)
        report.results += [
            plain,
            replace(plain, contestant=ruled.name, requests_s=700, p99_ms=80.0, judged=1200),
        ]
    row = report.with_rules()[0]
    assert (row["ratio"], row["p99_ratio"], row["judged"]) == (0.7, 1.6, 1200)


# --- Files ------------------------------------------------------------------------------------
def test_bars_are_as_long_as_the_rates(report):
    root = ET.fromstring(picture([report.content()]))
    bars = [rect for rect in root.findall(".//{*}rect") if rect.get("class") != "page"]
    widths = {bar.get("class"): float(bar.get("width")) for bar in bars}
    assert widths["limit no-HTTP"] / widths["ours keep-alive"] == pytest.approx(8000 / 1500, 0.01)
    assert len(bars) == 5  # the database alone has one, the others two


def test_picture_is_for_light_and_dark(report):
    assert "prefers-color-scheme: dark" in picture([report.content()])


def test_a_run_is_kept_beside_the_latest(report, tmp_path):
    latest, kept, bars = report.write(tmp_path)
    assert latest.read_text() == kept.read_text()
    assert latest.name == "latest.json"
    assert bars.suffix == ".svg"


@pytest.fixture
def docs(tmp_path):
    (tmp_path / "pictures").mkdir()
    page = "before\n<!-- ingest -->\nold\n<!-- /ingest -->\nafter\n"
    (tmp_path / "performance.md").write_text(page)
    return tmp_path


def published(docs, *contents):
    paths = []
    for number, content in enumerate(contents):
        paths.append(docs / f"{number}.json")
        paths[-1].write_text(json.dumps(content))
    publish.main([*map(str, paths), "--docs", str(docs)])
    return (docs / "performance.md").read_text()


def test_tables_replace_what_stood_between_the_marks(report, docs):
    page = published(docs, report.content())
    assert page.startswith(
        "before\n<!-- ingest -->\nMedians of 1 run of 2 rounds of 1 s.\n\n| Posts"
    )
    assert page.endswith("<!-- /ingest -->\nafter\n")
    assert "old" not in page
    assert published(docs, report.content()) == page
    assert (docs / "pictures" / "ingest.svg").read_text().startswith("<svg")


def test_tables_tell_the_spread_of_runs(report, docs):
    first = report.content()
    for each in report.results:
        if each.contestant == "ruuvinet":
            report.results[report.results.index(each)] = replace(each, requests_s=3000)
    page = published(docs, first, report.content())
    assert "| RuuviNet, PostgreSQL | 2,250 (1,500 to 3,000) |" in page
    assert "| 22.50 (15.00 to 30.00) | 22.50 (15.00 to 30.00) | 8 or more |" in page


def test_a_page_without_marks_is_left_alone(report, docs):
    (docs / "performance.md").write_text("nothing here\n")
    with pytest.raises(SystemExit, match="no place"):
        published(docs, report.content())
    assert (docs / "performance.md").read_text() == "nothing here\n"
