from django.urls import path

from gateways import views

urlpatterns = [
    # With and without a slash: the URL is typed by hand, and a redirected post is lost.
    path("record", views.record),
    path("record/", views.record),
    path("record/<path:secret>", views.record),
    path("status", views.status),
    path("status/", views.status),
    path("status/<path:secret>", views.status),
    path("gw-config.json", views.configuration),
    path("gw-config/<str:name>.json", views.configuration),
    path("whitelist", views.Whitelist.as_view()),
    path("blacklist", views.Blacklist.as_view()),
    path("gwinfo", views.GatewayInfo.as_view()),
    path("register-sensor", views.RegisterSensor.as_view()),
]
