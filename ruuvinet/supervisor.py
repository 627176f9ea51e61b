"""Keeps child processes running in the foreground, with one log, and leaves none behind.

Not honcho, which stops everything when one child dies and leaves orphans after kill -9; nor
supervisord, which leaves them too and wants a configuration file; nor circus, which brings ZeroMQ.

`manage.py serve` prepares everything and then becomes this program (`hand_over`), which needs
nothing but the standard library and so a sixth of the memory.
"""

import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from types import FrameType
from typing import Any, NoReturn, TextIO

NAME = "serve"  # of the supervisor itself, in the log
LONGEST_LINE = 64 * 1024  # bytes; more without an end of line is printed in pieces
PIPE_ENV = {
    "PYTHONUNBUFFERED": "1",
    "PYTHONIOENCODING": "utf-8",
}  # each line at once, as we read it
PROBE_EVERY_S = 0.2
LAST_WORDS_S = 1.0  # how long output is waited for once every child is dead
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_COLOURS = (32, 33, 36, 35, 34, 31)  # ANSI: green, yellow, cyan, magenta, blue, red
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}")
_CONTROLS[ord("\t")] = "\t"

_PR_SET_PDEATHSIG = 1
_LINUX = sys.platform.startswith("linux")
# Loaded here: between fork and exec the child should do as little as possible.
_libc = ctypes.CDLL(None) if _LINUX else None


@dataclass(frozen=True)
class Child:
    """A program to keep running; `env` is added to the supervisor's own environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HealthProbe:
    """Whether the web server answers `GET path` with 200."""

    host: str
    port: int
    path: str = "/health"

    def __call__(self) -> bool:
        # Not urllib, which with TLS and all would double the size of this process.
        request = f"GET {self.path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as connection:
                connection.sendall(request)
                return connection.makefile("rb").readline(100).split()[1:2] == [b"200"]
        except OSError:
            return False


@dataclass(frozen=True)
class WhenReady:
    """What to do, once, when `probe` first answers yes: say `text` and start `children`.

    The probe is asked from the supervisor's loop: it should answer within a second.
    """

    probe: HealthProbe
    text: str
    children: Sequence[Child] = ()


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a dead child is started again, in seconds."""

    first_s: float = 1.0
    longest_s: float = 30.0
    settled_s: float = 60.0  # a child that lived this long starts from the first delay again

    def after(self, previous_s: float | None, *, lived_s: float) -> float:
        """The next delay; `previous_s` is the one before, None if the child never died."""
        if previous_s is None or lived_s >= self.settled_s:
            return self.first_s
        return min(previous_s * 2, self.longest_s)


class Supervisor:
    """Runs `children` until SIGINT, SIGTERM or SIGHUP, and restarts those that die.

    `stop_s` is how many seconds they get to end by themselves before they are killed.
    `out` takes the log (default: standard output), whose lines are objects with `as_json`.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        when_ready: WhenReady | None = None,
        backoff: Backoff = Backoff(),
        stop_s: float = 12.0,
        out: TextIO | None = None,
        as_json: bool = False,
    ) -> None:
        later = when_ready.children if when_ready else ()
        names = [NAME, *(child.name for child in (*children, *later))]
        self._log = _Log(names, out or sys.stdout, as_json=as_json)
        self._keepers = [_Keeper(child, backoff) for child in children]
        self._backoff = backoff
        self._when_ready = when_ready
        self._stop_s = stop_s
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._hurry = False

    def run(self) -> int:
        """Serve until told to stop; returns the exit code: 0, or 130 after a second Ctrl-C.

        Must be called in the main thread, which alone gets signals, and from which the children
        must be started: the kernel takes the end of the starting thread for that of the parent.
        """
        with self._signals_wake_us():
            try:
                while not self._stopping:
                    self._start_due()
                    self._probe()
                    self._wait(self._next_due_s())
                    self._bury_dead()
            finally:
                self._stop()
        return 130 if self._hurry else 0

    # --- Running -----------------------------------------------------------------------------

    def _start_due(self) -> None:
        for keeper in self._keepers:
            if keeper.due(time.monotonic()):
                try:
                    pipe = keeper.start()
                except (OSError, subprocess.SubprocessError) as error:  # no memory, no such file
                    self._say(f"cannot start {keeper.name}: {error}; {keeper.put_off()}")
                else:
                    self._selector.register(pipe, selectors.EVENT_READ, _Lines(keeper.name, pipe))

    def _probe(self) -> None:
        ready = self._when_ready
        if ready and ready.probe():
            self._when_ready = None
            self._say(ready.text)
            self._keepers += [_Keeper(child, self._backoff) for child in ready.children]

    def _next_due_s(self) -> float | None:
        """Seconds until something is to be done unasked; None if nothing is."""
        dues = [keeper.due_at - time.monotonic() for keeper in self._keepers if not keeper.process]
        if self._when_ready:
            dues.append(PROBE_EVERY_S)
        return max(0.0, min(dues)) if dues else None

    def _bury_dead(self) -> None:
        for keeper in self._keepers:
            code = keeper.exit_code()
            if code is None:
                continue
            keeper.kill_group()  # a dead server's workers would still hold its port
            self._read_out(keeper.name)
            delay = keeper.bury()
            if not self._stopping:
                self._say(f"{keeper.name} {_ended(code)}; {delay}")

    # --- Stopping ----------------------------------------------------------------------------

    def _stop(self) -> None:
        self._say("stopping")
        for keeper in self._keepers:
            keeper.terminate()
        deadline = time.monotonic() + self._stop_s
        while self._alive() and not self._hurry and time.monotonic() < deadline:
            self._wait(deadline - time.monotonic())
            self._bury_dead()
        for keeper in self._alive():
            self._say(f"{keeper.name} does not stop: killed")
            keeper.kill_group()
            keeper.bury()
        self._hear_last_words()
        self._say("stopped")

    def _alive(self) -> list["_Keeper"]:
        return [keeper for keeper in self._keepers if keeper.process]

    def _hear_last_words(self) -> None:
        """Print what is left in the pipes. A process that fled its group may hold one open."""
        deadline = time.monotonic() + LAST_WORDS_S
        while self._pipes() and time.monotonic() < deadline:
            self._wait(deadline - time.monotonic())
        for pipe in self._pipes():
            self._log.write(pipe.name, pipe.rest())
            self._close(pipe)

    # --- Input -------------------------------------------------------------------------------

    def _wait(self, timeout_s: float | None) -> None:
        """Sleep until a child says something, a signal comes or the time is up."""
        for key, _ in self._selector.select(None if timeout_s is None else max(0.0, timeout_s)):
            if isinstance(key.data, _Lines):
                self._read(key.data)
            else:
                os.read(key.fd, 4096)  # its handler has run; the byte only woke us

    def _read(self, pipe: "_Lines") -> bool:
        """Print the next piece of output; False if there is none for now."""
        lines = pipe.read()
        if lines is None:
            return False
        self._log.write(pipe.name, lines)
        if pipe.ended:
            self._close(pipe)
        return not pipe.ended

    def _read_out(self, name: str) -> None:
        for pipe in self._pipes():
            while pipe.name == name and self._read(pipe):
                pass

    def _pipes(self) -> list["_Lines"]:
        keys = self._selector.get_map().values()
        return [key.data for key in keys if isinstance(key.data, _Lines)]

    def _close(self, pipe: "_Lines") -> None:
        self._selector.unregister(pipe.fd)
        os.close(pipe.fd)

    @contextlib.contextmanager
    def _signals_wake_us(self) -> Iterator[None]:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        self._selector.register(reader, selectors.EVENT_READ)
        # Under nohup a hang-up stays ignored.
        wanted = [
            s for s in STOP_SIGNALS if signal.getsignal(s) != signal.SIG_IGN or s != signal.SIGHUP
        ]
        old_handlers = {s: signal.signal(s, self._on_stop_signal) for s in wanted}
        old_handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        old_writer = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(old_writer)
            for number, handler in old_handlers.items():
                signal.signal(number, handler)
            self._selector.close()
            os.close(reader)
            os.close(writer)

    def _on_stop_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping and number == signal.SIGINT:
            self._hurry = True
        self._stopping = True

    def _say(self, text: str) -> None:
        self._log.write(NAME, [text])


class _Keeper:
    """One child: its process, if it runs, and when it is to be started next."""

    def __init__(self, child: Child, backoff: Backoff) -> None:
        self.name = child.name
        self.process: subprocess.Popen[bytes] | None = None
        self.due_at = 0.0  # on the monotonic clock
        self._child = child
        self._backoff = backoff
        self._delay_s: float | None = None
        self._started_at = 0.0

    def due(self, now: float) -> bool:
        return self.process is None and self.due_at <= now

    def start(self) -> int:
        """Start it and return the descriptor of its output. Raises OSError, SubprocessError."""
        self._started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603  # our own programs, no shell
            self._child.argv,
            env=os.environ | PIPE_ENV | dict(self._child.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A session of its own: Ctrl-C at the terminal reaches only us, so that the stop is
            # orderly, and the group can be killed as a whole.
            start_new_session=True,
            preexec_fn=partial(_end_with_parent, os.getpid()) if _LINUX else None,
        )
        assert self.process.stdout is not None  # noqa: S101  # asked for above
        # The descriptor outlives the process: its last words are read after its death.
        pipe = os.dup(self.process.stdout.fileno())
        self.process.stdout.close()
        os.set_blocking(pipe, False)
        return pipe

    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs or is not started."""
        return self.process.poll() if self.process else None

    def terminate(self) -> None:
        if self.process:
            self.process.terminate()  # the child alone: it stops its own children in order

    def kill_group(self) -> None:
        if self.process:
            # Nobody is left of it; macOS says so with PermissionError.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def bury(self) -> str:
        """Forget the dead process; returns when it is to be started again, in words."""
        if self.process:
            self.process.wait()
            self.process = None
        return self.put_off()

    def put_off(self) -> str:
        now = time.monotonic()
        self._delay_s = self._backoff.after(self._delay_s, lived_s=now - self._started_at)
        self.due_at = now + self._delay_s
        return f"starting it again in {self._delay_s:g} s"


class _Lines:
    """The output of one process, cut into lines."""

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd
        self.ended = False
        self._begun = b""

    def read(self) -> list[str] | None:
        """The lines that the next piece of output completes; None if there is none for now."""
        try:
            piece = os.read(self.fd, LONGEST_LINE)
        except BlockingIOError:
            return None
        self.ended = not piece
        if self.ended:
            return self.rest()
        *lines, self._begun = (self._begun + piece).split(b"\n")
        if len(self._begun) > LONGEST_LINE:
            lines.append(self._begun)
            self._begun = b""
        return [_readable(line) for line in lines]

    def rest(self) -> list[str]:
        """The last line, if it has no end."""
        rest, self._begun = self._begun, b""
        return [_readable(rest)] if rest else []


class _Log:
    """Whole lines, each with the name of who said it."""

    def __init__(self, names: Sequence[str], out: TextIO, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._out = out
        self._encoding = out.encoding or "utf-8"
        colour = out.isatty() and "NO_COLOR" not in os.environ
        self._prefixes = {
            name: _prefix(f"{name:{max(map(len, names))}} | ", number if colour else None)
            for number, name in enumerate(names)
        }

    def write(self, name: str, lines: Sequence[str]) -> None:
        shown = self._json if self._as_json else self._text
        text = "".join(f"{shown(name, line)}\n" for line in lines)
        try:
            # A terminal may never have heard of degrees Celsius.
            self._out.write(text.encode(self._encoding, "replace").decode(self._encoding))
            self._out.flush()
        except BrokenPipeError:  # nobody reads the log any more: no reason to stop serving
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())
        except OSError:  # the disk is full, the terminal has gone
            pass

    def _text(self, name: str, line: str) -> str:
        return f"{self._prefixes[name]}{line}"

    def _json(self, name: str, line: str) -> str:
        """What is none of our log's, such as the last words of a dying interpreter, becomes it."""
        return line if line.startswith("{") else json.dumps({"logger": name, "message": line})


def _prefix(text: str, colour: int | None) -> str:
    if colour is None:
        return text
    return f"\x1b[{_COLOURS[colour % len(_COLOURS)]}m{text}\x1b[0m"


def _readable(line: bytes) -> str:
    """Text that can do nothing to a terminal. Of a line that was overwritten, the last state."""
    text = line.decode(errors="replace").rstrip("\r")
    return text.rpartition("\r")[2].translate(_CONTROLS)


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):  # a real-time signal has no name
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"


def _end_with_parent(parent: int) -> None:
    """In the child, before it becomes its program: ask for SIGTERM when the supervisor dies.

    Nobody else can stop the children once the supervisor was killed with SIGKILL. SIGTERM and not
    SIGKILL, since they have children of their own to stop, and those know nothing of us.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked, so nothing will come
            os._exit(1)


# --- As a program ------------------------------------------------------------------------------


def hand_over(
    children: Sequence[Child], *, when_ready: WhenReady, as_json: bool = False
) -> NoReturn:
    """Become the supervisor of `children`: the same process, without what was imported so far.

    What is buffered or open must have been flushed and closed by the caller.
    """
    plan = {
        "children": [asdict(child) for child in children],
        "when_ready": asdict(when_ready),
        "as_json": as_json,
    }
    reader, writer = os.pipe()
    # A pipe holds 64 kB unread; the plan has some three.
    os.write(writer, json.dumps(plan).encode())
    os.dup2(reader, sys.stdin.fileno())
    os.close(writer)
    # As a file and not as `-m ruuvinet.supervisor`, which would import the package and with it
    # Celery; -P lest the folder's own modules hide others of their name.
    os.execv(sys.executable, [sys.executable, "-P", __file__])  # noqa: S606  # no shell wanted


def main() -> int:
    """Run the plan on standard input, as `hand_over` writes it."""
    plan = json.load(sys.stdin)
    ready = plan["when_ready"]
    when_ready = WhenReady(
        HealthProbe(**ready["probe"]), ready["text"], _children(ready["children"])
    )
    children = _children(plan["children"])
    return Supervisor(children, when_ready=when_ready, as_json=plan["as_json"]).run()


def _children(plans: Sequence[dict[str, Any]]) -> list[Child]:
    return [Child(**plan) for plan in plans]


if __name__ == "__main__":
    sys.exit(main())
