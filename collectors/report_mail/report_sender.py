"""Is a feedback report from whom it says it is from? Read from what our own mail server found (RFC 8601).

RFC 9477 forbids acting on a report without a valid DKIM signature of its From domain: anybody can write a
mail that makes a customer look bad. The server that took the mail in has checked the signature while its key
was there to be looked up; the topmost `Authentication-Results` field says so. Only a field with our server's
own name is believed, which that server must remove from mails that come in with it (RFC 8601, section 5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from collectors.mail.fields import address
from collectors.providers import ProviderTable

_PASS = re.compile(r"\s*(dkim|dmarc)(?:\s*/\s*\d+)?\s*=\s*pass\b", re.IGNORECASE)
_DOMAIN = {  # method → where the domain stands that passed
    "dkim": re.compile(r"\bheader\.(?:d|i)\s*=\s*(?:[^\s;]*@)?([\w.-]+)", re.IGNORECASE),
    "dmarc": re.compile(r"\bheader\.from\s*=\s*(?:[^\s;]*@)?([\w.-]+)", re.IGNORECASE),
}
_SYSTEMS = frozenset({"mailer-daemon", "postmaster"})  # RFC 3464, RFC 5321 section 4.5.1
_EXCHANGE = "microsoftexchange329e71ec88ae4615bbc36ab6ce41109e"
_STRUCTURE = frozenset("=;() \t")  # inside quotes these are only text


def is_vouched_for(headers: Mapping[str, str], server: str) -> bool:
    """Whether `server` found the From domain of a mail with these headers signed (DKIM or DMARC pass)."""
    sender = sender_of(headers).rpartition("@")[2]
    return bool(sender) and any(_is_of(sender, signer) for signer in signers(headers, server))


def signers(headers: Mapping[str, str], server: str) -> frozenset[str]:
    """The domains `server` found to have signed a mail with these headers, in lower case."""
    name, *results = _bare(headers.get("authentication-results", "")).split(";")
    if name.lower().split()[:1] != [server.lower()]:  # a version number may follow the name
        return frozenset()
    return frozenset(signer.lower().strip(".") for result in results for signer in _signers(result))


def sender_of(headers: Mapping[str, str]) -> str:
    """The address a mail is from, in lower case."""
    return address(headers.get("from", "")).lower()


def is_mail_system(headers: Mapping[str, str]) -> bool:
    """Whether the From address is one that a provider gives to none of its users."""
    local = sender_of(headers).partition("@")[0]
    return local in _SYSTEMS or local.startswith(_EXCHANGE)


def speaks_for(headers: Mapping[str, str], recipient: str | None, providers: ProviderTable) -> bool:
    """Whether the sender may say what became of a recipient: it is its domain, or its mailbox provider.

    Anybody can sign for a domain of their own, and report about everybody else's recipients. A recipient the
    report hides is named by nobody but our own records. Too strict for reports passed on by a third party.
    """
    sender = sender_of(headers).rpartition("@")[2]
    theirs = address(recipient or "").rpartition("@")[2].lower()
    if recipient is None or (sender and (_is_of(sender, theirs) or _is_of(theirs, sender))):
        return True
    ends = [".".join(sender.split(".")[start:]) for start in range(sender.count(".") + 1)]
    provider = providers.of_domain(theirs)
    return provider is not None and provider in map(providers.of_domain, ends)


def _bare(value: str) -> str:
    """Without comments, and with quoted text that cannot be taken for more; nothing where one never ends.

    Senders write into this field: an address may read `"; dkim=pass header.d=example.org"@example.net`.
    """
    kept: list[str] = []
    depth, quoted, escaped = 0, False, False
    for char in value:
        if escaped:
            escaped = False
        elif char == "\\" and (quoted or depth):
            escaped = True
        elif char == '"' and not depth:
            quoted = not quoted
        elif char in "()" and not quoted:
            depth = max(0, depth + (1 if char == "(" else -1))
            kept.append(" ")
        elif not depth:
            kept.append("_" if quoted and char in _STRUCTURE else char)
    return "" if depth or quoted else "".join(kept)


def _signers(result: str) -> list[str]:
    method = _PASS.match(result)
    return _DOMAIN[method[1].lower()].findall(result) if method else []


def _is_of(sender: str, signer: str) -> bool:
    """RFC 9477: the signing domain is the From domain or a parent of it, and not just a top-level domain."""
    return "." in signer and (sender == signer or sender.endswith(f".{signer}"))
