"""Plays all gateways of a simulation in one event loop."""

import asyncio
import contextlib
import resource
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TextIO

from gateways.simulator.client import Answer, Endpoint, NoAnswer
from gateways.simulator.custom import Custom, NotConfigured, download
from gateways.simulator.gateway import (
    DEFAULT_PERIOD_S,
    NONCES,
    Gateway,
    Post,
    next_post_at,
)
from gateways.simulator.progress import show_progress
from gateways.simulator.radio import Link
from gateways.simulator.tally import Tally
from gateways.simulator.world import (
    GatewayIdentity,
    SensorIdentity,
    World,
    gateway_identities,
    sensor_identities,
)

OTHER_FILES = 100  # room beside the sockets: standard streams, the event loop, libraries


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to simulate. Seconds are simulated ones, except in `duration_s`."""

    url: str
    gateways: int = 3
    sensors: int = 6  # heard by each gateway, at most 100
    period_s: int = DEFAULT_PERIOD_S
    speed: float = 1  # simulated seconds in a real one
    duration_s: float | None = None  # real seconds; None: until stopped
    posts: int | None = None  # of each gateway
    seed: int = 1
    key: str | None = None
    warm_up_after_s: float = 30
    custom: Custom = field(default_factory=Custom)
    certificate: tuple[str, str] | None = None  # PEM files of a client certificate and its key
    configuration_url: str | None = None  # to download what to do from, with `custom`
    spread_s: float | None = None  # all are switched on within this span; None: one period

    def gateway_identities(self) -> list[GatewayIdentity]:
        return gateway_identities(self.seed, self.gateways, key=self.key)

    def sensor_identities(self) -> list[list[SensorIdentity]]:
        return sensor_identities(self.seed, self.gateways, self.sensors)


class Clock:
    """Simulated Unix seconds, which begin at the real ones and run `speed` times faster."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.started_at_s = time.time()
        self._loop = asyncio.get_running_loop()
        self._loop_started_s = self._loop.time()

    def now_s(self) -> float:
        return self.started_at_s + (self._loop.time() - self._loop_started_s) * self.speed

    def loop_time(self, at_s: float) -> float:
        """When the event loop's clock shows this simulated instant."""
        return self._loop_started_s + (at_s - self.started_at_s) / self.speed


def simulate(plan: Plan, stderr: TextIO) -> Tally:
    """Play `plan` to its end or to the first Ctrl-C and say what came of it.

    Raises ValueError if the plan's URL is not usable.
    """
    allow_sockets(plan.gateways)
    return asyncio.run(Simulation(plan).play(stderr))


class Simulation:
    """One run. `play` it once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._endpoint = Endpoint(plan.url, certificate=plan.certificate)
        self._tally = Tally()
        self._stop = asyncio.Event()
        self._players: list[asyncio.Task[None]] = []

    async def play(self, stderr: TextIO) -> Tally:
        clock = Clock(self._plan.speed)
        # Groups, so that a defect in one gateway ends the run at once instead of hiding.
        async with asyncio.TaskGroup() as helpers:
            reporter = helpers.create_task(show_progress(self._tally, stderr))
            timer = helpers.create_task(self._stop_after(self._plan.duration_s))
            with self._stopped_by_signals():
                async with asyncio.TaskGroup() as players:
                    for gateway, on_at_s in self._gateways(clock.started_at_s):
                        player = self._play_gateway(gateway, on_at_s, clock)
                        self._players.append(players.create_task(player))
            reporter.cancel()
            timer.cancel()
        return self._tally

    def _gateways(self, started_at_s: float) -> Iterator[tuple[Gateway, float]]:
        """Each gateway and when it is switched on; neighbours come on together.

        So the sensor which both hear arrives twice in the same moment, as in a real house.
        """
        plan = self._plan
        world = World(plan.seed, started_at_s=started_at_s, warm_up_after_s=plan.warm_up_after_s)
        spread_s = plan.period_s if plan.spread_s is None else plan.spread_s
        pairs = (plan.gateways + 1) // 2
        identities = zip(plan.gateway_identities(), plan.sensor_identities(), strict=True)
        for number, (identity, sensors) in enumerate(identities):
            on_at_s = started_at_s + spread_s * (number // 2) / pairs
            gateway = Gateway(
                identity,
                [Link(world.sensor(sensor), identity.mac) for sensor in sensors],
                # Not from the seed: a nonce used in an earlier run would look like a replay.
                nonce=secrets.randbelow(NONCES),
                period_s=plan.period_s,
                custom=plan.custom,
            )
            yield gateway, on_at_s

    async def _play_gateway(self, gateway: Gateway, on_at_s: float, clock: Clock) -> None:
        """One request at a time, each on a new connection, until told to stop."""
        post_at_s = on_at_s
        sent = 0
        endpoint = self._endpoint
        if self._plan.configuration_url:
            if await self._stopped_before(on_at_s, clock):
                return
            try:
                endpoint = await self._configure(gateway, self._plan.configuration_url)
            except (NotConfigured, ValueError) as exc:
                self._tally.add_error(f"not configured: {exc}", readings=0)
                return
        while sent != self._plan.posts and not await self._stopped_before(post_at_s, clock):
            post_at_s = await self._post_once(gateway, endpoint, clock)
            sent += 1

    async def _configure(self, gateway: Gateway, url: str) -> Endpoint:
        """Do as a downloaded configuration says. Raises NotConfigured, ValueError."""
        configured = await download(url, gateway.mac, self._plan.custom)
        gateway.custom, gateway.period_s = configured.custom, configured.period_s
        return Endpoint(configured.url, certificate=self._plan.certificate)

    async def _post_once(self, gateway: Gateway, endpoint: Endpoint, clock: Clock) -> float:
        """Post, obey the answer, and say when to post again (simulated Unix seconds)."""
        started_at_s = clock.now_s()
        post = gateway.next_post(started_at_s, wall_now_s=time.time(), speed=clock.speed)
        answer = await self._ask(endpoint, post)
        if answer is not None:
            gateway.obey(answer)
        return next_post_at(
            started_at_s=started_at_s,
            ended_at_s=clock.now_s(),
            succeeded=answer is not None and answer.is_success,
            period_s=gateway.period_s,
        )

    async def _ask(self, endpoint: Endpoint, post: Post) -> Answer | None:
        asked_at = time.perf_counter()
        try:
            answer = await endpoint.post(post.headers, post.body)
        except NoAnswer as exc:
            self._tally.add_error(str(exc), readings=post.readings)
            return None
        latency_ms = (time.perf_counter() - asked_at) * 1000
        self._tally.add_answer(answer.status, readings=post.readings, latency_ms=latency_ms)
        return answer

    async def _stopped_before(self, at_s: float, clock: Clock) -> bool:
        """Sleep until that simulated instant; True as soon as the simulation is to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(clock.loop_time(at_s)):
                await self._stop.wait()
        return self._stop.is_set()

    async def _stop_after(self, duration_s: float | None) -> None:
        if duration_s is not None:
            await asyncio.sleep(duration_s)
            self._stop.set()

    @contextlib.contextmanager
    def _stopped_by_signals(self) -> Iterator[None]:
        """The first Ctrl-C lets running requests end (15 s at most), the second drops them."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python hands signals to the main thread only
            return

        def on_signal() -> None:
            if self._stop.is_set():
                for player in self._players:
                    player.cancel()
            self._stop.set()

        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, on_signal)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def allow_sockets(count: int) -> None:
    """Raise this process's limit of open files, as far as it may, to one socket per gateway.

    A server that hangs keeps each of thousands of gateways waiting with its socket open.
    """
    wanted = count + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
