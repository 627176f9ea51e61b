"""Sensor values to BLE advertising bytes: the sending side of data formats 5 and E1.

Values which a code cannot express are clipped to the nearest one it can, as the sensors do.
All fields are big endian, except the company id.
"""

from dataclasses import dataclass

COMPANY_ID = bytes.fromhex("9904")  # 0x0499 Ruuvi Innovations, little endian
FLAGS = bytes.fromhex("020106")  # LE general discoverable, no BR/EDR
SERVICE_UUIDS = bytes.fromhex("030398FC")  # 0xFC98 Ruuvi, little endian

NOT_AVAILABLE_9 = 0x1FF
NOT_AVAILABLE_16 = 0xFFFF
NOT_AVAILABLE_24 = 0xFFFFFF
MAX_VOC_NOX_INDEX = 500

# Lowest bits of the 9-bit values, in the flags byte of format E1.
SOUND_INSTANT_BIT, SOUND_AVERAGE_BIT, SOUND_PEAK_BIT, VOC_BIT, NOX_BIT = 3, 4, 5, 6, 7


@dataclass(frozen=True, slots=True)
class TagSample:
    """One measurement of a RuuviTag (format 5)."""

    mac: str  # AA:BB:CC:DD:EE:FF
    temperature_c: float
    humidity_pct: float
    pressure_pa: float
    acceleration_mg: tuple[int, int, int]  # X, Y, Z
    battery_mv: int
    tx_power_dbm: int
    movement_counter: int  # 0-254
    sequence: int  # 0-65534


@dataclass(frozen=True, slots=True)
class AirSample:
    """One measurement of a Ruuvi Air (format E1). None: the sensor has no such value."""

    mac: str  # AA:BB:CC:DD:EE:FF
    temperature_c: float
    humidity_pct: float
    pressure_pa: float
    pm_ugm3: tuple[float, float, float, float]  # PM1.0, PM2.5, PM4.0, PM10.0; cumulative
    co2_ppm: float
    voc_index: int  # 1-500, 100 is the running average of the site
    nox_index: int  # 1-500, 1 is the base value
    sequence: int  # 0-16777214
    luminosity_lux: float | None = None
    sound_instant_dba: float | None = None
    sound_average_dba: float | None = None
    sound_peak_db: float | None = None


def encode_format_5(sample: TagSample) -> bytes:
    """The 31 advertising bytes of a RuuviTag: flags, then manufacturer data."""
    payload = b"".join(
        (
            b"\x05",
            _climate(sample.temperature_c, sample.humidity_pct, sample.pressure_pa),
            *(_signed_16(axis) for axis in sample.acceleration_mg),
            _power(sample.battery_mv, sample.tx_power_dbm),
            bytes((sample.movement_counter % 0xFF,)),  # 255 means "not available"
            (sample.sequence % NOT_AVAILABLE_16).to_bytes(2),
            _mac_bytes(sample.mac),
        )
    )
    return FLAGS + _manufacturer_data(payload)


def encode_format_e1(sample: AirSample) -> bytes:
    """The 48 bytes of a Ruuvi Air's extended advertisement: manufacturer data comes first."""
    voc = _clip(sample.voc_index, 0, MAX_VOC_NOX_INDEX)
    nox = _clip(sample.nox_index, 0, MAX_VOC_NOX_INDEX)
    instant = _sound_code(sample.sound_instant_dba)
    average = _sound_code(sample.sound_average_dba)
    peak = _sound_code(sample.sound_peak_db)
    flags = (
        (instant & 1) << SOUND_INSTANT_BIT
        | (average & 1) << SOUND_AVERAGE_BIT
        | (peak & 1) << SOUND_PEAK_BIT
        | (voc & 1) << VOC_BIT
        | (nox & 1) << NOX_BIT
    )
    payload = b"".join(
        (
            b"\xe1",
            _climate(sample.temperature_c, sample.humidity_pct, sample.pressure_pa),
            *(_unsigned_16(pm * 10) for pm in sample.pm_ugm3),
            _unsigned_16(sample.co2_ppm),
            bytes((voc >> 1, nox >> 1)),
            _luminosity(sample.luminosity_lux),
            bytes((instant >> 1, average >> 1, peak >> 1)),
            (sample.sequence % NOT_AVAILABLE_24).to_bytes(3),
            bytes((flags,)),
            b"\xff" * 5,  # reserved
            _mac_bytes(sample.mac),
        )
    )
    return _manufacturer_data(payload) + SERVICE_UUIDS


def _manufacturer_data(payload: bytes) -> bytes:
    body = b"\xff" + COMPANY_ID + payload
    return bytes((len(body),)) + body


def _climate(temperature_c: float, humidity_pct: float, pressure_pa: float) -> bytes:
    """Steps of 0.005 °C, 0.0025 % and 1 Pa above 50000 Pa; the same bytes in both formats."""
    temperature = _signed_16(temperature_c * 200)
    return temperature + _unsigned_16(humidity_pct * 400) + _unsigned_16(pressure_pa - 50_000)


def _power(battery_mv: int, tx_power_dbm: int) -> bytes:
    """Eleven bits of mV above 1600, five bits of 2 dBm steps above -40 dBm."""
    battery = _clip(battery_mv - 1600, 0, 2046)
    return (battery << 5 | _clip((tx_power_dbm + 40) / 2, 0, 30)).to_bytes(2)


def _luminosity(lux: float | None) -> bytes:
    """Steps of 0.01 lux."""
    code = NOT_AVAILABLE_24 if lux is None else _clip(lux * 100, 0, 14_428_400)
    return code.to_bytes(3)


def _sound_code(level_db: float | None) -> int:
    """Steps of 0.2 dB above 18 dB, nine bits."""
    return NOT_AVAILABLE_9 if level_db is None else _clip((level_db - 18) * 5, 0, 510)


def _signed_16(value: float) -> bytes:
    return _clip(value, -32_767, 32_767).to_bytes(2, signed=True)


def _unsigned_16(value: float) -> bytes:
    return _clip(value, 0, NOT_AVAILABLE_16 - 1).to_bytes(2)


def _clip(value: float, low: int, high: int) -> int:
    return max(low, min(high, round(value)))


def _mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
