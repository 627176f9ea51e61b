"""The table of a gateway's choices names the test of each, and that test exists."""

import re

import pytest

from tests.ruuvinet.program import PROJECT

TEXT = (PROJECT / "docs" / "gateways.md").read_text()
TABLE = TEXT.partition("## Each choice of the gateway's pages")[2].partition("\n## ")[0]
ROWS = [line for line in TABLE.splitlines() if line.startswith("| ")][1:]


def test_the_table_has_rows():
    assert len(ROWS) > 20


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_each_choice_has_its_test(row):
    file, name = re.search(r"`(test_\w+\.py)::(\w+)`", row).groups()
    source = (PROJECT / "tests" / "gateways" / file).read_text()

    assert re.search(rf"^(class|def) {name}\b", source, re.MULTILINE)
