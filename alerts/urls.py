from django.urls import path

from alerts import views

urlpatterns = [
    path("alerts", views.Alerts.as_view()),
    path("push-register", views.PushRegister.as_view()),
    path("push-unregister", views.PushUnregister.as_view()),
    path("push-list", views.PushList.as_view()),
    path("webhooks", views.Webhooks.as_view()),
]
