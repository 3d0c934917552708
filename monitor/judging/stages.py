"""What people are to be notified of after a pass: stages of one signature, `(changes, world) -> changes`. Pure.

The order of all of them, from a verdict to a message:

  dependency   monitor.rules.unless: a verdict that another rule stands against is taken back before any state changes
  guard        monitor.judging.suspend: what automation may hold by itself, asked where holds are put on: none waits for the rest
  quiet        nobody is notified of what is silenced, or explained by another that fires
  due          what is new to those who are notified, and not flapping
  enqueue      monitor.judging.enqueue: outbox rows, written once all is known

What fires and was not notified of stays due until it is written: a pass that dies half-way is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from monitor.database.tables import Incident, Suspension
from monitor.incidents.silences import labels_of
from monitor.notify.flapping import Note
from monitor.notify.message import Event
from monitor.notify.quiet import Quiet
from monitor.notify.routing import Delivery, Flapping
from monitor.restrictions.rows import is_in_force
from monitor.rules.model import Rule
from monitor.rules.verdict import Verdict

WORSENED_AT_MOST_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Change:
    """An incident that fires. `event`: what people are notified of now (None: nothing), `deliveries`: whom; `quiet`: the ids of the
    silences and incidents because of which nobody is.
    """

    rule: Rule | None
    incident: Incident
    verdict: Verdict
    suspensions: Sequence[Suspension] = ()
    deliveries: tuple[Delivery, ...] = ()
    quiet: tuple[str, ...] = ()
    event: Event | None = None
    note: Note | None = None

    @property
    def labels(self) -> dict[str, str]:
        """All that it is matched by: the rule's labels, what all that is judged has in common, the incident's own."""
        return labels_of(self.incident, {**(self.rule.labels if self.rule else {}), **self.verdict.labels})

    def worth_notifying(self, now: datetime) -> list[str]:
        """What a message is about: the members of the breach, how grave each is at least, the suspensions put on."""
        worth = {*(each.key for each in self.verdict.members), *(row.id for row in self.suspensions if is_in_force(row, now))}
        for member in self.verdict.members:
            graver = member.severity.up_to_this[1:] if member.severity else ()
            worth.update(f"{member.key} {severity}" for severity in graver)
        return sorted(worth)


@dataclass(frozen=True, slots=True)
class World:
    """What the stages may ask, read in one snapshot. `fired`: (rule, group) → how often it has fired lately."""

    now: datetime
    quiet: Quiet
    fired: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def flapping(self) -> Flapping:
        return self.quiet.routing.flapping


Stage = Callable[[Sequence[Change], World], list[Change]]


def passed(changes: Sequence[Change], world: World, stages: Sequence[Stage]) -> list[Change]:
    """The changes after all the stages."""
    for stage in stages:
        changes = stage(changes, world)
    return list(changes)


def quiet(changes: Sequence[Change], world: World) -> list[Change]:
    """Who is notified of each, and what keeps it quiet."""
    made = []
    for change in changes:
        labels = change.labels
        why = tuple(world.quiet.why(labels))
        made.append(replace(change, quiet=why, deliveries=() if why else tuple(world.quiet.deliveries(labels))))
    return made


def due(changes: Sequence[Change], world: World) -> list[Change]:
    """What each is to be notified of now: `firing`, `worsened` (not too often), or nothing.

    Worsened: there are members or suspensions, or graver members, that the last notification did not have.
    """
    return [replace(change, event=event, note=note) for change in changes for event, note in [_due(change, world)]]


def _due(change: Change, world: World) -> tuple[Event | None, Note | None]:
    incident = change.incident
    if change.quiet:
        return None, None
    if incident.notified_at is None:
        note = note_on(incident, world)
        return (None if note.is_quiet else Event.FIRING), note
    if world.now - incident.notified_at < WORSENED_AT_MOST_EVERY:
        return None, None
    is_new = set(change.worth_notifying(world.now)) - set(incident.notified_members)
    return (Event.WORSENED if is_new else None), None


def note_on(incident: Incident, world: World) -> Note:
    """How often the incident's rule has fired for its group lately."""
    if not world.flapping.times or incident.fired_at is None:
        return Note(0, timedelta(0), world.flapping)
    count = world.fired.get((incident.rule, incident.subject_key), 0)
    return Note(count, world.now - incident.fired_at, world.flapping)


STAGES: tuple[Stage, ...] = (quiet, due)
