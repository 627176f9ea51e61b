#!/usr/bin/env python
import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ruuvinet.settings")
    if sys.argv[1:] in (["version"], ["--version"]):  # Django would tell its own
        from ruuvinet import __version__

        sys.exit(print(f"RuuviNet {__version__}"))  # noqa: T201
    execute_from_command_line(sys.argv)
