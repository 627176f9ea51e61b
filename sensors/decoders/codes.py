"""Codings that several data formats share: an integer off the air becomes a quantity.

Every fraction is one integer division, which Python rounds correctly: 4860 / 200 is exactly the
float that 24.3 denotes. Multiplying by 0.005 would not be, and would need a round() to hide it.
"""

from __future__ import annotations

import math

_NO_MAC = b"\xff" * 6


def available(code: int, *, absent: int) -> int | None:
    """`code` unchanged, or None when it equals the format's "not available" code."""
    return None if code == absent else code


def temperature_c(code: int) -> float | None:
    """Signed 16 bits, steps of 0.005 °C; 0x8000 is not available."""
    return None if code == -0x8000 else code / 200


def humidity_pct(code: int) -> float | None:
    """Unsigned 16 bits, steps of 0.0025 %; 0xFFFF is not available."""
    return None if code == 0xFFFF else code / 400


def pressure_pa(code: int) -> int | None:
    """Unsigned 16 bits, Pa above 50000; 0xFFFF is not available."""
    return None if code == 0xFFFF else code + 50000


def pm_ug_m3(code: int) -> float | None:
    """Unsigned 16 bits, steps of 0.1 µg/m³; 0xFFFF is not available."""
    return None if code == 0xFFFF else code / 10


def nine_bits(byte: int, flags: int, bit: int) -> int | None:
    """A 9-bit value whose lowest bit lives in the flags byte; 511 is not available."""
    code = byte << 1 | (flags >> bit & 1)
    return None if code == 511 else code


def sound_db(byte: int, flags: int, bit: int) -> float | None:
    """9 bits (see `nine_bits`), steps of 0.2 dB above 18.

    The specifications call these bytes reserved, 0xFF. Firmware uses them, and sets the flag bit
    too when it has no value; a sender that fills only the byte therefore reads as 120.0.
    """
    code = nine_bits(byte, flags, bit)
    return None if code is None else (code + 90) / 5


def half_steps(code: int) -> float | None:
    """Unsigned 8 bits, steps of 0.5; 0xFF is not available (formats E0 and F0)."""
    return None if code == 0xFF else code / 2


def signed_magnitude_c(whole: int, hundredths: int) -> float:
    """°C from a sign bit with 7 bits of whole degrees, and a byte of hundredths.

    Formats 2, 3 and 4. The sign counts also when the whole part is 0: `80 32` is -0.50.
    """
    magnitude = (whole & 0x7F) * 100 + hundredths
    return (-magnitude if whole & 0x80 else magnitude) / 100


def mac_address(raw: bytes) -> str | None:
    """Six bytes as "AA:BB:CC:DD:EE:FF"; all ones is not available."""
    return None if raw == _NO_MAC else raw.hex(":").upper()


def logarithmic_scale(span: int, *, base: int = 1, digits: int) -> tuple[float | None, ...]:
    """The value of each one-byte code: exp(code * ln(span) / 254) - base; 255 is not available.

    A table, because exp() for five fields would cost more than the rest of the decoding.
    """
    step = math.log(span) / 254
    values = (round(math.exp(code * step) - base, digits) for code in range(255))
    return (*values, None)
