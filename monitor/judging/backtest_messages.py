"""Which messages would have gone out about the episodes of a backtest: by the stages, routes and groups of today, the silences of then. Pure.

What is decided is decided by the stages of the service (`monitor.judging.stages`): what has one cause is one, what is silenced or explained by
another waits, what flaps is said once. Not modelled: acknowledgements, reminders and escalations, what got worse within one incident,
digests and rate limits, and silences that customers put on themselves.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.database.tables import Incident, Silence
from monitor.incidents.schedule import read_schedule
from monitor.incidents.silences import labels_of
from monitor.incidents.states import State
from monitor.judging.backtest import Episode
from monitor.judging.stages import STAGES, Change, World, passed
from monitor.notify.quiet import Quiet
from monitor.notify.routing import Delivery, Routing
from monitor.rules.model import Rule
from monitor.rules.verdict import Answer, Verdict, key_of

NOT_MODELLED = "acknowledgements, reminders, escalations, what got worse within one incident, digests, rate limits, silences of customers"
_AGAIN = timedelta(minutes=1)  # how often what may not be said yet is looked at


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
    player = _Player({rule.id: rule for rule in rules}, routing, silences)
    player.play(episodes)
    last: dict[tuple[str, str], Message] = {}
    messages: list[Message] = []
    for at, names, delivery in player.notices:
        key = delivery.receiver, delivery.group_key
        before = last.get(key)
        if before is None or before.due_at < at:
            due_at = at + delivery.wait
            if before is not None and before.due_at + delivery.interval > at:
                due_at = before.due_at + delivery.interval
            before = last[key] = Message(delivery.receiver, due_at)
            messages.append(before)
        before.rules += [name for name in names if name not in before.rules]
    return messages


class _Player:
    """The episodes as incidents, looked at whenever one begins or ends, and when a silence ends."""

    def __init__(self, rules: Mapping[str, Rule], routing: Routing, silences: Sequence[Silence]) -> None:
        self.notices: list[tuple[datetime, list[str], Delivery]] = []
        self._rules, self._routing, self._silences = rules, routing, silences
        self._signals = {rule.id: rule.signal.name for rule in rules.values()}
        self._open: dict[str, Incident] = {}  # with those that have members
        self._heard: dict[str, dict[str, Delivery]] = {}  # by incident: who was notified of it
        self._of_rules: dict[str, list[str]] = {}  # by incident: the rules its messages are about
        self._fired: list[tuple[datetime, str, str]] = []
        self._times: list[datetime] = []

    def play(self, episodes: Sequence[Episode]) -> None:
        begins: dict[datetime, list[Incident]] = {}
        ends: dict[datetime, list[str]] = {}
        for number, each in enumerate(episodes):
            row = _incident(each, number)
            begins.setdefault(each.since, []).append(row)
            if each.until is not None:
                ends.setdefault(each.until, []).append(row.id)
        looks = {*begins, *ends, *map(_end, self._silences)}
        self._times = sorted(looks)
        last = max({*begins, *ends}, default=None)
        while self._times:
            now = self._times.pop(0)
            while self._times and self._times[0] == now:
                self._times.pop(0)
            for incident_id in ends.get(now, ()):
                self._ends(self._open[incident_id], now)
            for row in begins.get(now, ()):
                self._open[row.id] = row
                self._fired.append((now, row.rule, row.open_key))
            self._look(now, is_last=last is None or now > last)

    def _look(self, now: datetime, *, is_last: bool) -> None:
        labels = {row.id: labels_of(row, self._labels(row)) for row in self._open.values()}
        in_force = [each for each in self._silences if each.since <= now < _end(each) and _holds(each, now)]
        firing = list(self._open.values())
        changes = [self._change(row) for row in firing if row.member_count is None]
        world = World(now, Quiet(self._routing, in_force, (), list(labels.values())), firing, labels, self._signals, {}, self._lately(now))
        for change in passed(changes, world, STAGES):
            self._apply(change, now, is_last=is_last)

    def _apply(self, change: Change, now: datetime, *, is_last: bool) -> None:
        row = change.incident
        if change.is_whole:
            if not change.parts:
                self._ends(row, now)
                return
            self._open[row.id] = row
            row.fired_at, row.state, row.member_count = row.fired_at or now, State.FIRING.value, len(change.parts)
            for part in change.parts:
                part.incident.part_of = row.id
        worth = change.worth_notifying(now)
        if change.event is not None:
            names = self._of_rules.setdefault(row.id, list(dict.fromkeys(part.incident.rule for part in change.parts)) or [row.rule])
            for delivery in change.deliveries:
                self.notices.append((now, names, delivery))
                self._heard.setdefault(row.id, {})[delivery.receiver] = delivery
            row.notified_at, row.notified_members = now, sorted({*row.notified_members, *worth})
        elif change.is_whole and not is_last and not change.quiet and set(worth) - set(row.notified_members):
            insort(self._times, now + _AGAIN)

    def _ends(self, row: Incident, now: datetime) -> None:
        """To whoever was notified of it."""
        del self._open[row.id]
        names = self._of_rules.get(row.id, [row.rule])
        self.notices += [(now, names, delivery) for delivery in self._heard.pop(row.id, {}).values()]

    def _change(self, row: Incident) -> Change:
        group = tuple(row.subject.items())
        return Change(self._rules.get(row.rule), row, Verdict(group, Answer.BREACH, row.summary))

    def _labels(self, row: Incident) -> Mapping[str, str]:
        rule = self._rules.get(row.rule)
        return rule.labels if rule is not None else {}

    def _lately(self, now: datetime) -> Mapping[tuple[str, str], int]:
        since = now - self._routing.flapping.within
        self._fired = [each for each in self._fired if each[0] > since]
        return Counter((rule, key) for _, rule, key in self._fired)


def _incident(episode: Episode, number: int) -> Incident:
    key = key_of(tuple(episode.scope.items()))
    return Incident(
        id=f"episode-{number}", rule=episode.rule, subject_key=key, open_key=key, subject=dict(episode.scope), state=State.FIRING.value,
        severity=episode.severity, summary=episode.summary, started_at=episode.since, fired_at=episode.since, judged_at=episode.since,
        notified_members=[],
    )  # fmt: skip


def _end(silence: Silence) -> datetime:
    return silence.until if silence.ended_at is None else min(silence.until, silence.ended_at)


def _holds(silence: Silence, at: datetime) -> bool:
    return silence.schedule is None or read_schedule(silence.schedule).holds(at)
