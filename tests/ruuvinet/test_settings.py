"""Settings as a fresh process reads them: refused when unsafe, made up when embedded."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

ROOT = Path(__file__).parents[2]
POSTGRESQL = {"DATABASE_URL": "postgres://ruuvinet@127.0.0.1:1/ruuvinet"}
SECRETS = {"SECRET_KEY": "abcdefghij-" * 5, "ENCRYPTION_KEYS": Fernet.generate_key().decode()}
# Prints the settings that its arguments name.
SHOW = """
import json, sys
from ruuvinet import settings
print(json.dumps({name: getattr(settings, name) for name in sys.argv[1:]}, default=str))
"""


@pytest.fixture
def project(tmp_path):
    """The settings in a folder of their own, where no `.env` of a developer lies."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "ruuvinet", tmp_path / "ruuvinet", ignore=ignored)
    return tmp_path


@pytest.fixture
def start(project):
    """Read the settings in a process that has nothing but this environment."""

    def run(*names, **environment):
        return subprocess.run(
            [sys.executable, "-c", SHOW, *names],
            cwd=project,
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            umask=0,
        )

    return run


@pytest.fixture
def show(start):
    def read(*names, **environment):
        process = start(*names, **environment)
        assert process.returncode == 0, process.stderr
        return json.loads(process.stdout)

    return read


class TestWithDatabaseServer:
    @pytest.mark.parametrize("missing", SECRETS)
    def test_missing_secret_is_refused_by_name(self, missing, start, project):
        given = {name: value for name, value in SECRETS.items() if name != missing}
        process = start(**POSTGRESQL, **given)

        assert process.returncode != 0
        (line,) = process.stderr.splitlines()
        assert line.startswith("Wrong settings: ")
        assert missing in line
        assert not (project / "var").exists()

    def test_secrets_may_come_from_files(self, show, tmp_path):
        for name, value in SECRETS.items():
            (tmp_path / name).write_text(value)
        files = {f"{name}_FILE": str(tmp_path / name) for name in SECRETS}

        shown = show(*SECRETS, **POSTGRESQL, **files)
        assert shown == SECRETS | {"ENCRYPTION_KEYS": [SECRETS["ENCRYPTION_KEYS"]]}

    def test_dotenv_fills_what_the_environment_leaves(self, show, project):
        lines = [f"{name}={value}" for name, value in SECRETS.items()]
        (project / ".env").write_text("\n".join([*lines, "PORT=1"]))

        shown = show("SECRET_KEY", "PORT", **POSTGRESQL, PORT="2")
        assert shown == {"SECRET_KEY": SECRETS["SECRET_KEY"], "PORT": 2}

    def test_other_secrets_are_unset(self, show):
        names = ["INTERNAL_SECRET", "SHOP_SECRET"]

        assert show(*names, **POSTGRESQL, **SECRETS) == dict.fromkeys(names, "")

    def test_keys_of_rotation_keep_their_order(self, show):
        shown = show("ENCRYPTION_KEYS", **POSTGRESQL, **SECRETS | {"ENCRYPTION_KEYS": "new,old"})

        assert shown == {"ENCRYPTION_KEYS": ["new", "old"]}

    @pytest.mark.parametrize("networks", ["everyone", "10.0.0.1/8", "10.0.0.0/33"])
    def test_odd_proxies_are_refused(self, networks, start):
        process = start(**POSTGRESQL, **SECRETS, TRUSTED_PROXIES=networks)

        assert process.returncode != 0
        assert networks in process.stderr.splitlines()[-1]

    def test_proxies_may_be_listed_with_spaces(self, show):
        shown = show("TRUSTED_PROXIES", TRUSTED_PROXIES="10.0.0.1, 10.0.0.2")
        assert shown == {"TRUSTED_PROXIES": ["10.0.0.1/32", "10.0.0.2/32"]}

    def test_proxies_are_networks(self, show):
        proxies = "10.0.0.0/8,127.0.0.1,fd00::/8"
        shown = show("TRUSTED_PROXIES", **POSTGRESQL, **SECRETS, TRUSTED_PROXIES=proxies)

        assert shown == {"TRUSTED_PROXIES": ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"]}


class TestEmbedded:
    MADE = ("SECRET_KEY", "ENCRYPTION_KEYS", "INTERNAL_SECRET", "SHOP_SECRET")

    def test_first_start_makes_secrets_that_nobody_else_reads(self, show, project):
        shown = show(*self.MADE)

        assert all(shown.values())
        assert len({str(value) for value in shown.values()}) == len(self.MADE)
        assert (project / "var" / "secrets.env").stat().st_mode & 0o777 == 0o600
        assert [path.name for path in (project / "var").iterdir()] == ["secrets.env"]

    def test_later_starts_keep_them(self, show, project):
        first = show(*self.MADE)
        written = (project / "var" / "secrets.env").read_text()

        assert show(*self.MADE) == first
        assert (project / "var" / "secrets.env").read_text() == written

    def test_processes_that_start_at_once_agree(self, show):
        with ThreadPoolExecutor(4) as pool:
            shown = list(pool.map(lambda _: show(*self.MADE), range(4)))

        assert shown == shown[:1] * 4

    def test_data_may_lie_elsewhere(self, show, project, tmp_path):
        show("SECRET_KEY", RUUVINET_DATA=str(tmp_path / "a" / "b"))

        assert (tmp_path / "a" / "b" / "secrets.env").exists()
        assert not (project / "var").exists()

    def test_environment_comes_before_the_made_secrets(self, show):
        assert show("SECRET_KEY", SECRET_KEY="mine") == {"SECRET_KEY": "mine"}


class TestPublicUrl:
    SECURE = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS")

    def test_https_secures_cookies(self, show):
        shown = show(*self.SECURE, PUBLIC_URL="https://ruuvi.example")

        assert shown == dict(zip(self.SECURE, (True, True, 365 * 86400), strict=True))

    @pytest.mark.parametrize("url", ["", "http://ruuvi.example"])
    def test_http_leaves_cookies_usable(self, url, show):
        shown = show(*self.SECURE, PUBLIC_URL=url)

        assert shown == dict(zip(self.SECURE, (False, False, 0), strict=True))

    def test_its_host_is_allowed(self, show):
        shown = show(
            "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", PUBLIC_URL="https://ruuvi.example:8443/"
        )

        assert shown["ALLOWED_HOSTS"][0] == "ruuvi.example"
        assert "*" not in shown["ALLOWED_HOSTS"]
        assert shown["CSRF_TRUSTED_ORIGINS"] == ["https://ruuvi.example:8443"]

    @pytest.mark.parametrize("host", ["0.0.0.0", "::"])
    def test_open_home_without_a_name_takes_any(self, host, show):
        assert show("ALLOWED_HOSTS", HOST=host) == {"ALLOWED_HOSTS": ["*"]}

    @pytest.mark.parametrize("host", ["0.0.0.0", "::"])
    def test_open_server_with_a_name_does_not(self, host, show):
        shown = show("ALLOWED_HOSTS", HOST=host, PUBLIC_URL="https://ruuvi.example")

        assert "*" not in shown["ALLOWED_HOSTS"]

    def test_no_request_is_redirected(self, show):
        shown = show("APPEND_SLASH", "DEBUG", PUBLIC_URL="https://ruuvi.example")

        assert shown == {"APPEND_SLASH": False, "DEBUG": False}


@pytest.mark.parametrize("database", [POSTGRESQL, {"DATABASE_URL": ""}], ids=["server", "embedded"])
def test_deployment_check_finds_nothing(database, tmp_path):
    environment = {
        **os.environ,
        **SECRETS,
        **database,
        "PUBLIC_URL": "https://ruuvi.example",
        "RUUVINET_DATA": str(tmp_path),
    }
    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout


def test_an_empty_value_means_unset(show):
    names = ["PORT", "GATEWAY_RATE_S", "EMAIL_URL", "LOG_LEVEL", "DEBUG", "PUBLIC_URL", "HOST"]
    empty = dict.fromkeys(names, "")

    shown = ["PORT", "GATEWAY_RATE_S", "DEBUG", "PUBLIC_URL"]
    assert show(*shown, **empty) == show(*shown)


# --- Said in one line ------------------------------------------------------------------------
WRONG = {
    "PORT": "abc",
    "QUEUE_LIMIT": "many",
    "DATABASE_URL": "postgres://u:very-private@host:abc/name",
    "REDIS_URL": ":very-private@host",
    "EMAIL_URL": "sntp://u:very-private@host",
    "TRUSTED_PROXIES": "proxy.local",
    "PUBLIC_URL": "http://[bad",
    "LOG_LEVEL": "LOUD",
}


@pytest.mark.parametrize(("name", "value"), WRONG.items(), ids=WRONG)
def test_a_wrong_setting_is_one_line_that_names_it_and_holds_no_secret(name, value, start):
    process = start("PORT", **SECRETS, **{name: value})

    assert process.returncode == 1
    (line,) = process.stderr.splitlines()
    assert line.startswith("Wrong settings: ")
    assert name in line
    assert "private" not in line


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:very-private@h/n", "postgres://h"])
def test_an_odd_database_url_is_explained(url, start):
    process = start("PORT", **SECRETS, DATABASE_URL=url)

    (line,) = process.stderr.splitlines()
    assert "postgres://user:password@host/name" in line
    assert "private" not in line


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["manage.py", "check"],
        ["manage.py", "serve"],
        ["manage.py", "doctor"],
        ["-m", "celery", "-A", "ruuvinet", "beat"],
        ["-c", "import ruuvinet.asgi"],
    ],
    ids=lambda command: command[-1],
)
def test_every_command_says_so(command, tmp_path):
    process = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PORT": "abc", "RUUVINET_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert process.returncode == 1
    assert [line[:20] for line in process.stderr.splitlines()] == ["Wrong settings: PORT"]
    assert process.stdout == ""


def test_a_database_that_cannot_be_reached_is_one_line(tmp_path):
    process = subprocess.run(
        [sys.executable, "manage.py", "showmigrations"],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": "postgres://u:very-private@127.0.0.1:1/name",
            "RUUVINET_DATA": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    (line,) = process.stderr.splitlines()
    assert line.startswith("The database cannot be reached: ")
    assert "private" not in line
