"""The mail a report is about: its header fields, and what they say where the report is silent.

Microsoft's feedback since June 2026 states no IP, no recipient and no date; others mask or hash them. What is
missing is read from the attached header in the order of trust: what the receiver itself wrote
(X-Originating-IP, client-ip of its SPF check), then the first public address down the Received chain.
May be wrong where the sender forged Received lines below the receiver's own and that one names no address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from collectors.mail import fields, ip, times
from collectors.mail.mime import Headers, Part
from collectors.mail.report import Inferred

_MOST_VALUE, _MOST_HOPS = 2_000, 50
_LONGEST_ADDRESS = 64
_CLIENT_IP = re.compile(
    r"(?:client-ip=|remote-ip=|(?i:sender ip is) |designates |CIP:)\[?(?i:IPv[46]:)?([0-9a-fA-F.:]{2,45})"
)
_BRACKETED = re.compile(r"[\[(](?:IPv6:)?([0-9a-f.:]{3,45})[\])]", re.IGNORECASE)
_BARE = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?![\w.])")
_SIGNER = re.compile(r"(?:^|;)\s*d=\s*([^;\s]+)")
_HASHED = re.compile(r"^[0-9a-f]{32}(?:[0-9a-f]{8,32})?@", re.IGNORECASE)
_MASKED = re.compile(r"redacted|undisclosed|\bx+@|^\[.*\]$|^unknown@", re.IGNORECASE)
# Not reachable from outside, so never the address a mail was received from. Documentation networks are.
_INSIDE: dict[int, tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]] = {
    4: tuple(map(ipaddress.IPv4Network, (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.168.0.0/16", "224.0.0.0/3",
    ))),
    # the last one: Exchange Online between its own servers
    6: tuple(map(ipaddress.IPv6Network, ("::/127", "fc00::/7", "fe80::/10", "ff00::/8", "2603:1000::/24"))),
}


def headers(part: Part | None, stated: dict[str, str] | None = None) -> Mapping[str, str]:
    """Fields of the reported or returned mail by lower-case name, and what is stated about it."""
    return Headers(part, stated) if part else stated or {}


def report_headers(part: Part) -> Mapping[str, str]:
    """Fields of the report mail itself; `dkim` lists the domains that claim to have signed it."""
    signers = [hit[1].lower() for value in part.all("dkim-signature") if (hit := _SIGNER.search(value))]
    return Headers(part, {"dkim": " ".join(dict.fromkeys(signers))} if signers else None)


def message_id(part: Part | None) -> str | None:
    return (part.get("message-id") or part.get("original-message-id") or None) if part else None


def feedback_id(part: Part | None) -> str | None:
    """The id its sender gave the mail (RFC 9477, else Gmail's field), without white space."""
    if part is None:
        return None
    value = part.get("cfbl-feedback-id") or part.get("feedback-id")
    return "".join(value.split()) or None


def infer(part: Part | None, stated_ip: str | None = None) -> Inferred:
    """Sending IP, envelope sender, recipient and time of arrival, as far as the attached header shows them.

    Where the report states an IP, be it masked or broken, none is inferred: the two may be of different senders,
    and a complaint would count against somebody it is not about.
    """
    if part is None:
        return Inferred()
    return Inferred(
        source_ip=None if stated_ip else source_ip(part),
        original_mail_from=fields.address(part.get("return-path")) or None,
        original_rcpt_to=_recipients(part),
        arrival_at=arrival(part),
    )


def is_redacted(address: str) -> bool:
    """Whether an address was hashed or masked by the reporter."""
    return is_hashed(address) or bool(_MASKED.search(address))


def is_hashed(address: str) -> bool:
    """Whether the reporter put a one-way hash in the place of the local part: another one for each recipient."""
    return bool(_HASHED.match(address))


def public(text: str) -> str | None:
    """The address a text names, in its usual spelling, if it may be one on the internet."""
    return _public(text) if len(text) <= _LONGEST_ADDRESS else _public.__wrapped__(text)


@lru_cache(maxsize=4096)  # the addresses of one sender's mails are few
def _public(text: str) -> str | None:
    address = ip.read(text)
    if address is None:
        return None
    parsed = ipaddress.ip_address(address)
    return None if any(parsed in net for net in _INSIDE[parsed.version]) else address


def source_ip(part: Part) -> str | None:
    """The address it was received from, as far as its header shows it."""
    if address := public(part.get("x-originating-ip")):
        return address
    for name in ("received-spf", "authentication-results", "x-forefront-antispam-report"):
        for value in part.all(name):
            hit = _CLIENT_IP.search(value[:_MOST_VALUE])
            if hit and (address := public(hit[1])):
                return address
    for hop in part.all("received")[:_MOST_HOPS]:
        sender = hop[:_MOST_VALUE].partition(" by ")[0]  # who handed it over, not who took it
        for hit in (*_BRACKETED.finditer(sender), *_BARE.finditer(sender)):
            if address := public(hit[1]):
                return address
    return None


def _recipients(part: Part) -> tuple[str, ...]:
    for name in ("x-hmxmroriginalrecipient", "original-recipient", "x-original-to", "delivered-to",
                 "x-apparently-to", "envelope-to"):
        if addresses := fields.addresses(part.get(name)):
            return tuple(addresses)
    addresses = fields.addresses(part.get("to"))
    return tuple(addresses) if len(addresses) == 1 and not is_redacted(addresses[0]) else ()


def arrival(part: Part) -> datetime | None:
    """When the topmost Received says that it came."""
    hops = part.all("received")
    return times.moment(hops[0].rpartition(";")[2].strip()) if hops else None
