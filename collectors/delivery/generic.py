"""Delivery events of any sender, one JSON object per line, as counts per minute and traces.

    {"at": "2026-01-02T03:04:05Z", "outcome": "delivered", "customer": "acme", "stream": "news",
     "ip": "192.0.2.7", "domain": "example.com", "recipient_domain": "gmail.com", "count": 120}

`at` (ISO 8601 with a zone, or seconds since 1970) and `outcome` are required, and one of customer, ip and
domain, for an event about nobody of ours says nothing. `count` messages share an event. Fields not named
here are left alone: most senders state more than we ask.

Counts are added up by measure, subject and minute, so that a day of traffic stays small. The provider is that
of the recipient's domain. Domains of no known provider are counted together as `other`: each of them as a
series of its own would be as many series as there are companies with a mail server. Whatever was not
delivered and names its recipient or message is kept as a trace besides.

A line that cannot be understood is parked with its reason; the others count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import orjson

from collectors.observation import Batch, Observation, Parked, Subject, Trace
from collectors.providers import ProviderTable, shipped
from collectors.traces import TraceKind

SOURCE = "events/generic"
MOST_MESSAGES = 10_000_000
OLDEST = timedelta(days=400)
CLOCK_SKEW = timedelta(minutes=10)  # a sender's clock may run ahead this much
_MOST_PARKED = 100  # lines parked one by one; the rest of a batch is parked together
_LONGEST = {"recipient": 320, "message_id": 998, "text": 2000, "status": 32}
_LONGEST_OTHER = 255

# what senders call it → our measure
OUTCOMES = {
    "delivered": "delivered", "delivery": "delivered", "sent": "delivered", "success": "delivered",
    "hard_bounce": "hard_bounce", "hardbounce": "hard_bounce", "bounce": "hard_bounce", "bounced": "hard_bounce",
    "permanent": "hard_bounce", "failed": "hard_bounce", "invalid": "hard_bounce",
    "soft_bounce": "soft_bounce", "softbounce": "soft_bounce", "undeliverable": "soft_bounce",
    "expired": "soft_bounce",
    "deferral": "deferral", "deferred": "deferral", "delayed": "deferral", "transient": "deferral",
    "transient_failure": "deferral", "temporary": "deferral", "tempfail": "deferral",
    "block": "block", "blocked": "block", "rejected": "block", "policy": "block",
    "complaint": "complaint", "complained": "complaint", "spam": "complaint", "spam_complaint": "complaint",
    "spamreport": "complaint", "feedback": "complaint", "abuse": "complaint",
    "accepted": "accepted", "refused_by_us": "refused_by_us", "held_by_us": "held_by_us", "not_attempted": "not_attempted",
    "async_bounced": "async_bounced",
    "unsubscribe": "unsubscribe", "unsubscribed": "unsubscribe", "opt_out": "unsubscribe",
}
# measure → kind of its traces; what is missing leaves none
_TRACES = {
    "hard_bounce": TraceKind.BOUNCE, "soft_bounce": TraceKind.BOUNCE, "deferral": TraceKind.DEFERRAL,
    "block": TraceKind.BLOCK, "async_bounced": TraceKind.BOUNCE, "complaint": TraceKind.COMPLAINT, "unsubscribe": TraceKind.UNSUBSCRIBE,
}


@dataclass(frozen=True, slots=True)
class LineError:
    """A line that says nothing we can take: its number (from 1) and what is wrong with which field."""

    line: int
    error: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the lines said: one batch, the lines refused, the messages counted by measure, and who was counted by which lines."""

    batch: Batch
    accepted: int
    errors: tuple[LineError, ...]
    messages: Mapping[str, int]
    lines: Mapping[tuple[str, Subject], Sequence[int]]

    def without(self, refused: Mapping[tuple[str, Subject], str]) -> Decoded:
        """The same where the store refused to count some of it: (measure, subject) → why."""
        if not refused:
            return self
        errors = [LineError(line, why) for key, why in refused.items() for line in self.lines.get(key, ())]
        messages = dict(self.messages)
        for each in self.batch.observations:
            if (each.measure, each.subject) in refused:
                messages[each.measure] -= int(each.value or 0)
        return replace(
            self, accepted=self.accepted - len(errors),
            errors=tuple(sorted((*self.errors, *errors), key=lambda error: error.line)),
            messages={measure: count for measure, count in messages.items() if count},
        )  # fmt: skip


def decode(
    lines: Iterable[Any], *, key: str, now: datetime, providers: ProviderTable | None = None, customer: str | None = None,
    counted: Callable[[Subject], Subject] | None = None, first_line: int = 1, brought_by: str | None = None,
) -> Decoded:
    """Decode lines (bytes, text, or objects already decoded) into one batch under the idempotency key.

    `providers` are those recipient domains are looked up in (None: as shipped). `customer` is whose an event is that names
    nobody. `counted` says what a subject counts under (traces keep all of it); it raises ValueError for one that may not be
    named.
    """
    table = providers or shipped()
    counts: dict[tuple[str, Subject, datetime], tuple[int, datetime]] = {}
    traces: list[Trace] = []
    refused: list[tuple[LineError, bytes]] = []
    messages: dict[str, int] = {}
    counted_by: dict[tuple[str, Subject], list[int]] = {}
    accepted = 0
    for number, line in enumerate(lines, first_line):
        if isinstance(line, bytes | str) and not line.strip():
            continue
        try:
            event = _Event(line, now, customer, table)
            about = event.subject if counted is None else counted(event.subject)
        except ValueError as error:
            refused.append((LineError(number, str(error)), _raw(line)))
            continue
        accepted += 1
        minute = (event.measure, about, event.at.replace(second=0, microsecond=0))
        before, newest_at = counts.get(minute, (0, event.at))
        counts[minute] = before + event.count, max(newest_at, event.at)
        messages[event.measure] = messages.get(event.measure, 0) + event.count
        counted_by.setdefault((event.measure, about), []).append(number)
        if event.trace is not None:
            traces.append(event.trace)
    batch = Batch(
        source=SOURCE,
        key=key,
        at=now,
        observations=tuple(
            # dated by the minute's newest event: a window that begins inside the minute must not lose its mails
            Observation(measure, subject, at, float(count))
            for (measure, subject, _), (count, at) in counts.items()
        ),
        traces=tuple(traces),
        parked=tuple(_parked(refused)),
        brought_by=brought_by,
    )
    return Decoded(batch, accepted, tuple(error for error, _ in refused), messages, counted_by)


def fingerprint(body: bytes) -> str:
    """The idempotency key of a piece of input that came without one."""
    return hashlib.sha256(body).hexdigest()


class _Event:
    """One line, checked. Raises ValueError naming the field."""

    __slots__ = ("at", "count", "measure", "subject", "trace")

    def __init__(self, line: Any, now: datetime, customer: str | None, providers: ProviderTable) -> None:
        event = _object(line)
        self.at = _instant(event.get("at"), now)
        self.measure = _outcome(event.get("outcome"))
        self.count = _count(event.get("count", 1))
        recipient = _text(event, "recipient")
        owner = _text(event, "customer") or customer
        self.subject = Subject(
            customer=owner,
            stream=_text(event, "stream"),
            campaign=_text(event, "campaign"),
            ip=_address(_text(event, "ip")),
            domain=_domain(_text(event, "domain")),
            provider=_provider(recipient, _text(event, "recipient_domain"), providers),
        )
        if not (self.subject.customer or self.subject.ip or self.subject.domain):
            raise ValueError("customer, ip or domain: one of them is needed")
        self.trace = self._traced(event, recipient)

    def _traced(self, event: Mapping[str, Any], recipient: str | None) -> Trace | None:
        kind = _TRACES.get(self.measure)
        message_id = _text(event, "message_id")
        if kind is None or (recipient is None and message_id is None):
            return None
        return Trace(
            kind=kind,
            at=self.at,
            subject=self.subject,
            recipient=recipient,
            message_id=message_id,
            category=self.measure,
            status=_text(event, "status"),
            text=_text(event, "text"),
            how="given by the sender",
            count=self.count,
            verified=True,
            hard=self.measure == "hard_bounce",
        )


def _object(line: Any) -> Mapping[str, Any]:
    if isinstance(line, bytes | str):
        try:
            line = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"not JSON: {error}") from None
    if not isinstance(line, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - bad input, not a bug: one error to catch
    return line


def _instant(value: Any, now: datetime) -> datetime:
    if value is None:
        raise ValueError("at: missing")
    try:
        at = datetime.fromtimestamp(value, UTC) if type(value) in {int, float} else datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        raise ValueError("at: ISO 8601 with a zone, or seconds since 1970, is wanted") from None
    if at.tzinfo is None:
        raise ValueError("at: the time zone is missing")
    if not now - OLDEST <= at <= now + CLOCK_SKEW:
        raise ValueError(f"at: {at.isoformat()} is in the future or more than {OLDEST.days} days ago")
    return at.astimezone(UTC)


def _outcome(value: Any) -> str:
    if value is None:
        raise ValueError("outcome: missing")
    known = OUTCOMES.get(value.strip().lower().replace("-", "_").replace(" ", "_")) if isinstance(value, str) else None
    if known is None:
        raise ValueError(f"outcome: one of {', '.join(sorted(set(OUTCOMES.values())))} is wanted")
    return known


def _count(value: Any) -> int:
    if type(value) is not int or not 0 < value <= MOST_MESSAGES:
        raise ValueError(f"count: a whole number from 1 to {MOST_MESSAGES} is wanted")
    return value


def _text(event: Mapping[str, Any], name: str) -> str | None:
    value = event.get(name)
    if value is None:
        return None
    longest = _LONGEST.get(name, _LONGEST_OTHER)
    if name == "text" and isinstance(value, str):
        value = value[:longest]  # a server may be as wordy as it likes; its first words say it
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError(f"{name}: a text of at most {longest} characters is wanted")
    return value.replace("\0", "").strip() or None


def _address(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        address = ip_address(value)
    except ValueError:
        raise ValueError("ip: not an IPv4 or IPv6 address") from None
    return str(getattr(address, "ipv4_mapped", None) or address)


def _domain(value: str | None) -> str | None:
    return value.rstrip(".").lower() if value else None


def _provider(recipient: str | None, recipient_domain: str | None, providers: ProviderTable) -> str | None:
    if recipient is not None and "@" not in recipient:
        raise ValueError("recipient: not a mail address")
    domain = _domain(recipient_domain or (recipient and recipient.rpartition("@")[2]))
    return (providers.of_domain(domain) or "other") if domain else None


def _parked(refused: list[tuple[LineError, bytes]]) -> Iterable[Parked]:
    for error, raw in refused[:_MOST_PARKED]:
        yield Parked(f"line {error.line}", "malformed", error.error, raw)
    rest = refused[_MOST_PARKED:]
    if rest:
        place = f"lines {rest[0][0].line} to {rest[-1][0].line}"
        yield Parked(place, "malformed", f"{len(rest)} more lines", b"\n".join(raw for _, raw in rest))


def _raw(line: Any) -> bytes:
    if isinstance(line, str):
        return line.encode()
    return line if isinstance(line, bytes) else orjson.dumps(line)
