"""Firebase on this machine, to see pushes without a phone or an account at Google."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from alerts.fcm_emulator import FcmEmulator


class Command(BaseCommand):
    help = "Accept pushes in Firebase's place and print them. Stop with Ctrl-C."
    requires_system_checks = ()  # it needs neither the database nor a finished configuration

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8901)
        parser.add_argument("--public-url", help="how RuuviNet reaches it, if not by host and port")
        parser.add_argument(
            "--service-account-file",
            default=settings.DATA_DIR / "fcm-emulator.json",
            help="written if absent; an existing one keeps its key (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        emulator = FcmEmulator(
            options["host"], options["port"], public_url=options["public_url"], say=self._say
        )
        stop = threading.Event()
        try:
            with emulator:
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, lambda *_: stop.set())
                path = emulator.service_account_file(options["service_account_file"]).resolve()
                self._say(
                    f"Firebase emulator at {emulator.base_url}. Start RuuviNet with\n"
                    f"    FCM_BASE_URL={emulator.base_url}\n"
                    f"    FCM_SERVICE_ACCOUNT_FILE={path}"
                )
                stop.wait()
        except OSError as exc:
            what = exc.filename or f"{options['host']}:{options['port']}"
            raise CommandError(f"Firebase emulator: {what}: {exc.strerror}") from exc
        except (OverflowError, ValueError) as exc:  # a port above 65535; a file that is not ours
            raise CommandError(f"Firebase emulator: {exc}") from exc

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()  # each push at once, also into a pipe
