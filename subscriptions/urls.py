from django.urls import path

from subscriptions import views

urlpatterns = [
    path("subscription", views.MySubscription.as_view()),
    path("subscription-register", views.SubscriptionRegister.as_view()),
]
