"""A sign of life to a watcher outside (Healthchecks, Uptime Kuma): when it stays away, nothing of ours can say what is wrong.

It goes the way of every notification: a job asks when the rules were judged last, writes into the outbox, and the worker sends. So it
stays away when judging, the database, the jobs or sending stand still. One row for each is kept and used again: signs of
life are not queued up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sqlmodel import Session, select

from monitor.config.severity import Severity
from monitor.database.leases import last_run
from monitor.database.tables import Outbox
from monitor.facts import Store
from monitor.incidents.matchers import Matcher, all_match
from monitor.incidents.rows import firing_incidents
from monitor.incidents.silences import labels_of
from monitor.notify.message import Event
from monitor.notify.outbox import OutboxState
from monitor.notify.sender import Outgoing, Sent
from monitor.notify.senders import post

LOOK_EVERY = timedelta(seconds=10)
JUDGED_WITHIN = timedelta(minutes=5)  # a pass that takes longer, or none: no sign of life
PREFIX = "heartbeat:"
_LONGEST = 250


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One watcher. `matchers`: while an incident that matches fires it hears "down"; without any it only hears that we live."""

    name: str
    every: timedelta
    matchers: tuple[Matcher, ...] = ()

    @property
    def receiver(self) -> str:
        return PREFIX + self.name


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """Writes the signs of life that are due."""

    store: Store
    beats: Sequence[Heartbeat]
    clock: Callable[[], datetime]

    def run(self) -> None:
        now = self.clock()
        with self.store.reading_session() as session:
            judged_at = last_run(session.connection(), "judge")
        if judged_at is None or now - judged_at > JUDGED_WITHIN:
            return
        for beat in self.beats:
            with self.store.session() as session:
                _write(session, beat, now)


def _write(session: Session, beat: Heartbeat, now: datetime) -> None:
    """Let the beat's row go out again, unless it waits still or its time has not come."""
    row = session.exec(select(Outbox).where(Outbox.key == beat.receiver).with_for_update()).first()
    if row is None:
        row = Outbox(
            key=beat.receiver, incident_id=beat.receiver, receiver=beat.receiver, event=Event.RESOLVED, severity=Severity.INFO,
            title="", body="", group_key=beat.receiver, state=OutboxState.SENT, created_at=now - beat.every, next_attempt_at=now,
        )
    if row.state == OutboxState.WAITING or now - row.created_at < beat.every:
        return
    firing = [row for row in firing_incidents(session) if beat.matchers and all_match(beat.matchers, labels_of(row))]
    row.event = (Event.FIRING if firing else Event.RESOLVED).value
    row.title = "; ".join(f"{each.rule}: {each.summary}" for each in firing)[:_LONGEST] or "OK"
    row.state, row.message_key, row.attempts, row.last_error = OutboxState.WAITING.value, None, 0, None
    row.created_at = row.next_attempt_at = now
    session.add(row)


class Healthchecks:
    """`url` is a check's ping address; `/fail` is added while something fires."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def send(self, message: Outgoing) -> Sent:
        url = self._url + ("/fail" if message.event == Event.FIRING else "")
        answer = post.send(url, message.title.encode(), {"content-type": "text/plain; charset=utf-8"}, now=message.at)
        return Sent(answer.error, answer.retry_after)


class UptimeKuma:
    """`url` is the address of a monitor of the kind Push."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)

    def send(self, message: Outgoing) -> Sent:
        status = "down" if message.event == Event.FIRING else "up"
        query = dict(parse_qsl(self._parts.query)) | {"status": status, "msg": message.title}
        url = urlunsplit(self._parts._replace(query=urlencode(query)))
        answer = post.send(url, b"", {}, method="GET", now=message.at)
        refused = answer.error is None and answer.body.get("ok") is False
        return Sent("refused: there is no such monitor, or it is paused" if refused else answer.error, answer.retry_after)
