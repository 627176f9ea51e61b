"""How long statuses, restarts and served configurations are kept."""

from datetime import timedelta

import pytest

from gateways import history
from gateways.models import Gateway, GatewayGroup, GatewayReset, GatewayStatus, ServedConfiguration
from gateways.tasks import purge_history
from ruuvinet.celery import app
from tests.gateways.conftest import GATEWAY, NOW, OTHER_GATEWAY, at

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
DAYS = (0, 10, 20, 40)
LATER = at(NOW) + timedelta(days=45)


@pytest.fixture(autouse=True)
def _kept(settings):
    settings.GATEWAY_HISTORY_DAYS = 30


@pytest.fixture
def told():
    """Two gateways and a group that told and were served something on each of DAYS."""
    owners = [{"gateway": Gateway.objects.create(mac=mac)} for mac in (GATEWAY, OTHER_GATEWAY)]
    group = {"group": GatewayGroup.objects.create(name="fleet")}
    for day in DAYS:
        moment = at(NOW) + timedelta(days=day)
        for owner in owners:
            GatewayStatus.objects.create(**owner, received_at=moment, told={})
            GatewayReset.objects.create(**owner, seen_at=moment)
        for owner in [*owners, group]:
            ServedConfiguration.objects.create(
                **owner, version=day, document="{}", first_served_at=moment, last_served_at=moment,
                times=1,
            )  # fmt: skip


def left(model):
    return model.objects.count()


KINDS = (GatewayStatus, GatewayReset, ServedConfiguration)


@pytest.mark.usefixtures("told")
def test_what_is_older_is_forgotten(monkeypatch):
    monkeypatch.setattr(history, "PURGED_AT_ONCE", 3)

    assert history.purge(LATER) == 14
    assert [left(kind) for kind in KINDS] == [4, 4, 6]
    assert GatewayStatus.objects.earliest("received_at").received_at == at(NOW + 20 * 86400)
    assert history.purge(LATER) == 0


@pytest.mark.usefixtures("told")
def test_the_newest_of_each_stays_however_old_it_is():
    history.purge(at(NOW) + timedelta(days=5000))

    assert [left(kind) for kind in KINDS] == [2, 2, 3]
    assert GatewayReset.objects.filter(seen_at=at(NOW + 40 * 86400)).count() == 2


@pytest.mark.usefixtures("told")
def test_the_timetable_calls_it_and_ignores_what_newer_code_sends():
    assert app.conf.beat_schedule["gateway-history"]["task"] == purge_history.name
    purge_history(more=1)

    assert left(GatewayStatus) == 2
