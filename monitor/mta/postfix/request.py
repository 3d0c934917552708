"""What Postfix asks, and what it is answered. Pure.

Source: Postfix SMTPD_POLICY_README: lines `name=value` up to an empty one; `action=…` and an empty line. Attributes not known here
are left alone, of one that comes twice the last counts. `recipient` is only there at RCPT, or later where it is the only one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from monitor.config.mta import WhenAway
from monitor.gate import Decided, Index, Request, canonical, decide
from monitor.inventory.known import KnownNames
from monitor.inventory.owners import Owners

LONGEST_LINE, MOST_LINES = 4096, 200
AWAY_AFTER = timedelta(minutes=15)  # restrictions so old are not known any more; those that still hold stay
DUNNO = "DUNNO"
_LONGEST_ANSWER = 400
_PAIR = re.compile(r"(customer|stream|campaign)=([^\s,;]{1,255})(?:[\s,;]|$)")


class NoRequestError(ValueError):
    """These lines are no request: the connection is closed without an answer, as the protocol wants it."""


def read_request(lines: list[bytes]) -> dict[str, str]:
    """The attributes. Raises NoRequestError."""
    attributes: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.decode("utf-8", "replace").partition("=")
        if not equals or not name:
            raise NoRequestError(f"{line[:80]!r} is no attribute")
        attributes[name] = value.strip()
    if attributes.get("request") != "smtpd_access_policy":
        raise NoRequestError("it asks for no smtpd_access_policy")
    return attributes


def asked_of(attributes: Mapping[str, str], owners: Owners, names: KnownNames) -> Request | None:
    """Whose mail it is and where to: by the policy context, else the sender's domain, else the login; None: nobody's we know."""
    stated = dict(_PAIR.findall(attributes.get("policy_context", "")))
    domain = _domain(attributes.get("sender", ""))
    customer, stream = stated.get("customer"), stated.get("stream")
    if customer is None and domain is not None:
        customer, stream = owners.owner("domain", domain), owners.stream_of(domain)
    login = attributes.get("sasl_username", "")
    if customer is None and login and login in names.parts.get("customers", frozenset()):
        customer, stream = login, None
    if customer is None:
        return None
    recipient = attributes.get("recipient", "")
    return Request(
        customer=customer, stream=stream, campaign=stated.get("campaign"), domain=domain, recipient_domain=_domain(recipient),
        message=f"{recipient} {attributes.get('sender', '')}"[:1000] if recipient else None,
    )  # fmt: skip


def action(request: Request | None, index: Index | None, now: datetime, when_away: WhenAway) -> str:
    """`DUNNO`, or `DEFER` and why. `index` None: nothing was ever known."""
    if request is None:
        return DUNNO
    away = index is None or now - index.built_at > AWAY_AFTER
    if index is not None:
        decision = decide(request, index, now)
        if decision.decision is Decided.HOLD:
            return _deferred("; ".join(dict.fromkeys(reason.text for reason in decision.reasons if reason.effect == Decided.HOLD)))
    return _deferred("the restrictions are not known") if away and when_away is WhenAway.DEFER else DUNNO


def _deferred(reason: str) -> str:
    """One line of printable ASCII."""
    text = "".join(char if " " <= char <= "~" else "?" for char in " ".join(reason.split()))
    return f"DEFER {text}"[:_LONGEST_ANSWER].rstrip()


def _domain(address: str) -> str | None:
    _, at, domain = address.rpartition("@")
    try:
        return canonical("domain", domain) if at and domain else None
    except ValueError:
        return None
