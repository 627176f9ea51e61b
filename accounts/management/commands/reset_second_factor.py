"""`manage.py reset_second_factor EMAIL`: let somebody in whose phone is lost, by password alone."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import audit, second_factor
from accounts.models import AuditEntry, User


class Command(BaseCommand):
    help = "Forget somebody's second factor, so that their password alone opens the console."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, email: str, **options: Any) -> None:
        user = User.objects.filter(email=email.strip().lower()).first()
        if user is None:
            raise CommandError(f"Nobody here has the address {email}.")
        if not second_factor.turn_off(user):
            raise CommandError(f"{user} has no second factor.")
        audit.note(
            kind=AuditEntry.Kind.CONSOLE,
            actor="manage.py",
            address="",
            action="user: Reset the second factor.",
            about=user.email,
            result="done",
            at=timezone.now(),
        )
        self.stdout.write(f"{user} signs in with the password alone now.")
