"""What a person reads: what, where, how bad, since when, what was done, what to do next. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from monitor.database.tables import Incident, Suspension
from monitor.notify.words import counted, customers_of, headline, kinds_of, some
from monitor.rules.conditions.listing import ListingNumbers
from monitor.rules.conditions.table import numbers_of
from monitor.rules.member_numbers import WholeNumbers
from monitor.rules.numbers import Numbers

_MOST = 5  # lines of one kind
_MOST_TARGETS = 10
_MOST_DETAILS = 1_000
_ID = "<suspension>"


class Event(enum.StrEnum):
    """What a notification says has happened to an incident."""

    FIRING = "firing"
    WORSENED = "worsened"
    REMINDER = "reminder"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody to be notified, and of what; empty means everything. `contact`: a customer's own, of nothing that is shared.

    `links`: its messages bring links to act on.
    """

    name: str
    severities: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    customers: frozenset[str] = frozenset()
    contact: bool = False
    links: bool = False

    def hears_of(self, customer: str) -> bool:
        """Of what is about this customer; the empty text: about none in particular."""
        return not self.customers or customer in self.customers or (not customer and not self.contact)


@dataclass(frozen=True, slots=True)
class Message:
    """`details`: the same for machines and for digests, as `details_of` writes them."""

    title: str
    body: str
    details: Mapping[str, Any] = field(default_factory=dict)


def receivers_of(
    receivers: Sequence[Receiver], rule: str, severity: str, subject: Mapping[str, str]
) -> list[str]:
    """The names of those to be notified of it. What belongs to no customer goes to everybody but customers' own contacts."""
    return [
        receiver.name
        for receiver in receivers
        if (not receiver.severities or severity in receiver.severities)
        and (not receiver.rules or rule in receiver.rules)
        and receiver.hears_of(subject.get("customer", ""))
    ]


@dataclass(frozen=True, slots=True)
class Now:
    """What is wrong at this moment, what is in force against it, what was not done and why, and what it followed from."""

    summary: str
    numbers: Numbers
    suspensions: Sequence[Suspension]
    refused: Sequence[str] = ()
    follows: Sequence[str] = ()


def firing(
    incident: Incident, now: Now, runbook: str, console_url: str, *, worsened: bool = False, word: str = "FIRING"
) -> Message:
    """The message that something is wrong (or, `worsened`, that more is). Its title begins with the word."""
    rows = now.suspensions
    lines = [
        f"What: {now.summary}",
        f"Where: {where(incident.subject)}",
        *_concerned(incident.subject, now.numbers, ()),
        *_parts(now.numbers),
        *(f"Follows: {line}" for line in now.follows),
        f"Since: {when(incident.started_at)}",
        *(f"Done: {suspension_text(row)} ({row.id})" for row in rows[:_MOST]),
        *([f"Done: and {len(rows) - _MOST} more suspensions"] if len(rows) > _MOST else []),
        *(f"Not done: {text}" for text in now.refused[:_MOST]),
    ]
    if not rows and not now.refused:
        lines.append("Done: nothing was held" + ("" if incident.member_count is not None else "; this rule only notifies"))
    lines += [f"Next: {line}" for line in next_steps(now.numbers, runbook, [row.id for row in rows])]
    lines.append(f"More: {console_url}/incidents/{incident.id}")
    return Message(_title("MORE" if worsened else word, incident, now.numbers), "\n".join(lines), details_of(incident, now.summary, now.numbers, console_url))


def resolved(incident: Incident, suspensions: Sequence[Suspension], why: str, console_url: str) -> Message:
    """The message that it is over, with what it was at its worst. Raises AssertionError for one that has not ended."""
    if incident.ended_at is None:
        raise AssertionError(f"{incident.id} has not ended")
    began = incident.fired_at or incident.started_at
    ended = f"{counted(len(suspensions), 'suspension')} of it ended" if suspensions else "nothing was held for it"
    numbers = numbers_of(incident.evidence)
    lines = [
        f"What: {why}",
        f"Was: {incident.summary}",
        f"Where: {where(incident.subject)}",
        *_concerned(incident.subject, numbers, suspensions),
        f"Lasted: {lasted(incident.ended_at - began)} (from {when(began)} to {when(incident.ended_at)})",
        f"Done: {ended}; none is in force any more",
        f"More: {console_url}/incidents/{incident.id}",
    ]
    details = details_of(incident, why, numbers, console_url)
    return Message(_title("RESOLVED", incident, numbers), "\n".join(lines), details)


def details_of(incident: Incident, summary: str, numbers: Numbers, console_url: str) -> dict[str, Any]:
    """What a message is about: labels, figures, addresses (at most 1,000 of them), instants in ISO 8601."""
    targets = numbers.targets
    return {
        "labels": {**incident.subject, "rule": incident.rule, "severity": incident.severity}, "summary": summary,
        "targets": targets[:_MOST_DETAILS], "target_count": len(targets),
        "customers": customers_of(incident.subject, numbers), "url": f"{console_url}/incidents/{incident.id}",
        "started_at": incident.started_at.isoformat(), "ended_at": incident.ended_at.isoformat() if incident.ended_at else None,
    }  # fmt: skip


def _title(word: str, incident: Incident, numbers: Numbers) -> str:
    """`[FIRING] critical: 40 IPs on Spamhaus ZEN, pool shared, customers acme, bolt (ip-listed)`."""
    whose = customers_of(incident.subject, numbers)
    subject = {name: value for name, value in incident.subject.items() if name not in {"customer", "operator"}}
    of_whom = [f"customer{'s' if len(whose) > 1 else ''} {some(whose, 3)}"] if whose else []
    parts = [headline(incident.rule, numbers), *of_whom, *([where(subject)] if subject else [])]
    return f"[{word}] {incident.severity}: {', '.join(parts)} ({incident.rule})"


def _concerned(
    subject: Mapping[str, str], numbers: Numbers, suspensions: Sequence[Suspension]
) -> list[str]:
    """Which addresses and domains, how many of them, and whose."""
    scopes = (row.scope.get("ip") or row.scope.get("domain") for row in suspensions)
    targets = sorted({*numbers.targets, *(each for each in scopes if each)})
    whose = customers_of(subject, numbers)
    return [
        *([f"Which: {kinds_of(targets)}: {some(targets, _MOST_TARGETS)}"] if targets else []),
        *([f"Whose: {some(whose, _MOST_TARGETS)}"] if whose else []),
    ]


def _parts(numbers: Numbers) -> list[str]:
    """The members of an incident that has some, the gravest first."""
    if not isinstance(numbers, WholeNumbers):
        return []
    shown = numbers.members[:_MOST]
    lines = [f"Member: {each.rule}, {where(each.subject)}: {each.summary} ({each.incident})" for each in shown]
    left = numbers.member_count - len(shown)
    return [*lines, *([f"Member: and {left} more incidents"] if left > 0 else [])]


def next_steps(numbers: Numbers, runbook: str, suspensions: Sequence[str] = ()) -> list[str]:
    """The rule's runbook, then what the numbers themselves point to (delisting pages, once each).

    `<suspension>` in the runbook stands for the ids of those in force; a line about them is left out where there are none.

    To pay for removal is never a step: it removes no cause, and feeds those who list for money.
    """
    lines = [line.strip() for line in runbook.splitlines() if line.strip()]
    others = f" (and {len(suspensions) - 1} more)" if len(suspensions) > 1 else ""
    steps = [
        line.replace(_ID, suspensions[0]) + others if _ID in line else line
        for line in lines if suspensions or _ID not in line
    ]  # fmt: skip
    listed = numbers.listed if isinstance(numbers, ListingNumbers) else ()
    sellers = dict.fromkeys(row.name for row in listed if row.sells_removal)
    steps += [f"do not pay {name} for removal: the listing ends by itself once its cause has" for name in sellers]
    pages = {row.delist_url: row.name for row in listed if row.delist_url}
    steps += [f"once the cause is removed, ask {name} for removal: {page}" for page, name in list(pages.items())[:3]]
    return steps


def suspension_text(row: Suspension) -> str:
    """`hold on customer bolt, stream newsletter until 2026-01-02 03:04 UTC`."""
    speed = f" to {row.rate_per_hour:,} an hour" if row.rate_per_hour else ""
    speed += f" but for {100 * row.probe:.3g} %" if row.probe else ""
    end = f"until {when(row.until)}" if row.until else f"until {row.lifts_when}"
    return f"{row.effect}{speed} on {where(row.scope)} {end}"


def where(subject: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in subject.items()) or "everywhere"


def when(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def lasted(span: timedelta) -> str:
    """`3 d 4 h`, `12 min`, `40 s`: the two largest units."""
    seconds = int(span.total_seconds())
    parts = [
        (seconds // 86400, "d"), (seconds % 86400 // 3600, "h"), (seconds % 3600 // 60, "min"), (seconds % 60, "s")
    ]
    largest = [f"{count} {unit}" for count, unit in parts if count][:2]
    return " ".join(largest) or "0 s"
