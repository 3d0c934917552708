"""Why was a recipient refused, is it gone for good, and who can put it right?

Reads one refusal (enhanced status, reply code, diagnostic text) against an ordered table of what MTAs and
mailbox providers say (`patterns/*.yaml`); where the text says nothing known, the codes decide (RFC 3463,
RFC 5248, RFC 5321). Codes alone are right about half the time for hard or soft, hence text first.
A refusal of the sender (after HELO or MAIL FROM, x.1.7, x.1.8, a failed sender check) never says that a
recipient is gone, whatever words it uses. May be wrong where a provider answers with another one's words, or
hides its reason on purpose.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from collectors.replies.judgement_table import CATEGORIES, Belief, Known, Row, table
from collectors.replies.phrases import plain

__all__ = ["CATEGORIES", "Judgement", "judge"]

TEXT_LIMIT = 2_000  # a refusal that matters fits in here; the rest is a returned mail or an attack

# Both patterns look back only from a digit they may begin with: that is five times quicker to search for.
# x.y.z, also behind "550-"; not a version ("v5.1.2", "Exim 4.92.3"), an address (192.5.1.1) or a date (5.1.2015)
_ENHANCED = re.compile(
    r"([45](?:(?<=\b[45][0-57][0-9]-[45])|(?<![\w.\-][45]))(?<!version [45])\.[0-7]\.[0-9]{1,3})"
    r"(?![.]?[0-9A-Za-z])"
)
# three digits as an SMTP server says them, not a size, a port, a year or a part of an address
_REPLY = re.compile(
    r"([45](?<![\w.\-/@:+$][45])[0-57][0-9])(?=[ \-:;,)\]\"']|$|\.(?:\s|$))(?!-?\d(?!\.[0-9]{1,3}\.[0-9]))"
    r"(?! (?:[Bb]ytes|octets|[kKmMgG]i?[bB]|seconds|minutes|hours|days|recipients|messages|times))",
)
# glued to a word that announces it
_REPLY_IN_GLUE = re.compile(
    r"(?:smtp;|said:|code ?:|code=|error:|error |reply:|response:|#)\s?([45][0-57][0-9])(?=[ \-#:,;]|$)",
    re.IGNORECASE,
)
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_CONTINUED = re.compile(r" [45][0-57][0-9]-(?:[45]\.[0-7]\.[0-9]{1,3} )?")
_PEER = re.compile(r"host ([^\s\[]{1,255}) ?\[[0-9a-f.:]{2,45}\]")
# The step of the SMTP dialogue that was refused, as Postfix, Exim, sendmail, qmail and others name it.
_DIALOGUE = re.compile(r">>> ?(?:mail|helo|ehlo|lhlo|auth)\b(?:(?!>>>).){0,400}?<<< ?[45][0-9][0-9]")
_STEP = r"\b(?:after|in (?:reply|response) to|following|during|response to) (?:the )?(?:pipelined )?"
_SENDER_STEP = re.compile(
    _STEP + r"(?:mail from|mail command|helo|ehlo|lhlo|starttls|auth\b|initial connection)|\bmail_from\b"
)
_RECIPIENT_STEP = re.compile(_STEP + r"(?:rcpt|end of data|data)|\brcpt_to\b")
# The sender was looked at and refused, whoever is named; in texts as `plain` writes them.
_SENDER_CHECK = re.compile(
    r"\b(?:sender(?: address)? (?:rejected|denied|refused|verify|verification|callout|callback|unknown|not )"
    r"|senders? (?:e-?mail |mail )?domain|senders? (?:address |host |email )?(?:does not|doesnt|isnt|is not)"
    r"|(?:callout|callback) (?:verification|setup)|(?:invalid|unknown|bad|unverified) (?:envelope )?sender"
    r"|verif(?:y|ying|ication of|ication for|ication failed for)? (?:the |your |envelope )?"
    r"(?:sender|return[ -]path|reverse[ -]path|mail from|from address)"
    r"|(?:domain|host|mailbox|address|account) of (?:the )?(?:sender|originator|return[ -]path)"
    r"|sending domain|(?:return|reverse)[ -](?:path|address)"
    r"|(?<!check )your (?:from |sender |envelope |sending |e-?mail )?(?:domain|address(?! book)|account(?! manager))\b"
    r"|from (?:address|domain|header)\b)"
)
_SENDER_WORDS = ("sender", "from", "your ", "return", "reverse", "sending", "originator", "call")
_STEP_WORDS = ("after ", " to ", "following ", "during ", "mail_from")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one refusal means. `hard`: suppress the recipient. `pattern`: the row that said so, if any did."""

    category: str
    hard: bool
    status: str | None  # as given, or the better code the text holds
    reply_code: str | None
    judged_status: str | None  # `status`; where nobody states a code, the one that fits the category
    provider: str | None
    meaning: str
    who_acts: str  # us, customer, provider, recipient
    what_to_do: str
    scope: Mapping[str, str]  # what the refusal names: ip, dkim_domain, spf_domain, url, sender, dnsbl
    pattern: str | None


def judge(
    status: str | None,
    reply_code: str | None,
    text: str,
    *,
    provider: str | None = None,
    remote: str | None = None,
) -> Judgement:
    """Judge one refusal; `remote` is the host that refused, where the caller knows it."""
    answer = " ".join(text[:TEXT_LIMIT].split())
    status, reply_code = read_codes(status, reply_code, answer)
    words = answer.lower()
    provider = provider or table().provider_at(remote or _peer(words))
    words = _without_peer(words)
    known = Known(status, reply_code, provider, Belief.NONE if _refused_early(words) else Belief.ALL)
    row, hard = _row(plain(words), known)
    return Judgement(
        category=row.category,
        hard=hard and not _for_now(status, reply_code),
        status=status,
        reply_code=reply_code,
        judged_status=status or _fitting(row.category, reply_code),
        provider=provider or row.provider,
        meaning=row.meaning,
        who_acts=row.who_acts,
        what_to_do=row.what_to_do,
        scope=_scope(row, words),
        pattern=row.id,
    )


def _peer(words: str) -> str | None:
    """The name of the server that answered, where Postfix, Exim and others print it before the answer."""
    hit = _PEER.search(words) if "host " in words else None
    return hit[1] if hit else None


def _without_peer(answer: str) -> str:
    """The answer without the name of the server that gave it and without the codes of continued lines."""
    if " host " in answer or answer.startswith("host "):
        answer = _PEER.sub("", answer)
    return _CONTINUED.sub(" ", answer) if "-" in answer else answer


def _refused_early(words: str) -> bool:
    """Whether a transcript shows that the server refused before a recipient was named."""
    return ">>>" in words and _DIALOGUE.search(words) is not None and ">>> rcpt" not in words


@functools.lru_cache(maxsize=4_096)  # a campaign meets the same refusal thousands of times
def _row(text: str, known: Known) -> tuple[Row, bool]:
    """The row that explains the refusal, and whether the recipient is gone by it; `text` as `plain` writes it."""
    known = known._replace(belief=min(known.belief, believable(known.status, text)))
    row = table().first(text, known)
    return row, row.is_hard(known)


def believable(status: str | None, text: str) -> Belief:
    """How far words about a recipient can be believed; `text` as `plain` writes it.

    None of them where the sender was refused; only those that leave no doubt where the status speaks of
    systems (x.3), the message (x.6) or policy (x.7); else all.
    """
    subject, _, detail = (status or "..")[2:].partition(".")
    if subject == "1" and detail in ("7", "8"):
        return Belief.NONE
    if any(word in text for word in _SENDER_WORDS) and _SENDER_CHECK.search(text):
        return Belief.NONE
    step = any(word in text for word in _STEP_WORDS) and _SENDER_STEP.search(text)
    if step and not _RECIPIENT_STEP.search(text):
        return Belief.NONE
    return Belief.PLAIN if subject in ("3", "6", "7") else Belief.ALL


def _fitting(category: str, reply_code: str | None) -> str | None:
    """The enhanced status that says what the words say, where no system stated any."""
    status = table().status_of.get(category)
    return f"{reply_code[0]}{status[1:]}" if status and reply_code else status


def _scope(row: Row, words: str) -> Mapping[str, str]:
    named: dict[str, str] = {}
    for name, pattern in row.scope:
        hit = pattern.search(words)
        if hit:
            named[name] = next(filter(None, hit.groups())).strip("[]()<>.,;:'\"")
    return MappingProxyType(named)


def _for_now(status: str | None, reply_code: str | None) -> bool:
    """True for a transient answer. The reply code speaks first: gateways often rewrite the status."""
    return (reply_code or status or "5").startswith("4")


def read_codes(status: str | None, reply_code: str | None, answer: str) -> tuple[str | None, str | None]:
    """The true enhanced status and reply code: what was given, unless the text knows better.

    It does where the given status leaves open what happened (x.0.0, x.y.0; RFC 3463 section 3), or says only
    that the time was over (x.4.7), and the text holds one that does not.
    """
    given = status.strip()[:9] if status else None
    if given is not None and not _STATUS.fullmatch(given):
        given = None
    if given is None or given.endswith((".0", ".4.7")):
        given = _better(given, _ENHANCED.findall(answer))
    if reply_code is None or not re.fullmatch(r"[245][0-9][0-9]", reply_code):
        heard = _REPLY.findall(answer) or _REPLY_IN_GLUE.findall(answer)
        fitting = [code for code in heard if given is None or code[0] == given[0]]
        reply_code = _first(fitting) or _first(heard)
    return given, reply_code


def _better(given: str | None, inside: list[str]) -> str | None:
    """The given status, or the first in the text that says more."""
    if given is None or given.endswith(".0.0"):
        return _first([code for code in inside if not code.endswith(".0.0")]) or given or _first(inside)
    better = [code for code in inside if code[0] == given[0] and not code.endswith((".0", ".4.7"))]
    return _first(better) or given


def _first(codes: list[str]) -> str | None:
    return codes[0] if codes else None
