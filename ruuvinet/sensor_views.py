"""The user API about sensors, as far as it also touches alerts."""

from collections.abc import Collection
from typing import Any, cast

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import UserView
from accounts.models import User
from alerts.selectors import alert_items_of
from ruuvinet import sensor_services
from ruuvinet.lib.mac import Mac
from ruuvinet.lib.views import success
from sensors import selectors
from sensors.selectors import Seen
from sensors.serializers import (
    CHANGES,
    ContestRequest,
    SensorsDenseRequest,
    UnclaimRequest,
    UnshareRequest,
    UpdateRequest,
    measurement_list,
    settings_map,
    subscription_map,
    unix,
)
from sensors.views import NOTHING_YET, json_of, look, sharees_map
from subscriptions.limits import limits_for


class Contest(UserView):
    def post(self, request: Request) -> Response:
        """Become the owner of a sensor that somebody else claimed, by its secret."""
        asked = self.asked(ContestRequest)
        mac, name = asked["sensor"], asked.get("name", "")
        sensor_services.contest_sensor(
            user=self.user, mac=mac, secret=asked["secret"], name=name, at=timezone.now()
        )
        return success({"sensor": str(mac)})


class Unclaim(UserView):
    def post(self, request: Request) -> Response:
        """Give a sensor up; whoever has it by a share leaves the share."""
        asked = self.asked(UnclaimRequest)
        sensor_services.unclaim_sensor(
            user=self.user,
            mac=asked["sensor"],
            delete_data=asked["deleteData"],
            at=timezone.now(),
        )
        return success({})


class Unshare(UserView):
    def post(self, request: Request) -> Response:
        """End a share: the owner that of `user`, a sharee the own one."""
        asked = self.asked(UnshareRequest)
        sensor_services.unshare_sensor(
            user=self.user, mac=asked["sensor"], email=asked["user"] or None, at=timezone.now()
        )
        return success({})


class Update(UserView):
    def post(self, request: Request) -> Response:
        """Change name, picture, offsets, or whether everybody may read."""
        asked = self.asked(UpdateRequest)
        changed = sensor_services.update_sensor(
            user=self.user,
            mac=asked["sensor"],
            changes=asked["changes"],
            timestamp=asked.get("timestamp"),
            now=timezone.now(),
        )
        given = cast(dict[str, Any], request.data)
        echo = {name: given[name] for name, field in CHANGES.items() if field in changed}
        return success({"sensor": str(asked["sensor"]), **echo})


class SensorsDense(UserView):
    steady = True

    def get(self, request: Request) -> HttpResponse:
        """Everything that the apps show of the caller's sensors. Apps take it for complete."""
        asked = self.asked(SensorsDenseRequest)
        return json_of({"sensors": sensors_dense(request, self.user, asked)})


def sensors_dense(request: Request, user: User, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of `/sensors-dense`, as SensorsDenseRequest `asked`. At most seven queries."""
    seen = _chosen(user, asked)
    macs = [s.sensor.mac for s in seen]
    owners = {s.sensor.owner_id for s in seen if s.sensor.owner_id}
    limits = limits_for(owners, timezone.now())
    newest = selectors.newest([s.sensor for s in seen], mode=asked["mode"])
    sharees = selectors.sharees_of(user) if asked["sharedToOthers"] else {}
    settings = selectors.settings_of(macs) if asked["settings"] else {}
    alerts = alert_items_of(user, macs) if asked["alerts"] else {}
    items = []
    for s in seen:
        mac = s.sensor.mac
        latest = newest.get(mac, NOTHING_YET)
        plan = limits.get(s.sensor.owner_id or 0)
        items.append(
            {
                "sensor": str(mac),
                "owner": s.owner,
                **look(request, s),
                "canShare": s.is_own and latest.has_data,
                "measurements": measurement_list(latest.row) if asked["measurements"] else [],
                **sharees_map(sharees.get(mac)),
                "alerts": alerts.get(mac, []),
                "subscription": subscription_map(plan) if plan else {},
                "settings": settings_map(settings.get(mac, [])),
                "lastUpdated": unix(s.edited_at),
            }
        )
    return items


def _chosen(user: User, asked: dict[str, Any]) -> Collection[Seen]:
    if not asked.get("sensor"):
        return [s for s in selectors.sensors_of(user) if s.is_own or asked["sharedToMe"]]
    try:
        one = selectors.readable_sensor(user, Mac.parse(asked["sensor"]))
    except ValueError:
        return []
    return [one] if one else []
