"""Every URL of RuuviNet."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import cache_page
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView

from accounts.second_factor_console import page as second_factor
from ruuvinet.account_views import Verify, VerifyDelete
from ruuvinet.dashboard import live as dashboard_live
from ruuvinet.glossary import words
from ruuvinet.sensor_views import Contest, SensorsDense, Unclaim, Unshare, Update
from ruuvinet.views import live, metrics, ready

admin.site.index_title = _("Dashboard")

# Making it takes a while, and it does not change while this process lives.
schema = cache_page(86400, cache="local")(SpectacularJSONAPIView.as_view())

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("", include("gateways.urls")),
    path("", include("alerts.urls")),
    path("", include("subscriptions.urls")),
    path("", include("accounts.urls")),
    path("verify", Verify.as_view()),
    path("verify/<str:token>", Verify.as_view()),
    path("verify-delete", VerifyDelete.as_view()),
    path("verify-delete/<str:token>", VerifyDelete.as_view()),
    path("", include("sensors.urls")),
    path("sensors-dense", SensorsDense.as_view()),
    path("contest-sensor", Contest.as_view()),
    path("unclaim", Unclaim.as_view()),
    path("unshare", Unshare.as_view()),
    path("update", Update.as_view()),
    re_path("^health/?$", live),
    re_path("^health/ready/?$", ready),
    re_path("^metrics/?$", metrics),
    path("api/schema", schema, name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view()),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),  # as people type it
    path("admin/words", admin.site.admin_view(require_safe(words)), name="words"),
    path("admin/second-factor", second_factor, name="second_factor"),
    path("admin/live", admin.site.admin_view(require_safe(dashboard_live)), name="live"),
    path("admin/", admin.site.urls),
]
handler400 = "ruuvinet.lib.api.bad_request"
handler404 = "ruuvinet.lib.api.not_found"
handler500 = "ruuvinet.lib.api.server_error"
