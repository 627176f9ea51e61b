"""The Grafana dashboard and the rules of Prometheus ask for what `/metrics` gives."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings
from django.db import connection
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from gateways.signature import sign
from ruuvinet.lib.mac import Mac
from ruuvinet.metrics import exposition
from tests.gateways.test_durability import DF5, GATEWAYS, KEY
from tests.ruuvinet.installation import installation, manage, posting, serving
from tests.ruuvinet.program import Program, eventually
from tests.services import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "ruuvinet.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "ruuvinet.json"


@pytest.fixture
def given(db) -> set[str]:
    """The names of all metrics, as queries spell them."""
    names = set()
    for family in text_string_to_metric_families(exposition(timezone.now()).decode()):
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
        names |= {family.name + end for end in ends.get(family.type, [""])}
    return names


def targets(kind: str) -> list[str]:
    """All queries of the dashboard's panels to a kind of data source."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    key = "expr" if kind == "prometheus" else "rawSql"
    return [target[key] for panel in panels for target in panel["targets"] if key in target]


@pytest.mark.parametrize("file", [RULES, DASHBOARD], ids=lambda file: file.name)
def test_each_metric_that_is_asked_for_is_given(file, given):
    asked = set(re.findall(r"ruuvinet_\w+", file.read_text()))

    assert len(asked) > 8
    assert asked - given == set()


def test_each_metric_is_on_the_dashboard(given):
    shown = set(re.findall(r"ruuvinet_\w+", DASHBOARD.read_text()))
    families = {re.sub("_(bucket|count|sum)$", "", name) for name in given}

    assert families - {re.sub("_bucket$", "", name) for name in shown} == set()


def test_panels_have_a_number_and_a_place_of_their_own():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


@pytest.mark.django_db
def test_the_panels_sql_runs():
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [*targets("sql"), *(v["query"] for v in dashboard["templating"]["list"][2:])]
    assert len(queries) == 2
    if settings.EMBEDDED_DATABASE:  # has no views
        return
    for query in queries:
        for macro, value in {
            "$sensor": "'F4:1F:0C:28:CB:D6'",
            "$__unixEpochFrom()": "0",
            "$__unixEpochTo()": "1",
        }.items():
            query = query.replace(macro, value)
        with connection.cursor() as cursor:
            cursor.execute(query)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_understands_the_rules_and_the_dashboard(tmp_path):
    rules = [
        {"record": f"panel:{number}", "expr": expr.replace("$__rate_interval", "1m")}
        for number, expr in enumerate(targets("prometheus"))
    ]
    # YAML reads JSON.
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "p", "rules": rules}]}))
    for command in (
        ["check", "rules", RULES],
        ["test", "rules", RULES.with_suffix(".test.yml")],
        ["check", "rules", tmp_path / "panels.yml"],
        ["check", "config", "--syntax-only", DEPLOY / "prometheus" / "prometheus.yml"],
    ):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


# --- Beside a real Prometheus ----------------------------------------------------------------
@contextmanager
def prometheus(folder: Path, environment: dict[str, str]) -> Iterator[Callable[..., Any]]:
    """A Prometheus with our configuration and rules, only faster; gives what asks its API."""
    config = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    for ours, here in {
        "scrape_interval: 15s": "scrape_interval: 1s\n  evaluation_interval: 1s",
        "https": "http",
        "/etc/prometheus/ruuvinet-token": str(folder / "token"),
        "ruuvi.example.com": f"127.0.0.1:{environment['PORT']}",
        "ruuvinet.rules.yml": str(RULES),
    }.items():
        assert ours in config
        config = config.replace(ours, here)
    (folder / "prometheus.yml").write_text(config)
    (folder / "token").write_text(environment["METRICS_TOKEN"])
    port = free_port()
    argv = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/p",
            f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip

    def ask(what: str, **arguments: str) -> Any:
        url = f"http://127.0.0.1:{port}/api/v1/{what}"
        answer = requests.get(url, params=arguments, timeout=10)
        answer.raise_for_status()
        return answer.json()["data"]

    with Program(argv) as program:
        program.wait_for("Server is ready")
        yield ask


def post_one(environment: dict[str, str], gateway: int) -> int:
    """The answer to a reading of sensor 7."""
    tag = {"rssi": -70, "timestamp": int(time.time()), "data": DF5}
    data = {"gw_mac": str(Mac(gateway)), "timestamp": tag["timestamp"], "tags": {str(Mac(7)): tag}}
    body = json.dumps({"data": data}).encode()
    url = f"http://127.0.0.1:{environment['PORT']}/record"
    headers = {"Ruuvi-HMAC-SHA256": sign(body, KEY)}
    return requests.post(url, body, headers=headers, timeout=10).status_code


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")
def test_each_panel_has_something_to_show_of_a_running_installation(tmp_path):
    with (
        installation(tmp_path, METRICS_TOKEN="a-token-of-the-tests") as environment,
        serving(environment),
        posting(environment),
        prometheus(tmp_path, environment) as ask,
    ):
        rule = ["add_alert", "ann@example.com", str(Mac(7)), "temperature", "--max", "-10"]
        assert manage(environment, *rule).returncode == 0
        assert eventually(lambda: bool(ask("query", query="ruuvinet_posts_total")["result"]))
        assert post_one(environment, gateway=0) == 200  # its alert is to be told by mail
        assert post_one(environment, gateway=GATEWAYS) == 403  # nobody knows it
        empty = set(targets("prometheus"))
        if not environment["DATABASE_URL"]:
            empty = {expr for expr in empty if "ruuvinet_partition" not in expr}

        def is_all_shown() -> bool:
            for expr in sorted(empty):
                if ask("query", query=expr.replace("$__rate_interval", "1m"))["result"]:
                    empty.remove(expr)
            return not empty

        assert eventually(is_all_shown, within_s=60), empty
        rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
