"""`manage.py serve` and `demo`, as people start them."""

import os
import re
import signal
import stat
import sys

import psutil
import pytest
import requests

from tests.ruuvinet.program import Program, eventually, running
from tests.services import free_port

pytestmark = pytest.mark.slow

SECRETS = ("SECRET_KEY", "ENCRYPTION_KEYS", "INTERNAL_SECRET", "SHOP_SECRET")
READY = r"^serve +[|] ready: (\S+)$"


@pytest.fixture
def environment(tmp_path):
    """That of a first start on a new machine, with a free port."""
    ours = {name: value for name, value in os.environ.items() if name not in SECRETS}
    port = str(free_port())
    data = str(tmp_path / "data")
    return ours | {"RUUVINET_DATA": data, "DATABASE_URL": "", "REDIS_URL": "", "PORT": port}


@pytest.fixture
def serve(environment):
    return lambda: manage("serve", environment)


def manage(command, environment):
    return Program([sys.executable, "manage.py", command], env=environment)


def url(environment, path):
    return f"http://127.0.0.1:{environment['PORT']}{path}"


def listening(environment):
    try:
        requests.get(url(environment, "/health"), timeout=10)
    except requests.ConnectionError:
        return False
    return True


def program_of(server, *words):
    """The topmost process of the tree whose command has all `words`."""
    return next(p for p in server.tree() if all(word in p.cmdline() for word in words))


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_start_serves_and_tells_the_password_and_no_secret(serve, environment, tmp_path):
    with serve() as server:
        assert server.wait_for(READY)[0][1] == url(environment, "")
        assert requests.get(url(environment, "/health"), timeout=10).status_code == 200

        user = server.find(r"^  user +(\S+)$")[0][1]
        password = server.find(r"^  password +(\S+)")[0][1]
        secrets = server.find(r"^  secrets +(.+)$")[0][1]
        assert server.find(r"^  console +(\S+)$")[0][1] == url(environment, "/admin/")
        assert server.find(r"^  gateways +(\S+)$")[0][1] == url(environment, "/record")
        assert secrets == str(tmp_path / "data" / "secrets.env")
        assert mode(tmp_path / "data" / "secrets.env") == 0o600
        assert mode(tmp_path / "data") == mode(tmp_path / "data" / "broker") == 0o700
        values = re.findall(r"=(.+)", (tmp_path / "data" / "secrets.env").read_text())
        assert len(values) == len(SECRETS)
        assert not any(value in server.output for value in values)

        with requests.Session() as browser:
            page = browser.get(url(environment, "/admin/login/"), timeout=10)
            assert page.status_code == 200
            form = {
                "username": user,
                "password": password,
                "csrfmiddlewaretoken": browser.cookies["csrftoken"],
            }
            signed_in = browser.post(
                url(environment, "/admin/login/?next=/admin/"), form, timeout=10
            )
            assert signed_in.url == url(environment, "/admin/")
            assert signed_in.status_code == 200


def test_a_later_start_tells_the_addresses_only(serve):
    with serve() as server:
        server.wait_for(READY)
        assert server.end(signal.SIGTERM) == 0
    with serve() as server:
        server.wait_for(READY)
        assert server.find("^  console")
        assert not server.find("password")


def test_a_port_in_use_is_said_in_one_line(serve, environment):
    with serve() as server:
        server.wait_for(READY)
        with serve() as second:
            assert second.end() == 1
            assert second.lines == [
                f"CommandError: Port {environment['PORT']} is in use. "
                f"Choose another, for example: PORT={int(environment['PORT']) + 1} make run"
            ]


@pytest.mark.parametrize(
    ("name", "words", "back"),
    [
        ("web", ["granian"], READY),
        ("worker", ["celery", "worker"], r"celery@\S+ ready"),
    ],
)
def test_a_killed_program_comes_back(serve, environment, name, words, back):
    with serve() as server:
        server.wait_for(READY)
        server.wait_for(r"celery@\S+ ready")
        program_of(server, *words).kill()
        server.wait_for(f"{name} was killed by SIGKILL; starting it again in 1 s")
        if name == "worker":
            server.wait_for(back, times=2)
        assert eventually(lambda: listening(environment))
        assert program_of(server, *words).is_running()


def test_a_killed_web_process_comes_back(serve, environment):
    with serve() as server:
        server.wait_for(READY)
        process = program_of(server, "granian").children()[-1]
        process.kill()
        assert eventually(lambda: not running(process.pid))
        assert eventually(lambda: listening(environment))


def test_ctrl_c_stops_everything(serve, environment):
    with serve() as server:
        server.wait_for(READY)
        family = server.tree()
        assert len(family) >= 4
        assert server.end(signal.SIGINT) == 0
        assert not any(running(member.pid) for member in family)
        assert not listening(environment)
        assert not server.find("Traceback|killed")


def test_a_killed_supervisor_leaves_no_orphan(serve, environment):
    with serve() as server:
        server.wait_for(READY)
        family = server.tree()
        server.end(signal.SIGKILL)
        assert eventually(lambda: not any(running(member.pid) for member in family))
        assert not listening(environment)


def test_the_demo_prints_the_push_of_an_alert(environment, tmp_path):
    environment |= {
        "FCM_BASE_URL": f"http://127.0.0.1:{free_port()}",
        "FCM_SERVICE_ACCOUNT_FILE": str(tmp_path / "fcm.json"),
    }
    with manage("demo", environment) as demo:
        demo.wait_for(READY)
        demo.wait_for(r"^sim +[|] \d+ posts, .* 0 refused or unanswered")
        for platform in ("Android", "iOS"):
            demo.wait_for(rf"^fcm +[|] .*{platform}: Temperature -\d.* above the limit of -10 °C")
        family = demo.tree()
        assert demo.end(signal.SIGINT) == 0
        assert not any(running(member.pid) for member in family)


def test_the_demo_refuses_to_run_beside_real_data(environment):
    with manage("demo", environment) as demo:
        assert demo.end() == 1
        assert demo.lines[0].startswith("CommandError: The demo wants throw-away data")


def test_the_memory_of_an_idle_system_is_that_of_a_small_machine(serve):
    with serve() as server:
        server.wait_for(READY)
        server.wait_for(r"celery@\S+ ready")
        sizes = [process.memory_full_info().pss for process in server.tree()]
        assert sum(sizes) < 300 * 2**20
        supervisor = psutil.Process(server.pid)
        assert supervisor.memory_info().rss < 30 * 2**20
