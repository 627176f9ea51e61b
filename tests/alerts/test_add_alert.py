import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from alerts.models import AlertRule, PushToken
from sensors.models import Sensor

pytestmark = pytest.mark.django_db
MAC = "EF:54:4A:E7:1D:9E"


def test_one_command_makes_person_sensor_rule_and_phone(capsys):
    call_command(
        "add_alert", "Me@Home.example", MAC, "temperature", "--max", "-10", "--push-token", "t"
    )
    rule = AlertRule.objects.get()
    assert (rule.type, rule.max, rule.min) == ("temperature", -10, None)
    assert rule.user.email == "me@home.example"
    assert Sensor.objects.get().owner == rule.user
    assert PushToken.objects.get().user == rule.user


def test_the_same_command_again_changes_the_rule():
    call_command("add_alert", "me@home.example", MAC, "temperature", "--max", "-10")
    call_command("add_alert", "me@home.example", MAC, "temperature", "--max", "5")
    assert AlertRule.objects.get().max == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ["me@home.example", "nonsense", "temperature", "--max", "1"],
        ["me@home.example", MAC, "temperature"],
        ["not an address", MAC, "temperature", "--max", "1"],
    ],
)
def test_bad_arguments_are_said_in_one_line_and_leave_nothing(arguments):
    with pytest.raises(CommandError):
        call_command("add_alert", *arguments)
    assert not User.objects.exists()
    assert not Sensor.objects.exists()


def test_somebody_elses_sensor_is_refused(alice, porch):
    with pytest.raises(CommandError, match="already claimed"):
        call_command("add_alert", "bob@example.com", MAC, "temperature", "--max", "1")
