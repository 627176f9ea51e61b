from django.urls import path

from accounts import views

urlpatterns = [
    path("register", views.Register.as_view()),
    path("sessions", views.Sessions.as_view()),
    path("sessions/<int:session_id>", views.Session.as_view()),
    path("settings", views.Settings.as_view()),
    path("request-delete", views.RequestDelete.as_view()),
    path("air_firmwareupdate", views.AirFirmwareUpdate.as_view()),
    path("apple-app-site-association", views.AppleAppSiteAssociation.as_view()),
    path(".well-known/apple-app-site-association", views.AppleAppSiteAssociation.as_view()),
]
