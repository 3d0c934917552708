"""What people are to be notified of after a pass: stages of one signature, `(changes, world) -> changes`. Pure.

The order of all of them, from a verdict to a message:

  dependency   monitor.rules.unless: a verdict that another rule stands against is taken back before any state changes
  guard        monitor.judging.suspend: what automation may hold by itself, asked where holds are put on: none waits for the rest
  by_cause     what has one cause becomes one incident with members (monitor.incidents.causes)
  quiet        nobody is notified of what is silenced, or explained by another that fires
  due          what is new to those who are notified, and not flapping
  enqueue      monitor.judging.enqueue: rows, written once all is known

What fires and was not notified of stays due until it is written: a pass that dies half-way is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from monitor.config.severity import Severity
from monitor.database.tables import Incident, Suspension
from monitor.incidents.causes import Firing, grouped
from monitor.incidents.silences import labels_of
from monitor.incidents.states import State
from monitor.judging.wholes import Part, begun, verdict_on
from monitor.notify.flapping import Note
from monitor.notify.message import Event
from monitor.notify.quiet import Quiet, deliveries_of_whole
from monitor.notify.routing import Delivery, Flapping
from monitor.restrictions.rows import is_in_force
from monitor.rules.conditions.table import numbers_of
from monitor.rules.model import Rule
from monitor.rules.verdict import Verdict

WORSENED_AT_MOST_EVERY = timedelta(minutes=1)
WORSENED_AT_LEAST_EVERY = timedelta(minutes=30)  # while it goes on getting worse
_SEVERITIES = frozenset(Severity)


@dataclass(frozen=True, slots=True)
class Change:
    """An incident that fires. `event`: what people are notified of now (None: nothing), `deliveries`: whom; `quiet`: the ids of the
    silences and incidents because of which nobody is.

    `whole`: the incident it is a member of. Of such a one `parts` are the members that have not ended, `joining` the ids of the new ones.
    """

    rule: Rule | None
    incident: Incident
    verdict: Verdict
    suspensions: Sequence[Suspension] = ()
    deliveries: tuple[Delivery, ...] = ()
    quiet: tuple[str, ...] = ()
    event: Event | None = None
    note: Note | None = None
    whole: Incident | None = None
    parts: tuple[Part, ...] = ()
    joining: frozenset[str] = frozenset()

    @property
    def is_whole(self) -> bool:
        return self.incident.member_count is not None

    @property
    def ids(self) -> list[str]:
        """Its own, or those of its members."""
        return [part.incident.id for part in self.parts] if self.is_whole else [self.incident.id]

    @property
    def labels(self) -> dict[str, str]:
        """All that it is matched by: the rule's labels, what all that is judged has in common, the incident's own."""
        return labels_of(self.incident, {**(self.rule.labels if self.rule else {}), **self.verdict.labels})

    def worth_notifying(self, now: datetime) -> list[str]:
        """What a message is about: the members of the breach, how grave each is at least, the suspensions put on, and of an incident
        with members how often the number of addresses has doubled.
        """
        worth = {*(each.key for each in self.verdict.members), *(row.id for row in self.suspensions if is_in_force(row, now))}
        for member in self.verdict.members:
            graver = member.severity.up_to_this[1:] if member.severity else ()
            worth.update(f"{member.key} {severity}" for severity in graver)
        if self.is_whole and (listed := len(self.verdict.evidence.targets)):
            worth.add(f"{2 ** (listed.bit_length() - 1)} addresses at least")
        return sorted(worth)


@dataclass(frozen=True, slots=True)
class World:
    """What the stages may ask, read in one snapshot. `firing`: all incidents that fire or recover; `labels`: of each of them, by id;
    `signals`: rule → what it is about; `fired`: (rule, group) → how often it has fired lately.
    """

    now: datetime
    quiet: Quiet
    firing: Sequence[Incident] = ()
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    signals: Mapping[str, str] = field(default_factory=dict)
    suspensions: Mapping[str, Sequence[Suspension]] = field(default_factory=dict)
    fired: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def flapping(self) -> Flapping:
        return self.quiet.routing.flapping


Stage = Callable[[Sequence[Change], World], list[Change]]


def passed(changes: Sequence[Change], world: World, stages: Iterable[Stage]) -> list[Change]:
    """The changes after all the stages."""
    for stage in stages:
        changes = stage(changes, world)
    return list(changes)


def by_cause(changes: Sequence[Change], world: World) -> list[Change]:
    """What is a member of another incident knows it; before them come the incidents with members, new ones too."""
    wholes = {(row.rule, row.open_key): row for row in world.firing if row.member_count is not None}
    rows = [row for row in world.firing if row.member_count is None]
    joining: dict[str, set[str]] = {row.id: set() for row in wholes.values()}
    part_of = {row.id: row.part_of for row in rows if row.part_of in joining}
    for each in grouped([_as_firing(row, world) for row in rows if _may_join(row, world)], wholes.keys()):
        whole = wholes.setdefault((each.cause, each.key), begun(each, world.now))
        joining.setdefault(whole.id, set()).update(each.members)
        part_of |= dict.fromkeys(each.members, whole.id)
    made = []
    for whole in wholes.values():
        parts = tuple(Part(row, world.labels.get(row.id, {})) for row in rows if part_of.get(row.id) == whole.id)
        held = [row for part in parts for row in world.suspensions.get(part.incident.id, ())]
        made.append(Change(None, whole, verdict_on(whole, parts), held, parts=parts, joining=frozenset(joining[whole.id])))
    by_id = {whole.id: whole for whole in wholes.values()}
    return made + [replace(change, whole=by_id.get(part_of.get(change.incident.id) or "")) for change in changes]


def _may_join(row: Incident, world: World) -> bool:
    return row.state == State.FIRING and row.rule in world.signals


def _as_firing(row: Incident, world: World) -> Firing:
    return Firing(row.id, world.signals[row.rule], row.subject, frozenset(numbers_of(row.evidence).targets), row.part_of)


def quiet(changes: Sequence[Change], world: World) -> list[Change]:
    """Who is notified of each, and what keeps it quiet. Who hears of an incident with members does not hear of each of them."""
    hears: dict[str, frozenset[str]] = {}
    hushed: dict[str, tuple[str, ...]] = {}
    made = []
    for change in changes:
        why = tuple(world.quiet.why(change.labels))
        if change.is_whole:
            deliveries = deliveries_of_whole(world.quiet, change.incident.id, (part.labels for part in change.parts))
            hears[change.incident.id], hushed[change.incident.id] = frozenset(each.receiver for each in deliveries), why
        else:
            whole = change.whole.id if change.whole else ""
            why = why or hushed.get(whole, ())
            deliveries = [each for each in world.quiet.deliveries(change.labels) if each.receiver not in hears.get(whole, ())]
        made.append(replace(change, quiet=why, deliveries=() if why else tuple(deliveries)))
    return made


def due(changes: Sequence[Change], world: World) -> list[Change]:
    """What each is to be notified of now: `firing`, `worsened` (not too often), or nothing.

    Worsened: there are members or suspensions, or graver members, that the last notification did not have.
    """
    return [replace(change, event=event, note=note) for change in changes for event, note in [_due(change, world)]]


def _due(change: Change, world: World) -> tuple[Event | None, Note | None]:
    incident = change.incident
    if change.quiet or (not change.deliveries and (change.whole is not None or change.is_whole)):
        return None, None
    if incident.notified_at is None:
        note = _note_on(incident, world)
        return (None if note.is_quiet else Event.FIRING), note
    is_new = set(change.worth_notifying(world.now)) - set(incident.notified_members)
    wait = WORSENED_AT_MOST_EVERY if incident.acked_at is not None or _is_graver(incident, is_new) else _next_worsened(incident)
    return (Event.WORSENED if is_new and world.now - incident.notified_at >= wait else None), None


def _is_graver(incident: Incident, is_new: Iterable[str]) -> bool:
    known = {each.rpartition(" ")[2] for each in incident.notified_members} & _SEVERITIES
    return bool(({each.rpartition(" ")[2] for each in is_new} & _SEVERITIES) - known)


def _next_worsened(incident: Incident) -> timedelta:
    """As long as it has got worse so far: what grows for a quarter of an hour is some messages, not one a minute."""
    fired_at, notified_at = incident.fired_at, incident.notified_at
    so_far = notified_at - fired_at if fired_at is not None and notified_at is not None else timedelta(0)
    return min(max(so_far, WORSENED_AT_MOST_EVERY), WORSENED_AT_LEAST_EVERY)


def _note_on(incident: Incident, world: World) -> Note:
    """How often the incident's rule has fired for its group lately."""
    count = world.fired.get((incident.rule, incident.subject_key), 0)
    if incident.fired_at is None:  # begins with this pass, so it was not counted yet
        return Note(count + 1, timedelta(0), world.flapping)
    return Note(count, world.now - incident.fired_at, world.flapping)


STAGES: tuple[Stage, ...] = (by_cause, quiet, due)
