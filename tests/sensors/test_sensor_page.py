"""The page of a sensor: who has it, what it measures, and charts of its past."""

from html import unescape

import pytest
from django.test import Client
from django.urls import reverse

from sensors import quantities
from sensors.decoders import Reading
from sensors.models import Sensor
from sensors.services import Reception, store
from sensors.sharing import share_sensor
from tests.sensors.conftest import DF5, NOW, PORCH, at

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
CHARTS = "admin:sensors_sensor_charts"
NO_QUANTITY = {"data_format", "sequence", "mac", "mac_suffix", "tag_id"}


@pytest.fixture
def console(admin_user, now):
    """Signed in at the hour that the clock shows."""
    client = Client()
    client.force_login(admin_user)
    return client


def page(client, model="sensor", mac=PORCH):
    reply = client.get(reverse(f"admin:sensors_{model}_change", args=[mac]))
    assert reply.status_code == 200
    return " ".join(unescape(reply.content.decode()).split())


def lines(client, **asked):
    reply = client.get(reverse(CHARTS, args=[PORCH]), asked).json()
    return {line["name"]: line for line in reply["series"]}


def test_values_have_units_and_the_owners_offsets(console, porch):
    Sensor.objects.update(offset_temperature_c=-1.5)
    text = page(console)
    assert "<dd>25.95 °C</dd>" in text
    assert "<dd>1005.41 hPa</dd>" in text


def test_owner_and_shares_are_named(console, porch, alice, bob):
    share_sensor(user=alice, mac=PORCH, email=bob.email, at=at(NOW))
    text = page(console)
    assert "alice@example.com</a> <span" in text
    assert "owns it, claimed 2026-04-01; calls it “Porch”" in text
    assert "bob@example.com</a> <span" in text


def test_one_that_is_only_heard_has_a_page_with_charts_too(console, hear):
    hear(NOW - 60)
    text = page(console, "latest")
    assert "Nobody owns it." in text
    assert reverse(CHARTS, args=[PORCH]) in text
    assert lines(console)["Temperature"]["mid"] == [27.445]


def test_every_quantity_of_a_reading_has_a_name():
    flags = {name for name in Reading.__struct_fields__ if "bool" in Reading.__annotations__[name]}
    numbers = set(Reading.__struct_fields__) - flags - NO_QUANTITY
    assert set(quantities.QUANTITIES) == numbers


@pytest.mark.parametrize(
    ("range_", "hours"), [("day", 24), ("week", 168), ("month", 744), ("nonsense", 24)]
)
def test_a_chart_shows_the_span_that_was_asked_for(console, porch, range_, hours):
    reply = console.get(reverse(CHARTS, args=[PORCH]), {"range": range_}).json()
    assert (reply["since"], reply["until"]) == (NOW - hours * 3600, NOW)


def test_extremes_are_kept_when_there_are_more_readings_than_points(console, hear):
    hear(*range(NOW - 3 * 86400, NOW - 86400, 300))
    opened = bytearray(DF5)
    opened[8:10] = (-400).to_bytes(2, signed=True)  # -2 °C, once
    store([Reception(int(PORCH), NOW - 2 * 86400 + 61, int(PORCH), -60, bytes(opened))])
    line = lines(console, range="week")["Temperature"]
    assert len(line["t"]) <= 301
    assert min(value for value in line["low"] if value is not None) == -2
    assert max(value for value in line["high"] if value is not None) == 27.445


def test_what_was_measured_for_an_earlier_owner_is_not_drawn(console, porch, hear):
    hear(NOW - 7200)
    Sensor.objects.update(handed_over_at=NOW - 3600)
    assert lines(console)["Temperature"]["t"] == [NOW - 60]


def test_the_page_and_its_charts_cost_the_same_however_long_the_past(
    console, porch, hear, django_assert_num_queries
):
    page(console)
    with django_assert_num_queries(24, exact=False) as few:
        page(console)
        lines(console, range="week")
    hear(*range(NOW - 86400, NOW, 600))
    with django_assert_num_queries(len(few.captured_queries)):
        page(console)
        lines(console, range="week")
