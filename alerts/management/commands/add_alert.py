"""`manage.py add_alert`: a person, a claimed sensor, a rule and a phone, in one command."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.models import User
from alerts.models import AlertRule, PushToken
from alerts.services import configure_rule, register_push_token
from ruuvinet.lib.api import DomainError
from ruuvinet.lib.mac import Mac
from sensors.services import claim_sensor


class Command(BaseCommand):
    help = "Make or change an alert: claims the sensor for the person and registers a phone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="whose alert it is; made if unknown")
        parser.add_argument("sensor", help="MAC address, AA:BB:CC:DD:EE:FF")
        parser.add_argument("type", choices=AlertRule.Type.values)
        parser.add_argument("--min", type=float, help="lower limit, in the type's unit")
        parser.add_argument("--max", type=float, help="upper limit, in the type's unit")
        parser.add_argument("--name", default="", help="what the person calls the sensor")
        parser.add_argument("--description", default="", help="comes with the notification")
        parser.add_argument("--push-token", help="Firebase token of the person's phone")
        parser.add_argument("--platform", choices=PushToken.Platform.values, default="android")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            rule = self._rule(options)
        except (ValueError, DomainError) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"{error}. Has `make run` been started once?") from error
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        if options["push_token"]:
            register_push_token(
                user=rule.user, token=options["push_token"], platform=options["platform"]
            )
        self.stdout.write(self.style.SUCCESS(f"{rule} for {rule.user} is set."))

    def _rule(self, options: dict[str, Any]) -> AlertRule:
        email = options["email"].strip().lower()
        validate_email(email)
        user = User.objects.filter(email=email).first() or User.objects.create_user(email)
        mac = Mac.parse(options["sensor"])
        sensor = user.sensors.filter(mac=mac).first() or claim_sensor(
            user=user, mac=mac, name=options["name"]
        )
        rule = AlertRule.objects.filter(
            user=user, sensor=sensor, type=options["type"]
        ).first() or AlertRule(user=user, sensor=sensor, type=options["type"])
        rule.min, rule.max = options["min"], options["max"]
        rule.description = options["description"]
        rule.enabled = True
        rule.full_clean()
        rule.updated_at = timezone.now()
        return configure_rule(rule, at=rule.updated_at)
