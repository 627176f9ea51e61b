"""Breaks what ingest stands on, and overloads it: `python -m bench.endurance`."""
