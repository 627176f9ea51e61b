"""Bluetooth addresses: one value, however it is spelled."""

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from ruuvinet.lib.mac import Mac, MacField
from sensors.models import Sensor

NUMBER, TEXT = 0xF41F0C28CBD6, "F4:1F:0C:28:CB:D6"
NO_MACS = [
    "",
    " ",
    "F4",
    "F41F0C28CBD6",
    "F4:1F:0C:28:CB",
    "F4:1F:0C:28:CB:D6:00",
    "F4:1F:0C:28:CB:D",
    "F4:1F:0C:28:CB:D66",
    "F4:1F:0C:28:CB:G6",
    "F4:1F:0C:28:CB:",
    "F4::1F:0C:28:CB:D6",
    "F4.1F.0C.28.CB.D6",
    "F4_1F_0C_28_CB_D6",
    "F4 1F 0C 28 CB D6",
    " F4:1F:0C:28:CB:D6",
    "F4:1F:0C:28:CB:D6 ",
    "F4:1F:0C:28:CB:D6\n",
    "F4:1F:0C:28:CB:D6\0",
    "+4:1F:0C:28:CB:D6",
    "0x:1F:0C:28:CB:D6",
    "٤٤:1F:0C:28:CB:D6",
    "Ｆ4:1F:0C:28:CB:D6",  # noqa: RUF001  # that is the point
    "\ud800",
]


class TestMac:
    @pytest.mark.parametrize(
        "spelling", [TEXT, TEXT.lower(), TEXT.replace(":", "-"), "f4-1F:0c-28:Cb:d6"]
    )
    def test_every_spelling_is_the_same_value(self, spelling):
        assert Mac.parse(spelling) == NUMBER

    @pytest.mark.parametrize("text", NO_MACS, ids=repr)
    def test_anything_else_is_refused(self, text):
        with pytest.raises(ValueError, match="AA:BB:CC:DD:EE:FF"):
            Mac.parse(text)

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (0, "00:00:00:00:00:00"),
            (1, "00:00:00:00:00:01"),
            (NUMBER, TEXT),
            (2**48 - 1, "FF:FF:FF:FF:FF:FF"),
        ],
    )
    def test_text_has_capitals_and_colons(self, number, text):
        mac = Mac(number)

        assert (str(mac), repr(mac), f"{mac}", f"{mac:>20}") == (text, text, text, f"{text:>20}")

    @given(st.integers(0, 2**48 - 1))
    def test_text_reads_back(self, number):
        assert Mac.parse(str(Mac(number))) == number
        assert Mac.parse(str(Mac(number)).lower().replace(":", "-")) == number

    @given(st.text())
    def test_text_is_read_or_refused(self, text):
        try:
            mac = Mac.parse(text)
        except ValueError:
            return
        assert str(mac) == text.upper().replace("-", ":")


class TestMacField:
    @pytest.mark.storage
    @pytest.mark.django_db
    @pytest.mark.parametrize("number", [0, NUMBER, 2**48 - 1])
    def test_value_comes_back_from_the_database(self, number):
        Sensor.objects.create(mac=Mac(number))

        mac = Sensor.objects.get().mac
        assert isinstance(mac, Mac)
        assert mac == number

    @pytest.mark.storage
    @pytest.mark.django_db
    def test_database_holds_a_number(self):
        Sensor.objects.create(mac=TEXT)
        with connection.cursor() as cursor:
            cursor.execute("SELECT mac FROM sensors_sensor")
            assert cursor.fetchone() == (NUMBER,)

    @pytest.mark.django_db
    @pytest.mark.parametrize("spelling", [TEXT, TEXT.lower(), TEXT.replace(":", "-"), NUMBER])
    def test_every_spelling_finds_it(self, spelling):
        Sensor.objects.create(mac=Mac(NUMBER))

        assert Sensor.objects.filter(mac=spelling).exists()
        assert Sensor.objects.filter(mac__in=[spelling]).exists()

    @pytest.mark.parametrize("text", [*NO_MACS[:5], *NO_MACS[-4:]], ids=repr)
    def test_no_mac_is_a_validation_error(self, text):
        with pytest.raises(ValidationError, match="a MAC address looks like"):
            MacField().to_python(text)

    def test_nothing_stays_nothing(self):
        assert MacField().to_python(None) is None
        assert MacField().get_prep_value(None) is None

    def test_form_takes_text(self):
        field = MacField().formfield()

        assert isinstance(field, forms.CharField)
        assert not isinstance(field, forms.IntegerField)

    def test_dump_has_text(self):
        assert Sensor._meta.get_field("mac").value_to_string(Sensor(mac=Mac(NUMBER))) == TEXT
