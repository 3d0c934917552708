"""Momentum's (formerly Message Systems) mainlog, bouncelog, rejectlog and fbllog: fields between `@`, the kind at the fifth place.

Source: SparkPost support-docs, momentum/4/log-formats. A time is seconds, from 5.3 on 16 digits of microseconds. A delivery (`D`)
names only the domain: recipient and sender are those of the reception (`R`) of the same message id. The last field is text and may
contain `@`. A line of the fbllog has neither batch nor connection.

May be wrong: of a message to several recipients at one domain the first is taken for the one of a `D`, `T` or `P`; a `D` whose `R` was not given has no recipient; `F` is
drawn from mails that anybody can send, so it is not `verified`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from collectors.delivery.fields import (
    LONGEST_NAME,
    LONGEST_TEXT,
    mail_address,
    reply_code,
    status_code,
)
from collectors.delivery.open_messages import OpenMessages
from collectors.delivery.outcomes import Event, Ignored, Outcome, Read, Unreadable
from collectors.instants import checked
from collectors.mail.report import COMPLAINTS
from collectors.replies.judgement_table import Category

FORMAT = "momentum"
_REJECT = re.compile(r"\d{10,16}: R=")
_TIMES = (10, 16)
CLASSES: Mapping[str, Category] = {
    "10": Category.INVALID_RECIPIENT, "20": Category.UNKNOWN, "21": Category.NETWORK, "22": Category.MAILBOX_FULL, "23": Category.TOO_BIG,
    "24": Category.EXPIRED, "30": Category.INVALID_RECIPIENT, "40": Category.UNKNOWN, "50": Category.POLICY, "51": Category.POLICY,
    "52": Category.CONTENT, "53": Category.CONTENT, "54": Category.RELAYING, "60": Category.VACATION, "70": Category.RATE_LIMITED,
}  # fmt: skip
_ADMIN = frozenset({"25", "80"})
_CUT = "cut short"


class Momentum:
    """Reads the lines of one machine's logs in their order."""

    def __init__(self) -> None:
        self._messages: OpenMessages[str] = OpenMessages()
        self._failed: OpenMessages[tuple[str, str]] = OpenMessages()

    def begin(self, written_at: datetime, *, goes_on: bool = False) -> None:
        """The mails on their way stay: a log goes on in the next file."""

    def __call__(self, record: bytes) -> Read:
        text = record.decode("utf-8", "replace")
        if _REJECT.match(text):
            return Ignored("rejectlog")
        fields = text.split("@")
        try:
            at = _time(fields[0])
        except ValueError as error:
            return Unreadable(str(error))
        if len(fields) > 4 and fields[1:4] == ["", "", ""]:
            return Ignored("heartbeat")
        if len(fields) > 2 and fields[2] == "F":
            return _complaint(at, text.split("@", 9))
        return self._of_kind(at, fields[4] if len(fields) > 4 else "", text)

    def _of_kind(self, at: datetime, kind: str, text: str) -> Read:
        if not kind:
            return Unreadable(_CUT)
        reader = _READERS.get(kind)
        if reader is None:
            return Ignored(kind[:LONGEST_NAME])
        most, read = reader
        parts = text.split("@", most)
        return read(self, at, parts) if len(parts) > most else Unreadable(_CUT)

    def _received(self, at: datetime, fields: Sequence[str]) -> Read:
        message = self._messages.known(fields[1])
        recipient = mail_address(f"{fields[5]}@{fields[6]}")
        message.sender = mail_address(f"{fields[7]}@{fields[8]}")
        message.names = _names(fields[12], fields[13])
        if recipient:
            message.waiting[recipient] = None, None, None
        return [Event(Outcome.ACCEPTED, at, recipient, sender=message.sender, names=message.names, source=fields[13] or None)]

    def _delivered(self, at: datetime, fields: Sequence[str]) -> Read:
        return [self._event(Outcome.DELIVERED, at, fields, "")]

    def _transient(self, at: datetime, fields: Sequence[str]) -> Read:
        if not fields[6].isdigit():
            return Ignored("bouncelog T")  # the mainlog has it too
        return [self._event(Outcome.DEFERRED, at, fields, fields[13])]

    def _permanent(self, at: datetime, fields: Sequence[str]) -> Read:
        event = self._event(Outcome.BOUNCED, at, fields, fields[13])
        return self._once(fields[1], event.recipient_domain, event)

    def _bounced(self, at: datetime, fields: Sequence[str]) -> Read:
        kind, text = fields[12], fields[15]
        outcome = Outcome.NOT_ATTEMPTED if kind in _ADMIN else Outcome.BOUNCED
        event = Event(
            outcome, at, mail_address(f"{fields[5]}@{fields[6]}"), sender=mail_address(f"{fields[7]}@{fields[8]}"),
            names=_names(fields[9], fields[10]), source=fields[10] or None, status=status_code(text[4:]), reply_code=reply_code(text),
            text=text[:LONGEST_TEXT] or None, hint=CLASSES.get(kind),
        )  # fmt: skip
        return self._once(fields[1], event.recipient_domain, event)

    def _once(self, message_id: str, domain: str | None, event: Event) -> Read:
        """Mainlog and bouncelog both have a failure: the first to come counts."""
        key = message_id, domain or ""
        if key in self._failed:
            self._failed.end(key)
            return Ignored("both logs")
        self._failed.begin(key)
        return [event]

    def _event(self, outcome: Outcome, at: datetime, fields: Sequence[str], text: str) -> Event:
        domain, group, binding = fields[5], fields[7], fields[8]
        message = self._messages.known(fields[1])
        recipient = next((each for each in message.waiting if each.rpartition("@")[2].lower() == domain.lower()), None)
        if recipient and outcome is not Outcome.DEFERRED:
            message.done(recipient)
        if not message.waiting:
            self._messages.end(fields[1])
        return Event(
            outcome, at, recipient, sender=message.sender, names=_names(group, binding), source=binding or None, domain=domain or None,
            status=status_code(text[4:]), reply_code=reply_code(text), text=text[:LONGEST_TEXT] or None,
        )  # fmt: skip


def _complaint(at: datetime, fields: Sequence[str]) -> Read:
    """`ts@msgid@F@rl@rd@binding@group@type@to_domain@userstring`."""
    if len(fields) < 9:
        return Unreadable(_CUT)
    kind = fields[7].lower()
    if not COMPLAINTS.get(kind, False):
        return Ignored(f"F: {kind[:LONGEST_NAME]}")
    names = _names(fields[6], fields[5])
    return [Event(Outcome.COMPLAINED, at, mail_address(f"{fields[3]}@{fields[4]}"), names=names, source=fields[5] or None, category=kind, verified=False)]


def _names(group: str, binding: str) -> dict[str, str]:
    names = {"pool": group or binding, "meta:binding": binding, "meta:group": group}
    return {name: value[:LONGEST_NAME] for name, value in names.items() if value}


def _time(text: str) -> datetime:
    if len(text) not in _TIMES or not (text.isascii() and text.isdigit()):
        raise ValueError("does not begin with a time of 10 or 16 digits")
    seconds = int(text) if len(text) == _TIMES[0] else int(text) / 1_000_000
    return checked(datetime.fromtimestamp(seconds, UTC))


_READERS: Mapping[str, tuple[int, Callable[[Momentum, datetime, Sequence[str]], Read]]] = {  # how many @ stand between fields
    "R": (13, Momentum._received),  # noqa: SLF001 - the table of its own methods
    "D": (11, Momentum._delivered),  # noqa: SLF001
    "T": (13, Momentum._transient),  # noqa: SLF001
    "P": (13, Momentum._permanent),  # noqa: SLF001
    "B": (15, Momentum._bounced),  # noqa: SLF001
}
