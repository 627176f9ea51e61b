"""Every text of the console can be translated: with all that is marked in «», nothing is outside."""

import re
from html.parser import HTMLParser

import pytest
from django.utils import translation

from alerts.models import Delivery
from tests.console.pages import URLS, filled, row_of
from tests.console.rows import add_row

pytestmark = [pytest.mark.django_db, pytest.mark.storage]

# What people, gateways and sensors call things, as tests.console.rows has it; names; units.
DATA = re.compile(
    r"\S+@\S+|[0-9A-F:]{17}|\S+\.example\.com|\b(?:rights|group|plan) \d+|POST /x|POWER_ON|"
    r"\b(?:shop|basic|Porch|AccountVerification|UNIT_TEMPERATURE|Viewer|Operator|Administrator|"
    r"RuuviNet|iOS|Android|CSV|JSONL|dBm|[kM]B|Esc|UTC|Europe/Helsinki|Add account)\b",
    re.IGNORECASE,
)
# Of Django and of axes, which do not mark them; names of rights, which lie in the database.
OF_OTHERS = re.compile(
    r"\| Can (?:add|change|delete|view) |this form|Attempted Access|Failed access|Access Log|^Axes$|^Status$|<unknown>"
)


class Marking:
    """Stands in for Django's catalogues, of which there are none, and marks what it is asked for."""

    def __init__(self, catalogues):
        self.catalogues = catalogues

    def __getattr__(self, name):
        return getattr(self.catalogues, name)

    def gettext(self, text):
        return f"«{text}»" if text else ""

    def pgettext(self, context, text):
        return f"«{text}»"

    def ngettext(self, one, many, number):
        return f"«{one if number == 1 else many}»"

    def npgettext(self, context, one, many, number):
        return f"«{one if number == 1 else many}»"


class Texts(HTMLParser):
    """What a page says to people: its text, and attributes that are shown or read out."""

    SILENT = {"script", "style", "code", "pre"}
    SAID = {"aria-label", "title", "placeholder", "alt"}
    VOID = {"input", "img", "br", "hr", "link", "meta", "source", "path", "circle", "rect"}

    def __init__(self):
        super().__init__()
        self.open, self.found = [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        is_icon = "material-symbols" in (given.get("class") or "")
        if tag not in self.VOID:
            self.open.append(tag in self.SILENT or is_icon)
        self.found += [given[name] or "" for name in self.SAID & given.keys()]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            self.open.pop()

    def handle_data(self, data):
        if not any(self.open):
            self.found.append(data)


def outside(text):
    """What of it is in no «». These may lie in one another, and around tags or what was cut off."""
    while text != (text := re.sub("«[^«»]*»", "", text)):
        pass
    return re.sub("^[^«»]*»|«[^«»]*$", "", text)


def unmarked(page):
    texts = Texts()
    texts.feed(page)
    left = {" ".join(outside(text).split()) for text in texts.found}
    return {
        text
        for text in left
        if re.search("[A-Za-z]{2}", DATA.sub("", text)) and not OF_OTHERS.search(text)
    }


@pytest.fixture
def marked(admin_client, monkeypatch):
    monkeypatch.setattr(translation, "_trans", Marking(translation._trans))
    return admin_client


def test_what_is_not_marked_is_noticed():
    page = '<p title="Gone">«Told «2 hours»» by C8:25:2D:8E:9C:2C<i>often</i></p><pre>never</pre>'
    assert unmarked(page) == {"Gone", "by C8:25:2D:8E:9C:2C", "often"}


@pytest.mark.parametrize("route", URLS)
def test_every_text_of_a_page_is_marked(marked, route):
    add_row()
    name = URLS[route]
    reply = marked.get(filled(route, name))
    if reply.headers.get("Content-Type", "").startswith("text/html") and reply.status_code == 200:
        assert unmarked(reply.text) == set()


@pytest.mark.parametrize(
    ("page", "action"),
    [
        ("gateways_gateway", "whitelist"),
        ("gateways_gateway", "blacklist"),
        ("gateways_gateway", "offer_key"),
        ("gateways_credential", "revoke"),
        ("alerts_delivery", "retry_now"),
        ("accounts_outgoingmail", "retry_now"),
        ("subscriptions_plan", "give"),
        ("subscriptions_plan", "make_codes"),
        ("subscriptions_plan", "make_default"),
        ("subscriptions_code", "withdraw"),
        ("subscriptions_subscription", "extend"),
        ("sensors_sensor", "unclaim"),
        ("accounts_user", "delete_selected"),
    ],
)
def test_every_text_of_an_action_is_marked(marked, page, action):
    add_row()
    Delivery.objects.update(status="failed")
    row = row_of(f"{page}_")
    url = f"/admin/{page.replace('_', '/')}/"
    reply = marked.post(url, {"action": action, "_selected_action": [row.pk]}, follow=True)
    assert unmarked(reply.text) == set()


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/admin/gateways/gateway/add/", {"mac": "AA:BB:CC:DD:EE:FF"}),
        ("/admin/gateways/gateway/import/", {"confirm": "yes", "pasted": "x,y\n"}),
        ("/admin/gateways/networkrule/add/", {"network": "here"}),
        ("/admin/gateways/gatewaygroup/add/", {"name": "new", "template": "{"}),
        ("/admin/alerts/alertrule/add/", {"type": "offline"}),
    ],
)
def test_every_complaint_is_marked(marked, url, body):
    reply = marked.post(url, body)
    assert reply.status_code == 200
    assert unmarked(reply.text) == set()
