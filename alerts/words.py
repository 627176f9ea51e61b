"""The words of notifications in each language, and the units people may choose."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

LANGUAGES = ("en", "fi", "sv")


@dataclass(frozen=True, slots=True)
class Unit:
    """`code` is the apps' word, `symbol` what people read; `convert` takes the wire's base unit."""

    code: str
    symbol: str
    convert: Callable[[float], float] = float


def _divided_by(divisor: float) -> Callable[[float], float]:
    return lambda value: value / divisor


TEMPERATURE_UNITS = {
    "C": Unit("C", " °C"),
    "F": Unit("F", " °F", lambda celsius: celsius * 1.8 + 32),
    "K": Unit("K", " K", lambda celsius: celsius + 273.15),
}
PRESSURE_UNITS = {
    "0": Unit("0", " Pa"),
    "1": Unit("1", " hPa", _divided_by(100)),
    "2": Unit("2", " mmHg", _divided_by(133.322368)),
    "3": Unit("3", " inHg", _divided_by(3386.388666)),
}
_NO_UNIT = Unit("", "")
_PARTICLES = Unit("µg/m³", " µg/m³")
_SOUND = Unit("dBA", " dBA")
_UNITS = {
    "humidity": Unit("%", " %"),
    "humidityAbsolute": Unit("g/m³", " g/m³"),
    "signal": Unit("dBm", " dBm"),
    "movement": Unit("times", " times"),
    "battery": Unit("V", " V"),
    "co2": Unit("ppm", " ppm"),
    "pm10": _PARTICLES,
    "pm25": _PARTICLES,
    "pm40": _PARTICLES,
    "pm100": _PARTICLES,
    "luminosity": Unit("lx", " lx"),
    "sound": _SOUND,
    "soundInstant": _SOUND,
    "soundAverage": _SOUND,
    "soundPeak": Unit("dB", " dB"),
    "offline": Unit("min", " min", _divided_by(60)),
}


@dataclass(frozen=True, slots=True)
class Preferences:
    """How one person reads: a language of LANGUAGES, and the codes of chosen units."""

    language: str = "en"
    temperature: str = "C"
    pressure: str = "1"

    def unit(self, type_: str) -> Unit:
        if type_ in ("temperature", "dewPoint"):
            return TEMPERATURE_UNITS.get(self.temperature, TEMPERATURE_UNITS["C"])
        if type_ == "pressure":
            return PRESSURE_UNITS.get(self.pressure, PRESSURE_UNITS["1"])
        return _UNITS.get(type_, _NO_UNIT)


_NAMES = {
    "temperature": ("Temperature", "Lämpötila", "Temperatur"),
    "humidity": ("Relative humidity", "Suhteellinen kosteus", "Relativ fuktighet"),
    "humidityAbsolute": ("Absolute humidity", "Absoluuttinen kosteus", "Absolut fuktighet"),
    "dewPoint": ("Dew point", "Kastepiste", "Daggpunkt"),
    "pressure": ("Air pressure", "Ilmanpaine", "Lufttryck"),
    "signal": ("Signal strength", "Signaalin voimakkuus", "Signalstyrka"),
    "movement": ("Movement", "Liike", "Rörelse"),
    "offline": ("Cloud connection", "Pilviyhteys", "Molnanslutning"),
    "battery": ("Battery voltage", "Pariston jännite", "Batterispänning"),
    "aqi": ("Air quality", "Ilmanlaatu", "Luftkvalitet"),
    "co2": ("CO₂", "CO₂", "CO₂"),
    "pm10": ("PM1.0", "PM1.0", "PM1.0"),
    "pm25": ("PM2.5", "PM2.5", "PM2.5"),
    "pm40": ("PM4.0", "PM4.0", "PM4.0"),
    "pm100": ("PM10", "PM10", "PM10"),
    "voc": ("VOC index", "VOC-indeksi", "VOC-index"),
    "nox": ("NOx index", "NOx-indeksi", "NOx-index"),
    "luminosity": ("Luminosity", "Valoisuus", "Ljusstyrka"),
    "sound": ("Sound level", "Äänitaso", "Ljudnivå"),
    "soundInstant": (
        "Sound level (instant)",
        "Äänitaso (hetkellinen)",
        "Ljudnivå (momentan)",
    ),
    "soundAverage": (
        "Sound level (average)",
        "Äänitaso (keskiarvo)",
        "Ljudnivå (medelvärde)",
    ),
    "soundPeak": ("Sound level (peak)", "Äänitaso (huippu)", "Ljudnivå (topp)"),
}
_SENTENCES = {
    "over": (
        "{name} {value}, above the limit of {limit}",
        "{name} {value} ylittää rajan {limit}",
        "{name} {value}, över gränsen {limit}",
    ),
    "under": (
        "{name} {value}, below the limit of {limit}",
        "{name} {value} alittaa rajan {limit}",
        "{name} {value}, under gränsen {limit}",
    ),
    "different from": ("Movement noticed", "Liikettä havaittu", "Rörelse upptäckt"),
    "offline": (
        "No data for {value}, the limit is {limit}",
        "Ei tietoja: {value}, raja {limit}",
        "Inga data på {value}, gränsen är {limit}",
    ),
}
_LATE = ("Late, from {time}: {title}", "Myöhässä, {time}: {title}", "Försenat, {time}: {title}")


def language_of(*wishes: str) -> str:
    """The first of `wishes` that there are words for, English otherwise."""
    return next((w[:2].lower() for w in wishes if w[:2].lower() in LANGUAGES), LANGUAGES[0])


def name_of(type_: str, language: str) -> str:
    return _NAMES[type_][LANGUAGES.index(language)]


def number(value: float, language: str) -> str:
    """At most two decimals, with the language's own decimal sign."""
    text = f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")
    return text if language == "en" else text.replace(".", ",")


def title(type_: str, trigger: str, *, value: str, limit: str, language: str) -> str:
    """What happened, such as `Temperature 9.5 °C, above the limit of 8 °C`."""
    sentence = _SENTENCES["offline" if type_ == "offline" else trigger]
    index = LANGUAGES.index(language)
    return sentence[index].format(name=_NAMES[type_][index], value=value, limit=limit)


def late(title: str, at: datetime, language: str) -> str:
    """`title`, saying that it is old news."""
    return _LATE[LANGUAGES.index(language)].format(time=time(at), title=title)


def time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
