"""What people read, in their language and units."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import User
from alerts import words
from alerts.models import AlertEvent, AlertRule
from alerts.texts import notification_for
from alerts.words import PRESSURE_UNITS, TEMPERATURE_UNITS, Preferences

AT = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)


def told(type_, trigger, value, threshold, *, after=timedelta(), phone="", **preferences):
    event = AlertEvent(
        pk=17,
        user=User(email="alice@example.com"),
        sensor="EF:54:4A:E7:1D:9E",
        sensor_name="Porch",
        type=type_,
        trigger=trigger,
        value=value,
        threshold=threshold,
        opened_at=AT,
    )
    return notification_for(event, Preferences(**preferences), language=phone, now=AT + after)


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        (("temperature", "over", 9.5, 8.0), "Temperature 9.5 °C, above the limit of 8 °C"),
        (("temperature", "under", 0.0, 2.0), "Temperature 0 °C, below the limit of 2 °C"),
        (("temperature", "under", -0.001, 0), "Temperature 0 °C, below the limit of 0 °C"),
        (
            ("pressure", "under", 98606, 99000),
            "Air pressure 986.06 hPa, below the limit of 990 hPa",
        ),
        (("aqi", "under", 12.5, 50), "Air quality 12.5, below the limit of 50"),
        (("co2", "over", 1501, 1500), "CO₂ 1501 ppm, above the limit of 1500 ppm"),
        (("battery", "under", 2.345, 2.5), "Battery voltage 2.35 V, below the limit of 2.5 V"),
        (
            ("luminosity", "over", 144284.0, 1e5),
            "Luminosity 144284 lx, above the limit of 100000 lx",
        ),
        (("movement", "different from", 4, 3), "Movement noticed"),
        (("offline", "over", 960, 900), "No data for 16 min, the limit is 15 min"),
        (("voc", "over", 1e17, 1), "VOC index 100000000000000000, above the limit of 1"),
    ],
)
def test_titles_say_what_happened(fields, title):
    assert told(*fields).title == title


@pytest.mark.parametrize("language", words.LANGUAGES)
@pytest.mark.parametrize("type_", AlertRule.Type.values)
def test_every_type_has_a_title_in_every_language(type_, language):
    trigger = "different from" if type_ == "movement" else "over"
    notification = told(type_, trigger, 2, 1, phone=language)
    assert notification.title
    assert notification.language == language


@pytest.mark.parametrize(
    ("unit", "value", "converted"),
    [
        (TEMPERATURE_UNITS["F"], 8, 46.4),
        (TEMPERATURE_UNITS["K"], 5, 278.15),
        (PRESSURE_UNITS["1"], 200, 2),
        (PRESSURE_UNITS["2"], 300, 2.25),
        (PRESSURE_UNITS["3"], 400, 0.118),
    ],
)
def test_published_unit_checks_hold(unit, value, converted):
    assert unit.convert(value) == pytest.approx(converted, abs=0.0005)


# Type, chosen units, and what a person reads of 10 in the unit of the API.
UNITS = [
    ("temperature", {}, "C", "10 °C"),
    ("temperature", {"temperature": "F"}, "F", "50 °F"),
    ("temperature", {"temperature": "K"}, "K", "283.15 K"),
    ("temperature", {"temperature": "?"}, "C", "10 °C"),
    ("dewPoint", {"temperature": "F"}, "F", "50 °F"),
    ("pressure", {"pressure": "0"}, "0", "10 Pa"),
    ("pressure", {}, "1", "0.1 hPa"),
    ("pressure", {"pressure": "2"}, "2", "0.08 mmHg"),
    ("pressure", {"pressure": "3"}, "3", "0 inHg"),
    ("humidity", {}, "%", "10 %"),
    ("humidityAbsolute", {}, "g/m³", "10 g/m³"),
    ("signal", {}, "dBm", "10 dBm"),
    ("movement", {}, "times", "10 times"),
    ("offline", {}, "min", "0.17 min"),
    ("battery", {}, "V", "10 V"),
    ("aqi", {}, "", "10"),
    ("co2", {}, "ppm", "10 ppm"),
    *((pm, {}, "µg/m³", "10 µg/m³") for pm in ("pm10", "pm25", "pm40", "pm100")),
    ("voc", {}, "", "10"),
    ("nox", {}, "", "10"),
    ("luminosity", {}, "lx", "10 lx"),
    *((s, {}, "dBA", "10 dBA") for s in ("sound", "soundInstant", "soundAverage")),
    ("soundPeak", {}, "dB", "10 dB"),
]


@pytest.mark.parametrize(("type_", "chosen", "code", "text"), UNITS)
def test_units_are_those_that_the_person_chose(type_, chosen, code, text):
    trigger = "different from" if type_ == "movement" else "over"
    notification = told(type_, trigger, 10, 1, **chosen)
    assert (notification.unit, notification.value_text) == (code, text)


def test_every_type_has_its_unit_tested():
    assert {row[0] for row in UNITS} == set(AlertRule.Type.values)


def test_the_published_mail_in_fahrenheit():
    notification = told("temperature", "over", 51.45, 50, temperature="F")
    assert notification.value_text == "124.61 °F"
    assert notification.threshold_text == "122 °F"


@pytest.mark.parametrize(
    ("phone", "person", "spoken"),
    [
        ("fi", "sv", "fi"),
        ("", "sv", "sv"),
        ("de", "sv", "sv"),
        ("", "", "en"),
        ("de", "fr", "en"),
        ("FI", "", "fi"),
        ("sv-FI", "", "sv"),
    ],
)
def test_the_phones_language_comes_first_then_the_persons_then_english(phone, person, spoken):
    assert told("co2", "over", 2, 1, phone=phone, language=person).language == spoken


def test_finnish_and_swedish_numbers_have_a_comma():
    assert told("temperature", "over", 9.5, 8, phone="fi").title == (
        "Lämpötila 9,5 °C ylittää rajan 8 °C"
    )


@pytest.mark.parametrize(
    ("language", "start"),
    [("en", "Late, from"), ("fi", "Myöhässä,"), ("sv", "Försenat,")],
)
def test_what_is_told_late_says_so_and_when_it_was(language, start, settings):
    late = timedelta(seconds=settings.ALERT_LATE_AFTER_S + 1)
    notification = told("co2", "over", 2, 1, after=late, phone=language)
    assert notification.is_late
    assert notification.title.startswith(f"{start} 2026-04-01 12:00 UTC: CO₂ 2 ppm")


def test_what_is_told_within_a_quarter_of_an_hour_is_not_late():
    assert not told("co2", "over", 2, 1, after=timedelta(minutes=15)).is_late
