"""The supervisor with little programs in the place of servers."""

import json
import os
import signal
import subprocess
import sys

import pytest

from ruuvinet.supervisor import Backoff, HealthProbe
from tests.ruuvinet.program import PROJECT, Program, eventually, running

HEADER = """
import sys
from ruuvinet.supervisor import Backoff, Child, HealthProbe, Supervisor, WhenReady

def python(name, code, **env):
    return Child(name, [sys.executable, "-c", code], env)

SLEEP = "import time; time.sleep(600)"
QUICK = Backoff(first_s=0.05, longest_s=0.2, settled_s=60)
"""
SAYS_HELLO = "import time; print('hello'); time.sleep(600)"
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf")
time.sleep(600)
"""
HAS_A_CHILD = """
import os, subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("grandchild", grandchild.pid)
os.kill(os.getpid(), 9)
"""
GUARDS_A_CHILD = """
import signal, subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
def stop(*_):
    grandchild.kill()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("grandchild", grandchild.pid)
time.sleep(600)
"""
HEALTH = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    statuses = [503, 503]
    def do_GET(self):
        status = self.statuses.pop() if self.statuses else 200
        print(self.path, status)
        self.send_response(status)
        self.end_headers()
    def log_message(self, *_):
        pass
server = HTTPServer(("127.0.0.1", 0), Handler)
print("port", server.server_port)
server.serve_forever()
"""


def supervise(script: str, **variables: str) -> Program:
    """A program that runs a supervisor as `script`, which may use `variables`, says."""
    values = "\n".join(f"{name} = {value!r}" for name, value in variables.items())
    return Program([sys.executable, "-c", f"{HEADER}\n{values}\n{script}"])


def supervise_one(code: str, options: str = "") -> Program:
    script = f'sys.exit(Supervisor([python("one", CODE)], backoff=QUICK, {options}).run())'
    return supervise(script, CODE=code)


# --- The log ---------------------------------------------------------------------------------


def test_lines_are_whole_and_say_whose_they_are():
    script = 'Supervisor([python("web", ONE), python("worker", TWO)]).run()'
    ticks = "import time; print('in ', end=''); time.sleep(.3); print('{}'); time.sleep(600)"
    with supervise(script, ONE=ticks.format("web"), TWO=ticks.format("worker")) as program:
        program.wait_for("in w", times=2)
        program.end(signal.SIGTERM)
        assert {"web    | in web", "worker | in worker"} <= set(program.lines)
        assert "serve  | stopped" in program.lines


def test_as_json_each_line_is_an_object_whoever_says_it():
    says = """
import sys, time
print('{"message": "mine"}'); print("last words", file=sys.stderr); time.sleep(600)
"""
    with supervise_one(says, "as_json=True") as program:
        program.wait_for("last words")
        program.end(signal.SIGTERM)
        told = [json.loads(line) for line in program.lines]
        assert {"message": "mine"} in told
        assert {"logger": "one", "message": "last words"} in told
        assert {"logger": "serve", "message": "stopped"} in told


def test_standard_error_is_in_the_log():
    with supervise_one("import sys; print('oh', file=sys.stderr)") as program:
        program.wait_for("one   [|] oh$")


def test_the_last_line_of_a_dead_child_is_kept_although_it_has_no_end():
    with supervise_one(
        "import os; os.write(1, b'x' * 30_000 + b'\\nlast words'); os._exit(3)"
    ) as one:
        one.wait_for("one   [|] x{30000}$")
        one.wait_for("one   [|] last words$")
        one.wait_for("one ended with exit code 3")


def test_the_last_words_at_the_stop_are_kept():
    goodbye = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("goodbye", end=""), sys.exit()))
print("hello")
time.sleep(600)
"""
    with supervise_one(goodbye) as program:
        program.wait_for("hello")
        assert program.end(signal.SIGTERM) == 0
        assert program.find("one   [|] goodbye$")


def test_bytes_that_are_no_text_and_control_characters_are_replaced():
    with supervise_one(r"import os; os.write(1, b'a\xff\x1b[2Jb\x00\n')") as program:
        program.wait_for("one   [|] a\ufffd\ufffd\\[2Jb\ufffd$")


def test_of_a_line_that_was_overwritten_the_last_state_is_printed():
    with supervise_one(r"import os; os.write(1, b'10 %\r20 %\r\n')") as program:
        program.wait_for("one   [|] 20 %$")


def test_output_without_an_end_of_line_is_printed_in_pieces():
    endless = "import os, time; [os.write(1, b'y' * 10_000) for _ in range(20)]; time.sleep(600)"
    with supervise_one(endless) as program:
        program.wait_for("one   [|] y{60000}")


def test_letters_that_the_terminal_lacks_are_replaced():
    script = 'Supervisor([python("one", "print(chr(176))")], backoff=QUICK).run()'
    with Program(
        [sys.executable, "-c", HEADER + script], env=os.environ | {"PYTHONIOENCODING": "ascii"}
    ) as program:
        program.wait_for("one   [|] [?]$")


def test_nobody_reading_the_log_is_no_reason_to_stop():
    code = "import itertools, time\nfor n in itertools.count(): print(n); time.sleep(.01)"
    argv = [
        sys.executable,
        "-c",
        f"{HEADER}\nsys.exit(Supervisor([python('one', {code!r})]).run())",
    ]
    with subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while "100" not in process.stdout.readline():
            pass
        process.stdout.close()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.terminate()
        assert process.wait(30) == 0


# --- Restarts --------------------------------------------------------------------------------


def test_a_dead_child_is_started_again_after_growing_delays():
    with supervise_one("import sys; print('up'); sys.exit(7)") as program:
        said = program.wait_for(
            r"one ended with exit code 7; starting it again in (\S+) s", times=5
        )
        assert [match[1] for match in said] == ["0.05", "0.1", "0.2", "0.2", "0.2"]
        program.wait_for("one   [|] up", times=5)


def test_the_delay_starts_afresh_when_the_child_had_settled():
    backoff = Backoff(first_s=1, longest_s=30, settled_s=60)
    assert backoff.after(None, lived_s=0) == 1
    assert backoff.after(16, lived_s=59) == 30
    assert backoff.after(16, lived_s=60) == 1


def test_the_others_live_on_when_a_child_is_killed():
    script = 'Supervisor([python("one", SAY), python("two", SAY)], backoff=QUICK).run()'
    with supervise(
        script, SAY="import os, time; print('pid', os.getpid()); time.sleep(600)"
    ) as both:
        first = {
            match[1]: int(match[2]) for match in both.wait_for(r"(\w+) +[|] pid (\d+)", times=2)
        }
        os.kill(first["one"], signal.SIGKILL)
        both.wait_for("one was killed by SIGKILL; starting it again")
        again = both.wait_for(r"(\w+) +[|] pid (\d+)", times=3)[2]
        assert again[1] == "one"
        assert int(again[2]) != first["one"]
        assert running(first["two"])


def test_what_a_dead_child_leaves_behind_is_killed():
    with supervise_one(HAS_A_CHILD) as program:
        grandchild = int(program.wait_for(r"grandchild (\d+)")[0][1])
        program.wait_for("one was killed by SIGKILL")
        assert eventually(lambda: not running(grandchild))


def test_a_program_that_is_missing_does_not_stop_the_others():
    script = 'Supervisor([Child("one", ["/no/such"]), python("two", SAY)], backoff=QUICK).run()'
    with supervise(script, SAY=SAYS_HELLO) as program:
        program.wait_for("cannot start one: .*No such file.*; starting it again in 0.1 s")
        program.wait_for("two   [|] hello")
        assert program.end(signal.SIGTERM) == 0


# --- The end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_in_order(number):
    with supervise_one(GUARDS_A_CHILD) as program:
        grandchild = int(program.wait_for(r"grandchild (\d+)")[0][1])
        children = program.tree()[1:]
        assert len(children) == 2
        assert program.end(number) == 0
        assert not running(grandchild)
        assert not any(running(child.pid) for child in children)
        assert program.lines[-2:] == ["serve | stopping", "serve | stopped"]


def test_a_ctrl_c_at_the_terminal_reaches_the_supervisor_alone():
    with supervise_one(SAYS_HELLO) as program:
        program.wait_for("hello")
        os.killpg(program.pid, signal.SIGINT)  # what a terminal does
        assert program.end() == 0
        assert not program.find("KeyboardInterrupt")


def test_a_child_that_ignores_the_request_to_stop_is_killed():
    with supervise_one(STUBBORN, "stop_s=0.3") as program:
        program.wait_for("deaf")
        child = program.tree()[1]
        assert program.end(signal.SIGTERM) == 0
        assert not running(child.pid)
        assert program.find("one does not stop: killed")


def test_a_second_ctrl_c_kills_at_once():
    with supervise_one(STUBBORN, "stop_s=600") as program:
        program.wait_for("deaf")
        child = program.tree()[1]
        program.send(signal.SIGINT)
        program.wait_for("stopping")
        assert program.end(signal.SIGINT) == 130
        assert not running(child.pid)


def test_a_child_that_waits_for_its_restart_does_not_hold_up_the_stop():
    with supervise_one("raise SystemExit(1)", "") as program:
        program.wait_for("again in 0.2 s")
        assert program.end(signal.SIGTERM) == 0


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux tells of the parent's end"
)
def test_a_killed_supervisor_leaves_no_orphan():
    with supervise_one(GUARDS_A_CHILD) as program:
        program.wait_for("grandchild")
        family = program.tree()
        assert program.end(signal.SIGKILL) == -signal.SIGKILL
        assert eventually(lambda: not any(running(member.pid) for member in family))


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux tells of the parent's end"
)
def test_a_child_whose_parent_died_before_it_asked_ends_itself():
    code = "import ruuvinet.supervisor as s; s._end_with_parent(2**31 - 1); print('went on')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, b"")


# --- Ready -----------------------------------------------------------------------------------


def test_the_later_children_start_when_the_server_answers_200():
    with Program([sys.executable, "-u", "-c", HEALTH]) as server:
        port = server.wait_for(r"port (\d+)")[0][1]
        script = f"""
ready = WhenReady(HealthProbe("127.0.0.1", {port}), "ready: all", [python("later", SAY)])
Supervisor([python("one", SAY)], when_ready=ready).run()
"""
        with supervise(script, SAY=SAYS_HELLO) as program:
            program.wait_for("later [|] hello")
            assert program.end(signal.SIGTERM) == 0
            assert program.lines.count("serve | ready: all") == 1
            assert program.lines.index("one   | hello") < program.lines.index("serve | ready: all")
        assert server.lines[1:] == ["/health 503", "/health 503", "/health 200"]


def test_nobody_listening_is_not_ready():
    assert not HealthProbe("127.0.0.1", 1)()
