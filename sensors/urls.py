from django.urls import path

from sensors import views

urlpatterns = [
    path("claim", views.Claim.as_view()),
    path("check", views.Check.as_view()),
    path("share", views.Share.as_view()),
    path("shared", views.Shared.as_view()),
    path("user", views.Person.as_view()),
    path("sensors", views.Sensors.as_view()),
    path("sensor-settings", views.SensorSettings.as_view()),
    path("get", views.History.as_view()),
    path("upload", views.Upload.as_view()),
    path("pictures/<file>", views.picture),
]
