"""`manage.py simulate`: plays Ruuvi Gateways against a server."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from gateways.simulator.custom import AUTH_MODES, BODY_FORMATS, Custom
from gateways.simulator.gateway import DEFAULT_PERIOD_S, MAX_KEY_LENGTH, MAX_PERIOD_S
from gateways.simulator.run import Plan, simulate
from gateways.simulator.whitelist import WhitelistRefused, whitelist
from gateways.simulator.world import MAX_SENSORS

LOCAL_SERVER = "http://127.0.0.1:8000"

Number = TypeVar("Number", int, float)


class Command(BaseCommand):
    help = (
        "Play Ruuvi Gateways and their sensors against a server, as the real firmware does. "
        "Ends with a summary; exit code 1 if any post was refused or not answered. "
        "For a private certificate authority set SSL_CERT_FILE."
    )
    requires_system_checks = ()  # it only speaks HTTP: no database, no URLs of this project

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--url", default=_default_url(), help="where to post (default: %(default)s)")
        add("--gateways", type=number(int, 1, 100_000), default=3, metavar="N")
        add(
            "--sensors",
            type=number(int, 0, MAX_SENSORS),
            default=6,
            metavar="M",
            help="heard by each gateway",
        )
        add(
            "--period",
            type=number(int, 1, MAX_PERIOD_S),
            default=DEFAULT_PERIOD_S,
            metavar="S",
            help="seconds between posts until the server sets another (default: %(default)s)",
        )
        add(
            "--speed",
            type=number(float, 0.01, 10_000),
            default=1,
            metavar="K",
            help="schedule and physical world run K times faster; timestamps stay real",
        )
        add(
            "--duration",
            type=number(float, 0, 1e9),
            metavar="S",
            help="real seconds (default: until Ctrl-C)",
        )
        add("--posts", type=number(int, 1, 10**9), metavar="N", help="posts of each gateway")
        add("--seed", type=int, default=1, help="same seed, same gateways, sensors and weather")
        add("--key", type=hmac_key, help="HMAC key of all gateways (default: a device id each)")
        add(
            "--spread",
            type=number(float, 0, MAX_PERIOD_S),
            metavar="S",
            help="switch the gateways on within S simulated seconds (default: one period)",
        )
        add(
            "--warm-up-after",
            type=number(float, 0, 1e9),
            default=30,
            metavar="S",
            help="simulated seconds until the freezer is left open (default: %(default)s)",
        )
        add("--auth", choices=AUTH_MODES, default="none", help="beside the signature")
        add("--secret", default="", help="token, key, or user:password for --auth")
        add("--header", default="", metavar="NAME:VALUE", help="an extra header")
        add("--format", choices=BODY_FORMATS, default="ruuvi", help="of the body")
        add("--certificate", nargs=2, metavar=("CRT", "KEY"), help="client certificate (PEM)")
        add(
            "--configuration",
            metavar="URL",
            help="first download the remote configuration, with --auth, and do as it says",
        )
        add(
            "--whitelist",
            action="store_true",
            help="first make the gateways known to the server, with INTERNAL_SECRET",
        )
        add("--list", action="store_true", help="print gateways, keys and sensors, and exit")

    def handle(self, *_args: object, **options: Any) -> None:
        plan = Plan(
            url=options["url"],
            gateways=options["gateways"],
            sensors=options["sensors"],
            period_s=options["period"],
            speed=options["speed"],
            duration_s=options["duration"],
            posts=options["posts"],
            seed=options["seed"],
            key=options["key"],
            spread_s=options["spread"],
            warm_up_after_s=options["warm_up_after"],
            custom=Custom(
                auth=options["auth"],
                secret=options["secret"],
                body_format=options["format"],
                header=options["header"],
            ),
            certificate=tuple(options["certificate"]) if options["certificate"] else None,
            configuration_url=options["configuration"],
        )
        if options["list"]:
            self._list(plan)
            return
        try:
            if options["whitelist"]:
                self._whitelist(plan)
            tally = simulate(plan, sys.stderr)
        except ValueError as exc:
            raise CommandError(str(exc)) from exc
        self.stdout.write(tally.summary())
        if tally.verdict:
            raise CommandError(tally.verdict)

    def _list(self, plan: Plan) -> None:
        for gateway, sensors in zip(
            plan.gateway_identities(), plan.sensor_identities(), strict=True
        ):
            self.stdout.write(f"gateway {gateway.mac} {gateway.key}")
            for sensor in sensors:
                self.stdout.write(f"  sensor {sensor.mac} {sensor.kind}")

    def _whitelist(self, plan: Plan) -> None:
        secret = getattr(settings, "INTERNAL_SECRET", "").split(",")[0].strip()
        if not secret:
            raise CommandError("--whitelist needs INTERNAL_SECRET in the settings")
        try:
            asyncio.run(whitelist(plan.url, plan.gateway_identities(), secret))
        except WhitelistRefused as exc:
            raise CommandError(str(exc)) from exc


def number(kind: type[Number], low: Number, high: Number) -> Callable[[str], Number]:
    """An argparse type: a number of that kind within bounds."""

    def parse(text: str) -> Number:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"not from {low} to {high}: {text}")
        return value

    parse.__name__ = kind.__name__  # argparse names it when the text is no number at all
    return parse


def hmac_key(text: str) -> str:
    """An argparse type: a key of 1 to 63 characters, as the firmware takes them."""
    if not 1 <= len(text) <= MAX_KEY_LENGTH:
        raise argparse.ArgumentTypeError(f"not 1 to {MAX_KEY_LENGTH} characters")
    return text


def _default_url() -> str:
    base = getattr(settings, "PUBLIC_URL", "") or LOCAL_SERVER
    return f"{base.rstrip('/')}/record"
