"""Every list of the console, with few and with many rows: no query for each row."""

import pytest
from django.contrib import admin
from django.test import RequestFactory
from django.urls import reverse

from accounts.models import User
from ruuvinet.lib.mac import Mac
from tests.console.rows import GATEWAY, SENSOR, add_row, numbers

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
PAGES = {f"{m._meta.app_label}_{m._meta.model_name}": m for m in admin.site._registry}


@pytest.mark.parametrize("page", PAGES)
def test_queries_do_not_grow_with_rows(admin_client, page, django_assert_num_queries):
    url = reverse(f"admin:{page}_changelist")
    for _ in range(2):
        add_row()
    admin_client.get(url)
    with django_assert_num_queries(12, exact=False) as few:
        admin_client.get(url)
    for _ in range(6):
        add_row()
    with django_assert_num_queries(len(few.captured_queries)):
        reply = admin_client.get(url)
    assert reply.context["cl"].result_count >= 8


@pytest.mark.parametrize("page", PAGES)
def test_every_list_can_be_searched_or_filtered(page):
    of = admin.site._registry[PAGES[page]]
    assert of.search_fields or of.list_filter


@pytest.mark.parametrize(
    ("page", "address"),
    [
        ("gateways_gateway", GATEWAY),
        ("gateways_gatewaystatus", GATEWAY),
        ("gateways_gatewayreset", GATEWAY),
        ("sensors_sensor", SENSOR),
        ("sensors_latest", SENSOR),
        ("alerts_alertevent", SENSOR),
        ("alerts_alertrule", SENSOR),
    ],
)
def test_rows_are_found_by_an_address_or_its_last_digits(admin_client, page, address):
    url = reverse(f"admin:{page}_changelist")
    for _ in range(3):
        add_row()
    mac = str(Mac(address + next(numbers) - 1))
    for term in (mac, mac.lower().replace(":", "-"), mac[-5:], mac[-5:].replace(":", "")):
        assert admin_client.get(url, {"q": term}).context["cl"].result_count == 1
    assert admin_client.get(url, {"q": "AA:BB:CC:DD:EE:FF"}).context["cl"].result_count == 0


@pytest.mark.parametrize("page", PAGES)
def test_whatever_is_searched_for_is_answered(admin_client, page):
    url = reverse(f"admin:{page}_changelist")
    for term in ("porch", "\u0661\u0662\u0663\u0664", "' OR 1=1", "AA:BB", "%_"):
        assert admin_client.get(url, {"q": term}).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_a_row_opens(admin_client, page):
    add_row()
    row = PAGES[page].objects.order_by("-pk").first()
    url = reverse(f"admin:{page}_change", args=[row.pk])
    assert admin_client.get(url).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_every_form_for_a_new_row_opens_or_is_refused(admin_client, page):
    status = admin_client.get(reverse(f"admin:{page}_add")).status_code
    request = RequestFactory().get("/")
    request.user = User.objects.get(email="admin@example.com")
    may_add = admin.site._registry[PAGES[page]].has_add_permission(request)
    assert status == (200 if may_add else 403)


def test_a_persons_password_can_be_changed(admin_client, admin_user):
    url = reverse("admin:auth_user_password_change", args=[admin_user.pk])
    assert admin_client.get(url).status_code == 200
