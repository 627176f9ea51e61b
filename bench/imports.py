"""`python -m bench.imports`: how many readings a second does `manage.py import_history` take?

A plain CSV of ten sensors, a reading a minute; then the same file again, which changes nothing.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from io import StringIO
from pathlib import Path

from tests.services import ENVIRONMENT, start_postgresql

SENSORS = 10
HEADER = (
    "mac,measured_at,rssi_dbm,temperature_c,humidity_pct,pressure_pa,acceleration_x_mg,"
    "acceleration_y_mg,acceleration_z_mg,battery_mv,tx_power_dbm,movement_counter,sequence\n"
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.imports", description=__doc__)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--rows", type=int, default=300_000)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ruuvinet-imports-")))
        folder.chmod(0o711)  # PostgreSQL may have to run as somebody else
        url = start_postgresql(folder, stack) if options.database == "postgresql" else ""
        os.environ.update(ENVIRONMENT)
        os.environ.update(DATABASE_URL=url, REDIS_URL="", RUUVINET_DATA=str(folder / "data"))
        os.environ["DJANGO_SETTINGS_MODULE"] = "ruuvinet.settings"
        _measure(options.database, options.rows, folder / "history.csv")
    return 0


def _measure(database: str, rows: int, path: Path) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    _write(path, rows)
    for what in ("first", "again"):
        start = time.perf_counter()
        call_command("import_history", path, register=True, stdout=StringIO())
        rate = rows / (time.perf_counter() - start)
        sys.stdout.write(f"{database}, {rows} readings, {what}: {rate:,.0f} a second\n")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM sensors_measurement")
        assert cursor.fetchone() == (rows,)  # noqa: S101


def _write(path: Path, rows: int) -> None:
    shake = random.Random(1)  # noqa: S311  # the same file in each run
    minutes = rows // SENSORS
    begin = int(time.time()) // 60 * 60 - 60 * minutes
    with path.open("w") as file:
        file.write(HEADER)
        for minute in range(minutes):
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin + 60 * minute))
            for number in range(SENSORS):
                file.write(
                    f"AA:BB:CC:00:00:{number:02X},{at},-70,{shake.uniform(-40, 80):.3f},"
                    f"{shake.uniform(0, 100):.4f},{shake.randrange(90000, 110000)},-16,-8,996,3048,4,"
                    f"{minute % 255},{minute % 65535}\n"
                )


if __name__ == "__main__":
    sys.exit(main())
