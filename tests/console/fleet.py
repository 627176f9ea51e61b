"""A small fleet with a past: what the console shows on an ordinary day with a few troubles."""

from datetime import datetime, timedelta

from accounts import audit
from accounts.models import AuditEntry, User
from alerts.models import AlertEvent, AlertRule, Delivery, EvaluationMark, PushToken
from alerts.services import note_listening
from gateways.credentials import make_credential
from gateways.models import Gateway, GatewayReset, GatewayStatus, IngestMinute, NetworkRule
from gateways.services import note_rejection, whitelist
from gateways.simulator.world import Kind, World, freezer_mac, gateway_identities, sensor_identities
from operations.models import Heartbeat, Notice
from operations.services import note_alive
from ruuvinet.lib.mac import Mac
from sensors.partitions import ensure_partitions
from sensors.services import Reception, claim_sensor, store
from sensors.sharing import share_sensor
from subscriptions.models import Plan
from subscriptions.services import give_plan, make_codes

SEED = 9
DAYS = 3
GATEWAYS = [(Mac.parse(each.mac), each.key) for each in gateway_identities(SEED, 6)]
KITCHEN, GARAGE, STABLE, OFFICE, ATTIC, _ = (mac for mac, _ in GATEWAYS)
WAITING, WAITING_KEY = GATEWAYS[5]
FREEZER = Mac.parse(freezer_mac(SEED))


def settle(now: datetime) -> None:
    """Make the fleet as of `now`, in a few seconds."""
    alice = User.objects.create_user(email="alice@example.com")
    User.objects.create_user(email="bob@example.com")
    _let_in(now)
    _remember(now)
    _claim(alice, now)
    _alarm(alice, now)
    _sell(alice, now)
    _live(now)


def _let_in(now: datetime) -> None:
    for (mac, key), name in zip(GATEWAYS, ("Kitchen", "Garage", "Stable", "Office"), strict=False):
        whitelist(mac=mac, secret=key, at=now - timedelta(days=40))
        Gateway.objects.filter(mac=mac).update(name=name)
    seen = Gateway.objects.filter(mac__in=[KITCHEN, GARAGE])
    seen.update(last_seen_at=now - timedelta(seconds=40), last_address="192.168.1.20")
    Gateway.objects.filter(mac=STABLE).update(
        last_seen_at=now - timedelta(hours=5), last_address="192.168.1.31"
    )
    wrong, unknown = Gateway.Rejection.SIGNATURE, Gateway.Rejection.UNKNOWN
    for minutes, address in ((55, "192.168.1.61"), (43, "192.168.1.44"), (3, "192.168.1.44")):
        at = now - timedelta(minutes=minutes)
        note_rejection(mac=OFFICE, reason=wrong, address=address, at=at)
    Notice.objects.create(
        what=Notice.What.SILENT, about=str(STABLE), since=now - timedelta(hours=5), told_at=now
    )
    for mac in (ATTIC, WAITING):
        note_rejection(mac=mac, reason=unknown, address="192.168.1.57", at=now)
    make_credential(kind="bearer", gateway=Gateway.objects.get(mac=KITCHEN), at=now)
    NetworkRule.objects.create(network="198.51.100.0/24", reason="guesses secrets")


def _remember(now: datetime) -> None:
    """History of what the first two gateways hear, and what they told of themselves."""
    now_s = int(now.timestamp())
    for week in range(2):
        ensure_partitions(now_s - week * 7 * 86400)
    world = World(SEED, started_at_s=now_s - 7000)  # when its door is left open
    for home, heard in enumerate(sensor_identities(SEED, 2, 6)):
        for number, identity in enumerate(heard):
            sensor = world.sensor(identity)
            every_s = 600 if identity.kind in (Kind.FREEZER, Kind.AIR) else 3600
            times = [*range(now_s - DAYS * 86400, now_s - 7200, every_s)]
            times += range(now_s - 7200, now_s, 120 if every_s == 600 else 600)
            store(
                Reception(
                    int(Mac.parse(identity.mac)), at, int(GATEWAYS[home][0]), -52 - 8 * number,
                    sensor.advertisement(sensor.number_at(at)),
                )
                for at in times
            )  # fmt: skip
    for hour in range(DAYS * 24):
        at = now - timedelta(hours=hour, minutes=7)
        for mac in (KITCHEN, GARAGE):
            _status(mac, at, hour)
    GatewayReset.objects.create(
        gateway_id=KITCHEN, seen_at=now - timedelta(hours=30), reason="POWER_ON", count=1,
        booted_at=now - timedelta(hours=30, minutes=4), info="POWER_ON\nPC: 0x400d",
    )  # fmt: skip


def _status(mac: Mac, at: datetime, hours_ago: int) -> None:
    uptime_h = (30 - hours_ago) % 60
    GatewayStatus.objects.create(
        gateway_id=mac, received_at=at, nonce=10_000 - hours_ago, uptime_s=uptime_h * 3600 + 420,
        esp_firmware="v1.16.0", nrf_firmware="v1.0.0", nrf_alive=True, connection="WIFI",
        connections_lost=uptime_h // 9, free_bytes=118_000 - uptime_h * 310 + hours_ago % 5 * 900,
        largest_free_block_bytes=61_000, sensors_seen=5 + hours_ago % 3, told={},
    )  # fmt: skip


def _claim(alice: User, now: datetime) -> None:
    names = ["Freezer", "Terrace", "Living room air", "Front door", "Bedroom"]
    for identity, name in zip(sensor_identities(SEED, 2, 6)[0], names, strict=False):
        claim_sensor(user=alice, mac=Mac.parse(identity.mac), name=name, at=now)
    share_sensor(user=alice, mac=FREEZER, email="bob@example.com", at=now)


def _alarm(alice: User, now: datetime) -> None:
    """The freezer warmed up an hour ago, and a mail about it did not get through."""
    rule = AlertRule.objects.create(
        user=alice, sensor_id=FREEZER, type=AlertRule.Type.TEMPERATURE, max=-10, triggered=True
    )
    EvaluationMark.objects.update_or_create(
        sensor_id=FREEZER, defaults={"evaluated_to": int(now.timestamp())}
    )
    PushToken.objects.create(user=alice, token="a" * 100, platform="ios", name="Alice's phone")
    for hours, ended in ((1, None), (26, 25), (50, 49)):
        event = AlertEvent.objects.create(
            rule=rule, user=alice, sensor=FREEZER, sensor_name="Freezer", type=rule.type,
            trigger="over", value=-9.4, threshold=-10, opened_at=now - timedelta(hours=hours),
            resolved_at=ended and now - timedelta(hours=ended),
        )  # fmt: skip
        at = event.opened_at + timedelta(seconds=2)
        told = {"event": event, "created_at": at, "next_attempt_at": at, "attempts": 1}
        Delivery.objects.create(
            **told, channel="push", address="a" * 100, status="sent", outcome="", sent_at=at
        )
        if not ended:
            Delivery.objects.create(
                **told, channel="email", address=alice.email, status="failed",
                outcome="the mail server does not know this address",
            )  # fmt: skip


def _sell(alice: User, now: datetime) -> None:
    plan = Plan.objects.create(name="Cold room")
    give_plan(user=alice, plan=plan, valid_days=365, at=now)
    make_codes(plan=plan, valid_days=365, count=3, creator_id="shop", at=now)
    audit.note(
        kind=AuditEntry.Kind.CALL, actor="shop", address="192.0.2.1",
        action="POST /subscription-register", about="3 codes", result="200", at=now,
    )  # fmt: skip


def _live(now: datetime) -> None:
    """The last hour of ingest, with a short break; and signs of life."""
    start = now.replace(second=0, microsecond=0)
    for minute in range(1, 60):
        posts = 0 if minute in (31, 32) else 2 + minute % 2
        IngestMinute.objects.create(
            minute=start - timedelta(minutes=minute), posts=posts,
            readings=posts * 6 + (minute * 7) % 5 if posts else 0, refused=minute % 20 == 0,
        )  # fmt: skip
    note_listening(now)
    for part in Heartbeat.PARTS:
        note_alive(part, now)
