"""Every URL of RuuviNet."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from ruuvinet.views import health

admin.site.site_header = admin.site.site_title = "RuuviNet"
admin.site.index_title = "Console"
admin.site.site_url = None  # there is no other site to view

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("", include("gateways.urls")),
    path("", include("subscriptions.urls")),
    path("health", health),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),  # as people type it
    path("admin/", admin.site.urls),
]
handler400 = "ruuvinet.lib.api.bad_request"
handler404 = "ruuvinet.lib.api.not_found"
handler500 = "ruuvinet.lib.api.server_error"
