"""The Grafana dashboard and the rules of Prometheus ask for what `/metrics` gives."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from ruuvinet.metrics import exposition

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
