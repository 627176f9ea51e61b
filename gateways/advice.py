"""How a gateway fares in plain words, and what to do about it."""

from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.utils.translation import gettext as _

from gateways.models import Gateway, GatewayRejection, Policy
from gateways.selectors import REFUSED_WITHIN
from ruuvinet.lib.words import ago

_Rejection = Gateway.Rejection


class Advice(NamedTuple):
    """What is the case, and what to do; `is_bad` if nothing gets better by waiting."""

    says: str
    do: str = ""
    is_bad: bool = False


class Refused(NamedTuple):
    """Some posts that were refused lately for one reason, and what to do."""

    reason: str
    says: str
    do: str


def about(gateway: Gateway, now: datetime) -> list[Advice]:
    """All that there is to say about `gateway` at `now`, the most important first."""
    found = [_about_state(gateway, now)]
    if gateway.whitelisted_at and _is_refused(gateway, now):
        found.append(_about_rejection(gateway, now))
    if gateway.clock_offset_s is not None:
        found.append(
            Advice(
                _("Its clock is wrong by %d s.") % gateway.clock_offset_s,
                _(
                    "Readings that cannot be true get our time. Give it an NTP server that it can reach."
                ),
            )
        )
    if gateway.key_state == Gateway.KeyState.DEFAULT:
        found.append(
            Advice(
                _("It went back to its own key, as after each restart."),
                _("Both keys are good, so nothing is lost. It is offered the new one again."),
            )
        )
    return found


def _about_state(gateway: Gateway, now: datetime) -> Advice:
    match gateway.state(now):
        case Gateway.State.WAITING:
            return Advice(
                _("It knocked and waits for your decision. Its posts are refused meanwhile."),
                _("Whitelist it with the key printed on its bottom, or blacklist it."),
            )
        case Gateway.State.BLACKLISTED:
            return Advice(
                _("It is blacklisted: its posts are refused, and its key is forgotten."),
                _("Whitelist it to let it in again."),
            )
        case Gateway.State.SILENT if gateway.last_seen_at is None:
            return Advice(
                _("It is whitelisted, and has delivered nothing yet."),
                _("Check the address of this server, and the power and network of the gateway."),
                is_bad=True,
            )
        case Gateway.State.SILENT:
            return Advice(
                _("It is silent: its last accepted post came %s.")
                % ago(gateway.last_seen_at or now, now),
                _("Check its power and its network. It keeps no readings while it is cut off."),
                is_bad=True,
            )
    if gateway.last_seen_at is None:
        return Advice(_("It is whitelisted; its first post is awaited."))
    when = ago(gateway.last_seen_at, now)
    return Advice(_("All is well: its last accepted post came %s.") % when)


def _is_refused(gateway: Gateway, now: datetime) -> bool:
    at, since = gateway.rejected_at, gateway.whitelisted_at
    return at is not None and at > now - REFUSED_WITHIN and (since is None or at >= since)


def _about_rejection(gateway: Gateway, now: datetime) -> Advice:
    says = _("A post was refused %(when)s, from %(address)s: %(reason)s.") % {
        "when": ago(gateway.rejected_at or now, now),
        "address": gateway.rejected_address or _("an unknown address"),
        "reason": gateway.get_rejection_display(),
    }
    return Advice(says, remedy(gateway.rejection), is_bad=True)


def recently_refused(gateway: Gateway, now: datetime) -> list[Refused]:
    """What was refused lately, newest first; what to do stands with the first of each reason."""
    found: list[Refused] = []
    for each in gateway.rejections.order_by("-last_at"):
        is_settled = each.reason == _Rejection.UNKNOWN and gateway.whitelisted_at is not None
        is_said = any(each.get_reason_display() == before.reason for before in found)
        do = "" if is_settled or is_said else remedy(each.reason)
        found.append(Refused(each.get_reason_display(), _how_often(each, now), do))
    return found


def _how_often(rejection: GatewayRejection, now: datetime) -> str:
    told = {
        "when": ago(rejection.last_at, now),
        "address": rejection.address or _("an unknown address"),
        "times": rejection.times,
        "first": f"{rejection.first_at:%Y-%m-%d %H:%M}",
    }
    if rejection.times == 1:
        return _("%(when)s, from %(address)s") % told
    return _("%(when)s, from %(address)s; in %(times)d minutes since %(first)s") % told


def remedy(rejection: str) -> str:
    """What to do about posts that are refused for this reason; empty for none."""
    remedies: dict[str, str] = {
        _Rejection.UNKNOWN: _("Whitelist the gateway, if it is yours."),
        _Rejection.UNSIGNED: _(
            "Its posts carry no signature. Update its firmware, which signs each post; or give its "
            "group the policy “signature or credential” and the gateway a credential."
        ),
        _Rejection.SIGNATURE: _(
            "The key that was typed is not the one it signs with. Blacklist it, and whitelist it "
            "again with the device id printed on its bottom. If the address is not its own, "
            "somebody pretends to be it, and is kept out."
        ),
        _Rejection.NO_CREDENTIAL: _(
            "Its policy wants a credential, and it presents none: make one under Credentials, and "
            "type it into the gateway's page for the custom server."
        ),
        _Rejection.CREDENTIAL: _(
            "What it presents is revoked, expired or mistyped: make a new credential, and type it "
            "into the gateway."
        ),
        _Rejection.CERTIFICATE: _(
            "Its policy wants a client certificate. Check that the proxy asks for one, that it has "
            "not expired, and that its fingerprint or subject is among the credentials."
        ),
    }
    return remedies.get(rejection, "")


def period(gateway: Gateway) -> str:
    """Every how many seconds it is asked to post, and who says so."""
    if gateway.period_s:
        return _("%d s, its own") % gateway.period_s
    if gateway.group and gateway.group.period_s:
        return _("%(period)d s, from its group") % {"period": gateway.group.period_s}
    rate_s: int = settings.GATEWAY_RATE_S
    return _("%d s, from the settings") % rate_s


def policy(gateway: Gateway) -> str:
    """What its posts must present, and who says so."""
    if gateway.policy:
        return _("%s, its own") % gateway.get_policy_display()
    if gateway.group and gateway.group.policy:
        return _("%s, from its group") % gateway.group.get_policy_display()
    return _("%s, from the settings") % str(Policy(settings.GATEWAY_POLICY).label)


def reception(rssi_dbm: int) -> str:
    """Signal strength as people speak of it."""
    if rssi_dbm >= -65:
        return _("strong")
    if rssi_dbm >= -80:
        return _("good")
    return _("weak") if rssi_dbm >= -90 else _("barely heard")
