"""`manage.py make_certificate`: what nginx and gateways need for TLS without a public authority."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from gateways.certificates import load, make_authority, make_client, make_server
from gateways.credentials import make_credential
from gateways.models import Credential, Gateway
from ruuvinet.lib.mac import Mac

AUTHORITY = "clients-ca"
AUTHORITY_DAYS = 3650


class Command(BaseCommand):
    help = (
        "Make certificates: `server HOST` a self-signed one for nginx, whose server.crt is also "
        "uploaded to gateways; `client MAC` one for a gateway, with the authority that nginx "
        "verifies it by, made when it is missing. Keys are not encrypted: keep them safe."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=["server", "client"])
        parser.add_argument("name", help="host name or address, or MAC of the gateway")
        parser.add_argument("--folder", type=Path, default=Path("certificates"))
        parser.add_argument("--days", type=int, default=825, help="until it expires")
        parser.add_argument(
            "--bind", action="store_true", help="let the gateway in with it, as the console would"
        )

    def handle(self, *_args: object, **options: Any) -> None:
        if not 1 <= options["days"] <= AUTHORITY_DAYS:
            raise CommandError(f"--days is 1 to {AUTHORITY_DAYS}")
        try:
            if options["kind"] == "server":
                self._server(options["name"], options["folder"], options["days"])
            else:
                self._client(options)
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error

    def _server(self, host: str, folder: Path, days: int) -> None:
        if (folder / "server.key").exists():
            raise CommandError(f"{folder / 'server.key'} is there: gateways may trust it. Move it.")
        pair = make_server(host, at=timezone.now(), days=days)
        self._tell(*pair.save(folder, "server"))

    def _client(self, options: dict[str, Any]) -> None:
        mac, folder, now = Mac.parse(options["name"]), options["folder"], timezone.now()
        if (folder / f"{AUTHORITY}.crt").exists():
            authority = load(folder, AUTHORITY)
        else:
            authority = make_authority("RuuviNet gateways", at=now, days=AUTHORITY_DAYS)
            self._tell(*authority.save(folder, AUTHORITY))
        pair = make_client(str(mac), authority, at=now, days=options["days"])
        self._tell(*pair.save(folder, f"{int(mac):012X}"))
        self.stdout.write(f"fingerprint {pair.fingerprint()}")
        if options["bind"]:
            gateway = Gateway.objects.whitelisted().filter(mac=mac).first()
            if gateway is None:
                raise CommandError(f"{mac} is not whitelisted.")
            kind = Credential.Kind.FINGERPRINT
            make_credential(kind=kind, gateway=gateway, secret=pair.fingerprint(), at=now)
            self.stdout.write(f"bound to {mac}")

    def _tell(self, *written: Path) -> None:
        for path in written:
            self.stdout.write(str(path))
