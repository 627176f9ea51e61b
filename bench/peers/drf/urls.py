from django.urls import path

from bench.peers.drf.views import Record

urlpatterns = [path("record", Record.as_view())]
