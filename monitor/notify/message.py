"""What a person reads: what, where, how bad, since when, what was done, what to do next. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from monitor.database.tables import Incident, Suspension


class Event(enum.StrEnum):
    """What a notification says has happened to an incident."""

    FIRING = "firing"
    WORSENED = "worsened"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Receiver:
    """A chat address (an Apprise URL) and what it is notified of; empty means everything."""

    name: str
    url: str = field(repr=False)
    severities: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    customers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Message:
    title: str
    body: str


def receivers_of(
    receivers: Sequence[Receiver], rule: str, severity: str, subject: Mapping[str, str]
) -> list[str]:
    """The names of those to be notified of it. What belongs to no customer goes to everybody."""
    return [
        receiver.name
        for receiver in receivers
        if (not receiver.severities or severity in receiver.severities)
        and (not receiver.rules or rule in receiver.rules)
        and (not receiver.customers or subject.get("customer", "") in receiver.customers | {""})
    ]


def firing(
    incident: Incident, suspensions: Sequence[Suspension], refused: Sequence[str], advice: str, console_url: str,
    *, worsened: bool = False,
) -> Message:
    """The message that something is wrong (or, `worsened`, that more is)."""
    lines = [
        f"What: {incident.summary}",
        f"Where: {where(incident.subject)}",
        f"Since: {when(incident.started_at)}",
        *(f"Done: {suspension_text(row)}" for row in suspensions[:5]),
        *([f"Done: and {len(suspensions) - 5} more suspensions"] if len(suspensions) > 5 else []),
        *(f"Not done: {text}" for text in refused[:5]),
    ]
    if not suspensions and not refused:
        lines.append("Done: nothing was held; this rule only notifies")
    lines += [f"Next: {line}" for line in next_steps(incident.evidence, advice)]
    lines.append(f"More: {console_url}/incidents/{incident.id}")
    word = "MORE" if worsened else "FIRING"
    return Message(f"[{word}] {incident.severity}: {incident.rule}, {where(incident.subject)}", "\n".join(lines))


def resolved(incident: Incident, why: str, console_url: str) -> Message:
    """The message that it is over. Raises AssertionError for an incident that has not ended."""
    if incident.ended_at is None:
        raise AssertionError(f"{incident.id} has not ended")
    began = incident.fired_at or incident.started_at
    lines = [
        f"What: {why}",
        f"Where: {where(incident.subject)}",
        f"Lasted: {lasted(incident.ended_at - began)} (from {when(began)} to {when(incident.ended_at)})",
        "Done: no suspension of this incident is in force any more",
        f"More: {console_url}/incidents/{incident.id}",
    ]
    return Message(f"[RESOLVED] {incident.severity}: {incident.rule}, {where(incident.subject)}", "\n".join(lines))


def next_steps(evidence: Mapping[str, Any], advice: str) -> list[str]:
    """The rule's advice, then what the evidence itself points to (delisting pages, once each).

    To pay for removal is never a step: it removes no cause, and feeds those who list for money.
    """
    steps = [line.strip() for line in advice.splitlines() if line.strip()]
    listed = evidence.get("listed", ())
    sellers = dict.fromkeys(row["name"] for row in listed if row.get("sells_removal"))
    steps += [f"do not pay {name} for removal: the listing ends by itself once its cause has" for name in sellers]
    pages = {row["delist_url"]: row["name"] for row in listed if row.get("delist_url")}
    steps += [f"once the cause is removed, ask {name} for removal: {page}" for page, name in list(pages.items())[:3]]
    return steps


def suspension_text(row: Suspension) -> str:
    """`hold on customer bolt, stream newsletter until 2026-01-02 03:04 UTC`."""
    speed = f" to {row.rate_per_hour:,} an hour" if row.rate_per_hour else ""
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
