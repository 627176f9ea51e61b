"""The user API about sensors, but for what also touches alerts: see ruuvinet.sensor_views."""

import re
from typing import Any
from urllib.parse import quote

import msgspec
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import UserView
from ruuvinet.lib.api import DomainError, Forbidden, NotFound, error_body, success_body
from ruuvinet.lib.mac import Mac
from ruuvinet.lib.views import success
from sensors import pictures, selectors, services, sharing
from sensors.history import history
from sensors.models import Sensor
from sensors.selectors import Newest, Seen, Sharees
from sensors.serializers import (
    CheckRequest,
    HistoryRequest,
    Offsets,
    SensorClaimRequest,
    SensorsRequest,
    SettingsRequest,
    ShareRequest,
    UploadRequest,
    measurement_list,
    measurements,
    page_of,
)
from subscriptions.limits import limits_for

NOTHING_YET = Newest(row=None, has_data=False)


class InvalidArgument(DomainError):
    code = "ER_INVALID_ARGUMENT"


def json_of(data: dict[str, Any]) -> HttpResponse:
    """200 with the envelope around `data`, which may hold thousands of msgspec structs."""
    body = msgspec.json.encode(success_body(data))
    return HttpResponse(body, content_type="application/json")


def offsets_of(sensor: Sensor) -> Offsets:
    return Offsets(
        offsetTemperature=sensor.offset_temperature_c,
        offsetHumidity=sensor.offset_humidity_pct,
        offsetPressure=sensor.offset_pressure_pa,
    )


def picture_url(request: HttpRequest | Request, picture: str) -> str:
    """Where the caller finds a picture; a bare name that an app gave stays as it is."""
    url = pictures.url(picture)
    return request.build_absolute_uri(url) if url.startswith("/") else url


class Claim(UserView):
    def post(self, request: Request) -> Response:
        """Become the owner of a sensor."""
        asked = self.asked(SensorClaimRequest)
        mac = asked.pop("sensor")
        services.claim_sensor(user=self.user, mac=mac, **asked, at=timezone.now())
        return success({"sensor": str(mac)})


class Check(UserView):
    def get(self, request: Request) -> Response:
        """Whose a sensor is."""
        mac = self.asked(CheckRequest)["sensor"]
        email = selectors.owner_as_seen_by(self.user, mac)
        return success({"email": email, "sensor": str(mac)}, status="success")


class Share(UserView):
    def post(self, request: Request) -> Response:
        """Let somebody else read a sensor; `invited` when that somebody must sign up first."""
        asked = self.asked(ShareRequest)
        mac = asked["sensor"]
        invited = sharing.share_sensor(
            user=self.user, mac=mac, email=asked["user"], at=timezone.now()
        )
        return success({"sensor": str(mac), "invited": invited})


class SensorSettings(UserView):
    def post(self, request: Request) -> Response:
        """Save what the owner chose for a sensor."""
        try:
            asked = self.asked(SettingsRequest)
        except ParseError as error:
            raise InvalidArgument("Body must be a valid JSON string") from error
        added = services.save_settings(
            user=self.user,
            mac=asked["sensor"],
            values=asked["values"],
            timestamp=asked.get("timestamp"),
            now=timezone.now(),
        )
        return success({"action": "added" if added else "updated"})


# --- Lists ----------------------------------------------------------------------------------
class Person(UserView):
    def get(self, request: Request) -> Response:
        """Who is calling, and which sensors that person has."""
        seen = selectors.sensors_of(self.user)
        sensors = [
            {"sensor": str(s.sensor.mac), "owner": s.owner, **look(request, s)} for s in seen
        ]
        return success({"email": self.user.email, "sensors": sensors})


class Sensors(UserView):
    def get(self, request: Request) -> HttpResponse:
        """Own sensors with their sharees, and those shared with the caller."""
        seen = selectors.sensors_of(self.user)
        only = _mac_or_none(self.asked(SensorsRequest).get("sensor", ""))
        if only is not None:
            seen = [s for s in seen if s.sensor.mac == only]
        newest = selectors.newest([s.sensor for s in seen])
        sharees = selectors.sharees_of(self.user)
        own, shared = [], []
        for s in seen:
            latest = newest.get(s.sensor.mac, NOTHING_YET)
            item = {
                "sensor": str(s.sensor.mac),
                **look(request, s),
                "canShare": s.is_own and latest.has_data,
                "measurements": measurement_list(latest.row),
            }
            if s.is_own:
                own.append({**item, **sharees_map(sharees.get(s.sensor.mac))})
            else:
                shared.append(item)
        return json_of({"sensors": own, "sharedToMe": shared})


class Shared(UserView):
    def get(self, request: Request) -> Response:
        """One row for each sensor and person whom the caller gave it to. Of old apps."""
        sharees = selectors.sharees_of(self.user)
        own = [s for s in selectors.sensors_of(self.user) if s.is_own]
        rows = [
            {
                "sensor": str(s.sensor.mac),
                "name": s.name,
                "picture": picture_url(request, s.picture),
                "public": s.sensor.public,
                "sharedTo": email,
            }
            for s in own
            if s.sensor.mac in sharees
            for email in sharees[s.sensor.mac].shared
        ]
        return success({"sensors": rows})


def look(request: Request, seen: Seen) -> dict[str, Any]:
    """How a sensor looks to the caller."""
    return {
        "name": seen.name,
        "picture": picture_url(request, seen.picture),
        "public": seen.sensor.public,
        **offsets_of(seen.sensor),
    }


def sharees_map(sharees: Sharees | None) -> dict[str, list[str]]:
    shared, pending = sharees or ([], [])
    return {"sharedTo": shared, "sharedToPending": pending}


def _mac_or_none(text: str) -> Mac | None:
    try:
        return Mac.parse(text)
    except ValueError:
        return None


# --- History --------------------------------------------------------------------------------
class History(UserView):
    def get(self, request: Request) -> HttpResponse:
        """A page of what a sensor measured."""
        asked = self.asked(HistoryRequest)
        at = timezone.now()
        now = int(at.timestamp())
        page = page_of(asked, now=now)
        seen = selectors.readable_sensor(self.user, asked["sensor"])
        if seen is None:
            raise Forbidden("Forbidden.")
        sensor = seen.sensor
        assert sensor.owner_id  # noqa: S101  # nobody reads what nobody owns
        limits = limits_for([sensor.owner_id], at)[sensor.owner_id]
        items = measurements(history(sensor, page, limits=limits, now=now))
        return json_of(
            {
                "sensor": str(sensor.mac),
                **look(request, seen),
                "public": int(sensor.public),  # a number here, and only here
                "total": len(items),
                "measurements": items,
            }
        )


# --- Pictures -------------------------------------------------------------------------------
class Upload(UserView):
    def post(self, request: Request) -> Response:
        """Where to put a new picture, which is the sensor's from now on; or have none."""
        asked = self.asked(UploadRequest)
        at = timezone.now()
        if asked["action"] == "reset":
            services.set_picture(user=self.user, mac=asked["sensor"], picture="", at=at)
            return success({"uploadURL": "", "guid": ""})
        upload = pictures.plan_upload(asked["type"])
        services.set_picture(user=self.user, mac=asked["sensor"], picture=upload.name, at=at)
        url = request.build_absolute_uri(f"/{upload.name}?permit={quote(upload.permit)}")
        return success({"uploadURL": url, "guid": upload.guid})


_PICTURE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(png|gif|jpg)")


class Picture(View):
    """A picture, for everybody who knows its name; and, with a permit, the place to put it.

    Not of DRF: bodies and answers are pictures.
    """

    http_method_names = ["get", "head", "put", "options"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            if not _PICTURE.fullmatch(kwargs["file"]):
                raise NotFound("Not found.")
            return super().dispatch(request, *args, **kwargs)
        except DomainError as error:
            return JsonResponse(error_body(error.message, error.code), status=error.status)

    def get(self, request: HttpRequest, file: str) -> HttpResponseBase:
        content = pictures.load(pictures.FOLDER + file)
        if content is None:
            raise NotFound("Not found.")
        reply = FileResponse(content, content_type=pictures.TYPES[file.rpartition(".")[2]])
        # A changed picture has another name.
        reply["Cache-Control"] = "public, max-age=31536000, immutable"
        return reply

    def put(self, request: HttpRequest, file: str) -> JsonResponse:
        name = pictures.FOLDER + file
        pictures.check_permit(name, request.GET.get("permit", ""))
        if request.content_type != pictures.TYPES[file.rpartition(".")[2]]:
            raise Forbidden("The upload URL is for another type.")
        # Not `body`, which has a smaller bound that is meant for forms.
        pictures.save(name, request.read(pictures.MAX_BYTES + 1))
        return JsonResponse(success_body({}))

    def http_method_not_allowed(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        reply = JsonResponse(error_body("Method not allowed.", None), status=405)
        reply["Allow"] = ", ".join(self.http_method_names).upper()
        return reply


picture = csrf_exempt(Picture.as_view())
