"""Which messages would have gone out about the episodes of a backtest: by the routes and groups of today, and the silences of then. Pure.

Not modelled: inhibition, acknowledgements, reminders and escalations, flapping, what got worse while it fired, digests and rate
limits, silences that customers put on themselves, and a silence's hours of the week beyond the instant it is asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from monitor.database.tables import Silence
from monitor.incidents.schedule import read_schedule
from monitor.incidents.silences import silenced_by
from monitor.judging.backtest import Episode
from monitor.notify.routing import Delivery, Routing
from monitor.rules.model import Rule

NOT_MODELLED = (
    "inhibition, acknowledgements, reminders, escalations, flapping, incidents that got worse, digests, rate limits,"
    " silences of customers"
)


@dataclass(slots=True)
class Message:
    """What one receiver would have been sent at once. `rules`: of the episodes it is about, the first one first."""

    receiver: str
    due_at: datetime
    rules: list[str] = field(default_factory=list)


def messages_of(
    episodes: Sequence[Episode], rules: Iterable[Rule], routing: Routing, silences: Sequence[Silence]
) -> list[Message]:
    """When a group's next message goes out is as the outbox has it: with what waits, else after its interval or wait."""
    labels_of_rule = {rule.id: rule.labels for rule in rules}
    events = [event for number, each in enumerate(episodes) for event in _events(each, number, labels_of_rule, routing, silences)]
    last: dict[tuple[str, str], Message] = {}
    messages: list[Message] = []
    for at, _, rule, delivery in sorted(events, key=lambda event: event[:2]):
        key = delivery.receiver, delivery.group_key
        before = last.get(key)
        if before is None or before.due_at < at:
            due_at = at + delivery.wait
            if before is not None and before.due_at + delivery.interval > at:
                due_at = before.due_at + delivery.interval
            before = last[key] = Message(delivery.receiver, due_at)
            messages.append(before)
        if rule not in before.rules:
            before.rules.append(rule)
    return messages


def _events(
    episode: Episode, number: int, labels_of_rule: Mapping[str, Mapping[str, str]], routing: Routing, silences: Sequence[Silence]
) -> Iterator[tuple[datetime, int, str, Delivery]]:
    """(when, episode, rule, whom): that it fires, and to the same receivers that it ended."""
    labels = {
        **labels_of_rule.get(episode.rule, {}), **episode.scope,
        "rule": episode.rule, "severity": episode.severity, "incident": f"episode-{number}",
    }  # fmt: skip
    at = _first_not_silenced(labels, episode, silences)
    if at is None:
        return
    for delivery in routing.deliveries(labels):
        yield at, number, episode.rule, delivery
        if episode.until is not None:
            yield episode.until, number, episode.rule, delivery


def _first_not_silenced(labels: Mapping[str, str], episode: Episode, silences: Sequence[Silence]) -> datetime | None:
    """When the first message goes out while it fires; None where it was silenced until its end."""
    at = episode.since
    while episode.until is None or at < episode.until:
        in_force = [each for each in silences if each.since <= at < _end(each) and _holds(each, at)]
        matching = set(silenced_by(in_force, labels))
        if not matching:
            return at
        at = max(_end(each) for each in in_force if each.id in matching)
    return None


def _end(silence: Silence) -> datetime:
    return silence.until if silence.ended_at is None else min(silence.until, silence.ended_at)


def _holds(silence: Silence, at: datetime) -> bool:
    return silence.schedule is None or read_schedule(silence.schedule).holds(at)
