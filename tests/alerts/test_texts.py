import pytest

from alerts.models import AlertEvent, AlertRule
from alerts.texts import title_for


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        (("temperature", "over", 9.5, 8.0), "Temperature 9.5 °C, above the limit of 8 °C"),
        (("temperature", "under", 0.0, 2.0), "Temperature 0 °C, below the limit of 2 °C"),
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
    ],
)
def test_titles_say_what_happened(fields, title):
    type_, trigger, value, threshold = fields
    event = AlertEvent(type=type_, trigger=trigger, value=value, threshold=threshold)
    assert title_for(event) == title


@pytest.mark.parametrize("type_", AlertRule.Type.values)
def test_every_type_has_a_title(type_):
    trigger = "different from" if type_ == "movement" else "over"
    assert title_for(AlertEvent(type=type_, trigger=trigger, value=2, threshold=1))
