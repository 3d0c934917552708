"""OpenSMTPD's log: `mta delivery` and `relay: Expire` lines, each one outcome; whose mail it is stands in the line itself.

Source: OpenSMTPD 6.8 and 7 (mta.c, mda.c, smtp_session.c, queue.c). `source` is the sending address. The first 8 digits of an envelope's
id are the message's. Local deliveries (`mda`) are no mail to a provider.

May be wrong: the log does not name the Message-ID; a temporary failure without an answer (`Network error on destination MXs`) is
written also for envelopes that only waited for a route.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from collectors.delivery.fields import (
    LONGEST_NAME,
    LONGEST_TEXT,
    ip_of,
    mail_address,
    reply_code,
    status_code,
)
from collectors.delivery.outcomes import Event, Ignored, Outcome, Read, Unreadable
from collectors.delivery.syslog import LogLine, log_line
from collectors.replies.judgement_table import Category

FORMAT = "opensmtpd"
_DELIVERY = re.compile(
    r"[0-9a-f]{16} mta delivery evpid=(?P<id>[0-9a-f]{16}) from=<(?P<sender>.*?)> to=<(?P<to>.*?)> rcpt=<(?P<rcpt>.*?)> "
    r'source="(?P<source>[^"]*)" relay="(?P<relay>[^"]*)" delay=\S+ result="(?P<result>\w+)" stat="(?P<text>.*)"', re.DOTALL,
)  # fmt: skip
_EXPIRE = re.compile(
    r"relay: Expire for (?P<id>[0-9a-f]{16}): from=<(?P<sender>.*?)>, to=<(?P<to>.*?)>, (?:rcpt=<.*?>, )?(?:.*?, )?stat=(?P<text>.*)", re.DOTALL
)
_SESSION = re.compile(r"[0-9a-f]{16} (?P<kind>mta|mda|smtp) (?P<word>[a-z-]+)")
_RELAY = re.compile(r"\S+ \((?P<name>[^)]+)\)")
_RESULTS: Mapping[str, Outcome] = {
    "Ok": Outcome.DELIVERED, "TempFail": Outcome.DEFERRED, "PermFail": Outcome.BOUNCED, "Expire": Outcome.EXPIRED,
}  # fmt: skip
_CONTEXT = frozenset({"smtp message", "smtp envelope"})
_CUT = "cut short"


class OpenSmtpd:
    """Reads one line at a time; nothing is joined."""

    def __init__(self) -> None:
        self._written_on = datetime(1970, 1, 1, tzinfo=UTC)

    def begin(self, written_at: datetime, *, goes_on: bool = False) -> None:  # noqa: ARG002 - a log goes on in the next file
        self._written_on = written_at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)

    def __call__(self, record: bytes) -> Read:
        try:
            line = log_line(record.decode("utf-8", "replace"), self._written_on)
        except ValueError as error:
            return Unreadable(str(error))
        if line.tag not in ("smtpd", "opensmtpd") and not _SESSION.match(line.text):
            return Ignored(line.tag[:LONGEST_NAME] or "syslog")
        if expired := _EXPIRE.fullmatch(line.text):
            return [_event(line, Outcome.EXPIRED, expired)]
        session = _SESSION.match(line.text)
        if session is None:
            return Unreadable(_CUT) if line.text.startswith("relay: Expire") else Ignored("smtpd")
        return _session(line, session["kind"], session["word"])


def _session(line: LogLine, kind: str, word: str) -> Read:
    if kind == "mda":
        return Ignored("mda")
    if f"{kind} {word}" in _CONTEXT:
        return []
    if f"{kind} {word}" != "mta delivery":
        return Ignored(f"{kind} {word}"[:LONGEST_NAME])
    hit = _DELIVERY.fullmatch(line.text)
    if hit is None:
        return Unreadable(_CUT)
    outcome = _RESULTS.get(hit["result"])
    return [_event(line, outcome, hit)] if outcome else Ignored(f"result={hit['result']}"[:LONGEST_NAME])


def _event(line: LogLine, outcome: Outcome, hit: re.Match[str]) -> Event:
    fields, text = hit.groupdict(), hit["text"]
    relay = _RELAY.fullmatch(fields.get("relay") or "")
    return Event(
        outcome, line.at, mail_address(hit["to"]), sender=mail_address(hit["sender"]), ip=ip_of(fields.get("source")),
        mx=relay["name"] if relay else None, status=status_code(text[4:]), reply_code=reply_code(text), text=text[:LONGEST_TEXT] or None,
        category=Category.EXPIRED if outcome is Outcome.EXPIRED else None, node=line.host,
    )  # fmt: skip
