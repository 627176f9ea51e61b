"""Downloads of a sensor's history from its page in the console."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.urls import path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.console import AuditedAdmin
from sensors.exports import KINDS, export
from sensors.models import Sensor


class ExportingAdmin(AuditedAdmin[Sensor]):
    """A page of sensors with `exports`, links to all that a sensor measured, in each format."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(require_safe(self.export_view))
        own = path("<path:object_id>/export/<kind>", view, name="sensors_sensor_export")
        return [own, *super().get_urls()]

    def get_fields(self, request: HttpRequest, obj: Sensor | None = None) -> Any:
        fields = super().get_fields(request, obj)
        return fields if obj is None else (*fields, "exports")

    @admin.display(description=_("history"))
    def exports(self, sensor: Sensor) -> SafeString:
        links = [
            (reverse("admin:sensors_sensor_export", args=[quote(sensor.pk), kind]), kind.upper())
            for kind in KINDS
        ]
        return format_html_join(" · ", '<a href="{}">{}</a>', links)

    def export_view(self, request: HttpRequest, object_id: str, kind: str) -> StreamingHttpResponse:
        sensor = self.get_object(request, object_id)
        if not self.has_view_permission(request, sensor):
            raise PermissionDenied
        if sensor is None or kind not in KINDS:
            raise Http404
        self.note(request, f"Exported history as {kind}.", sensor)
        name = str(sensor.mac).replace(":", "")
        return StreamingHttpResponse(
            (part.text for part in export(sensor, kind)),
            content_type=KINDS[kind].content_type,
            headers={"Content-Disposition": f'attachment; filename="{name}.{kind}"'},
        )
