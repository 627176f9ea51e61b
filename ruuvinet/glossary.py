"""Ruuvi's words, explained to operators: a page of the console."""

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

WORDS = [
    (
        _("Gateway"),
        _("The box that hears sensors by Bluetooth and posts what it heard to this server."),
    ),
    (
        _("Whitelist"),
        _(
            "To let a gateway in: its key is stored, and from then on its signed posts are taken. "
            "A gateway that knocks without being whitelisted waits, and its posts are refused."
        ),
    ),
    (
        _("Blacklist"),
        _("To refuse a gateway and forget its key. It can be whitelisted again, with a key."),
    ),
    (
        _("Key"),
        _(
            "What a gateway signs its posts with. At first its device id, eight bytes printed on "
            "its bottom; a new one can be offered to it, which it takes with its next post."
        ),
    ),
    (
        _("Policy"),
        _("What a post must carry to be believed: a signature, a credential, or both."),
    ),
    (
        _("Period"),
        _("Every how many seconds a gateway is asked to post. It is told so in each answer."),
    ),
    (
        _("Claim"),
        _(
            "To become the owner of a sensor, in the Ruuvi Station app. A sensor has one owner at "
            "most; to unclaim it gives it up. A new owner sees nothing of the one before."
        ),
    ),
    (
        _("Contest"),
        _("To claim a sensor that somebody else owns, by the secret that is on its label."),
    ),
    (
        _("Share"),
        _(
            "That an owner lets another person read a sensor. Whoever has not signed up yet is "
            "invited by mail, and gets the share when signing up: until then it is pending."
        ),
    ),
    (_("Public"), _("A sensor that everybody who signed in may read.")),
    (
        _("Heard in the air"),
        _("Every sensor within reach of a gateway, with its newest reading, claimed or not."),
    ),
    (
        _("Dense and sparse"),
        _(
            "The history of a sensor, kept twice: dense has the first reading of each minute, "
            "sparse that of each quarter of an hour, which is kept longer."
        ),
    ),
    (
        _("Movement counter"),
        _(
            "A number in each reading that grows by one when the sensor is moved, and starts again "
            "at 0. A movement rule triggers when it changes."
        ),
    ),
    (
        _("Offset"),
        _("What the owner adds to a quantity to calibrate it; the stored readings stay as sent."),
    ),
    (
        _("Signal strength"),
        _("How loud a gateway hears a sensor, in dBm: -50 is close, -90 is barely heard."),
    ),
    (
        _("Delivery"),
        _(
            "That one phone, address or webhook is to be told of one alert. It is tried again "
            "until it arrives, or fails for good."
        ),
    ),
    (
        _("Plan and code"),
        _(
            "A plan says what people may do: how many sensors, how much history. A code is sold "
            "for a plan; whoever types it in the app has a subscription from then on."
        ),
    ),
]


def words(request: HttpRequest) -> TemplateResponse:
    context = admin.site.each_context(request) | {"title": _("Ruuvi's words"), "words": WORDS}
    return TemplateResponse(request, "admin/words.html", context)
