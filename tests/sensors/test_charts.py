"""Charts of a sensor's history: few points, and no extreme lost between them."""

import random
from struct import pack

import msgspec
import pytest

from ruuvinet.lib.mac import Mac
from sensors.charts import DENSE_SPAN_S, GAP_S, Series, series
from sensors.decoders import decode_advertisement
from sensors.models import Measurement, Sensor
from sensors.partitions import WEEK_S, ensure_partitions
from tests.sensors.conftest import AIR, DF5, NOW, PORCH

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
HOUR, DAY = 3600, 86400
DF3 = bytes.fromhex("02010611FF9904" + "03291A1ECE1EFC18F94202CA0B53")


def warm(temperature_c):
    """An advertisement of format 5; None for one whose sensor does not know its temperature."""
    code = -0x8000 if temperature_c is None else round(temperature_c * 200)
    return DF5[:8] + pack(">h", code) + DF5[10:]


@pytest.fixture
def porch():
    """A sensor that nobody claimed."""
    return Sensor.objects.create(mac=PORCH)


def drawn(sensor, *, last=DAY, buckets=100):
    return series(sensor, since=NOW - last, until=NOW, buckets=buckets)


def test_few_readings_stand_for_themselves(porch, hear_all):
    hear_all({NOW - 120: warm(20.5), NOW - 60: warm(None), NOW: warm(-3.005)})
    found = drawn(porch, buckets=3)
    assert (found.bucket_s, found.times) == (0, [NOW - 120, NOW - 60, NOW])
    line = found.lines["temperature_c"]
    assert line.minimum == line.mean == line.maximum == [20.5, None, -3.005]


def test_every_quantity_has_its_line_by_the_name_that_decoders_give(porch, hear_all):
    hear_all({NOW: AIR})
    reading = decode_advertisement(AIR)
    known = {name: getattr(reading, name) for name in reading.__struct_fields__}
    expected = {
        name: value
        for name, value in known.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
        if name not in ("data_format", "sequence")
    }
    assert {name: line.mean[0] for name, line in drawn(porch).lines.items()} == expected
    assert len(expected) == 14


@pytest.mark.parametrize("count", [101, 1000, 1439])
def test_buckets_keep_every_minimum_and_maximum(porch, hear_all, count):
    shake = random.Random(count)
    heard = {
        NOW - minute * 60: shake.choice([None, *[shake.uniform(-40, 80)] * 9])
        for minute in range(count)
    }
    hear_all({time: warm(value) for time, value in heard.items()})
    found = drawn(porch)
    assert 2 < len(found.times) <= 101
    for start, low, mean, high in zip(
        found.times,
        *[getattr(found.lines["temperature_c"], n) for n in ("minimum", "mean", "maximum")],
        strict=True,
    ):
        inside = [
            round(value * 200) / 200
            for time, value in heard.items()
            if start <= time < start + found.bucket_s and value is not None
        ]
        assert (low, high) == ((min(inside), max(inside)) if inside else (None, None))
        assert mean == (pytest.approx(sum(inside) / len(inside), abs=1e-4) if inside else None)


def test_a_spike_of_a_minute_is_seen_on_the_chart_of_three_months(porch, hear_all):
    for back in range(0, DENSE_SPAN_S, WEEK_S):
        ensure_partitions(NOW - back)
    spike = NOW - DENSE_SPAN_S // 2
    heard = {time: warm(4) for time in range(NOW - DENSE_SPAN_S, NOW, 6 * HOUR)}
    hear_all(
        heard | {t: warm(4) for t in range(spike - HOUR, spike + HOUR, 60)} | {spike: warm(31)}
    )
    line = drawn(porch, last=DENSE_SPAN_S).lines["temperature_c"]
    assert max(v for v in line.maximum if v is not None) == 31
    assert min(v for v in line.minimum if v is not None) == 4


def test_a_year_is_drawn_from_sparse_history(porch, hear_all):
    hear_all({NOW - 60 * minute: warm(minute) for minute in range(60)})
    found = drawn(porch, last=365 * DAY)
    assert len(found.times) in (4, 5)


def test_sparse_history_goes_on_where_dense_was_dropped(porch, hear_all):
    hear_all({NOW - 60 * minute: warm(20) for minute in range(120)})
    Measurement.objects.filter(slot__lt=NOW - HOUR).delete()
    times = drawn(porch).times
    assert len([t for t in times if t <= NOW - HOUR]) in (4, 5)
    assert len([t for t in times if t > NOW - HOUR]) == 60


def test_offsets_of_the_owner_are_applied_to_what_they_are_for(porch, hear_all):
    porch.offset_temperature_c, porch.offset_humidity_pct, porch.offset_pressure_pa = 1.1, -2, 30
    hear_all({NOW: DF5})
    plain, lines = drawn(Sensor(mac=PORCH)).lines, drawn(porch).lines
    moved = {n: round(lines[n].mean[0] - plain[n].mean[0], 4) for n in plain}
    assert {n: by for n, by in moved.items() if by} == {
        "temperature_c": 1.1, "humidity_pct": -2, "pressure_pa": 30,
    }  # fmt: skip


def test_a_new_owner_sees_nothing_of_the_one_before(porch, hear_all):
    hear_all({NOW - HOUR: DF5, NOW - 60: DF5})
    porch.handed_over_at = NOW - HOUR
    assert drawn(porch).times == [NOW - 60]


def test_bounds_count_as_inside(porch, hear_all):
    hear_all({NOW - HOUR - 60: DF5, NOW - HOUR: DF5, NOW: DF5, NOW + 60: DF5})
    assert drawn(porch, last=HOUR).times == [NOW - HOUR, NOW]


def test_a_gap_breaks_the_line(porch, hear_all):
    heard = NOW - 2 * GAP_S, NOW - 2 * GAP_S + 60, NOW - GAP_S + 60, NOW
    hear_all(dict.fromkeys(heard, warm(20)))
    found = drawn(porch)
    assert found.lines["temperature_c"].mean == [20, 20, 20, 20]
    hear_all({NOW + GAP_S + 61: warm(20)})
    found = series(porch, since=NOW - DAY, until=NOW + DAY, buckets=100)
    assert found.times == [*heard, NOW + 1, NOW + GAP_S + 61]
    assert found.lines["temperature_c"].mean == [20, 20, 20, 20, None, 20]


def test_a_gap_breaks_the_line_between_buckets(porch, hear_all):
    early, late = NOW - 20 * HOUR, NOW - HOUR
    hear_all({start + 60 * n: warm(20) for start in (early, late) for n in range(59)})
    found = drawn(porch, buckets=10)
    mean = found.lines["temperature_c"].mean
    assert mean.count(None) == 1
    assert found.times == sorted(found.times)
    assert early < found.times[mean.index(None)] < late


def test_formats_that_one_sensor_sent_share_a_chart(porch, hear_all):
    hear_all({NOW - 120: DF3, NOW - 60: DF5, NOW: AIR})
    lines = drawn(porch).lines
    assert None not in lines["temperature_c"].mean
    assert [v is None for v in lines["battery_mv"].mean] == [False, False, True]
    assert [v is None for v in lines["co2_ppm"].mean] == [True, True, False]


def test_nothing_measured_makes_an_empty_chart(porch):
    assert drawn(porch) == Series(0, [], {})
    assert series(porch, since=NOW, until=NOW - 1, buckets=5) == Series(0, [], {})


def test_a_sensor_that_is_only_heard_has_a_chart(hear_all):
    hear_all({NOW: DF5})
    assert drawn(Sensor(mac=Mac(int(PORCH)))).times == [NOW]


@pytest.mark.parametrize("last", [DAY, 365 * DAY])
def test_a_chart_is_one_query(porch, hear_all, django_assert_num_queries, last):
    hear_all({NOW - 60 * minute: DF5 for minute in range(200)})
    with django_assert_num_queries(1):
        drawn(porch, last=last)


def test_a_chart_is_json_as_it_is(porch, hear_all):
    hear_all({NOW: warm(20)})
    found = msgspec.json.decode(msgspec.json.encode(drawn(porch)))
    assert found["times"] == [NOW]
    assert found["lines"]["temperature_c"] == {"minimum": [20], "mean": [20], "maximum": [20]}
