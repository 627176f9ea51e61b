"""What holds for the project as a whole."""

import os
import re
import tomllib
from pathlib import Path

import pytest

from tests.services import ENVIRONMENT

ROOT = Path(__file__).parent.parent
LISTS = sorted(ROOT.glob("requirements*.txt"))


def requirements():
    lines = [line for file in LISTS for line in file.read_text().splitlines()]
    return [line for line in lines if not line.startswith(("#", "-r "))]


def own_files():
    """Every file that somebody wrote: no tool's folder, no virtual environment, no data."""
    for folder, folders, files in os.walk(ROOT):
        if Path(folder) == ROOT:
            folders[:] = [name for name in folders if name[0] != "." and name != "var"] + [".ci"]
        folders[:] = [name for name in folders if name not in {"__pycache__", "out"}]
        yield from (Path(folder, name) for name in files)


@pytest.mark.parametrize("line", requirements())
def test_requirement_is_pinned_and_says_why(line):
    assert re.fullmatch(
        r"[\w.-]+(\[[\w,-]+\])?==[\w.]+(; python_version [<>=]+ \"[\d.]+\")? +# .+", line
    )


def test_packages_come_from_the_index_that_the_machine_names():
    hosts = re.compile(rb"\bpypi\.(org|python)|pythonhosted\.org/packages|(extra-)?index-url[ =]")
    naming = [path for path in own_files() if path != Path(__file__)]
    assert [path for path in naming if hosts.search(path.read_bytes())] == []


@pytest.mark.parametrize("private", ["/.env", "/var/", "/.venv/"])
def test_private_file_stays_out_of_git(private):
    assert private in (ROOT / ".gitignore").read_text().splitlines()


def test_neither_shell_nor_dot_env_reaches_the_tests():
    read = set(
        re.findall(r'\benv(?:\.\w+)?\(\s*"(\w+)"', (ROOT / "ruuvinet/settings.py").read_text())
    )
    assert read - ENVIRONMENT.keys() == {"RUUVINET_DATA", "DATABASE_URL", "REDIS_URL"}


def test_every_room_has_its_place_in_the_order_of_imports():
    rooms = {path.parent.name for path in ROOT.glob("[!.]*/__init__.py")} - {"tests", "bench"}
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert rooms == set(config["tool"]["importlinter"]["root_packages"])


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_pages_outside_of_the_site_lead_somewhere(page):
    """`make docs` checks those of the site, and that its menu forgets no page."""
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
