"""After a pass: the scopes that rules held come back step by step, by what was sent and judged since the step began.

Good is: the rule's verdict is clear (beyond its own clear line), and enough was delivered in the scope since the step began.
What is bad does not come this way: a rule that wants a scope held again says so at once (monitor.judging.suspend). Whatever is not
known moves nothing; where that lasts, who was notified of the incident is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from monitor.database.tables import Incident, Recovery
from monitor.facts import Store
from monitor.incidents.rows import incident_named
from monitor.judging.held import COUNTED_BY, Traffic
from monitor.judging.verdict_rows import answer_of
from monitor.notify.message import Event, Message, details_of, when, where
from monitor.notify.outbox import notified_of
from monitor.notify.queue import Notice, queue
from monitor.restrictions import recoveries
from monitor.restrictions.recovery import Heard, Progress, Stage, is_last, step
from monitor.rules.conditions.table import numbers_of
from monitor.rules.ladders import Ladder, ladders
from monitor.rules.model import Rule
from monitor.rules.verdict import Answer


@dataclass(frozen=True, slots=True)
class Recovering:
    """`writing` opens a transaction that writes, if this process still judges."""

    store: Store
    traffic: Traffic
    writing: Callable[[], AbstractContextManager[Session]]
    console_url: str

    def advance(self, rules: Mapping[str, Rule], now: datetime) -> None:
        """Bring every recovery to where it is now; each in a transaction of its own."""
        with self.store.reading_session() as session:
            waiting = [row.id for row in recoveries.open_recoveries(session)]
        for recovery_id in waiting:
            with self.writing() as session:
                row = recoveries.recovery_named(session, recovery_id)
                if row is not None and row.ended_at is None:
                    self._one(session, row, rules.get(row.rule), now)

    def _one(self, session: Session, row: Recovery, rule: Rule | None, now: datetime) -> None:
        if recoveries.overridden(row, now):
            return
        ladder = ladders().get(row.ladder)
        if rule is None or ladder is None or rule.effect is None or rule.effect.recover != row.ladder:
            recoveries.end(session, row, actor="configuration", why=f"rule {row.rule} no longer has it so", now=now)
            return
        if row.overridden_until is not None:
            row.overridden_until = None
            if row.stage == Stage.NORMAL:
                recoveries.end(session, row, actor="expiry", why=f"what {row.overridden_by} decided has ended, and all is as before", now=now)
                return
        elif (who := recoveries.lifted_by(session, row, now)) is not None:
            recoveries.end(session, row, actor=who, why=f"{who} lifted it", now=now)
            return
        before = recoveries.progress_of(row)
        delivered = self._delivered(row, now)
        heard = _heard(before, ladder, answer_of(session, row.rule, row.group_key), delivered)
        after = step(before, heard, now, ladder)
        if after is not before:
            recoveries.move(session, row, after, why=_why(before, after, delivered), lifts_when=_lifts_when(ladder), now=now)
        elif heard is Heard.NOTHING and row.called_at is None and row.stage != Stage.HELD and now - row.since >= ladder.call_after:
            self._call(session, row, ladder, delivered, now)

    def _delivered(self, row: Recovery, now: datetime) -> int:
        if not set(row.scope) <= set(COUNTED_BY):
            return 0
        by = tuple(row.scope)
        counted = self.traffic.counts(("delivered",), by, (row.since, now))
        return int(counted.get(tuple(row.scope.values()), {}).get("delivered", 0))

    def _call(self, session: Session, row: Recovery, ladder: Ladder, delivered: int, now: datetime) -> None:
        row.called_at = now
        session.add(row)
        incident = incident_named(session, row.incident_id)
        if incident is None:
            return
        message = _message(incident, row, ladder, delivered, self.console_url)
        queue(session, incident, Notice(Event.REMINDER, f"-{row.id}-{int(now.timestamp())}", message), notified_of(session, incident.id), now)


def _heard(progress: Progress, ladder: Ladder, answer: Answer | None, delivered: int) -> Heard:
    if answer is not Answer.CLEAR or delivered < ladder.at_least:
        return Heard.NOTHING
    return Heard.RESTORED if is_last(progress, ladder) else Heard.GOOD


def _why(before: Progress, after: Progress, delivered: int) -> str:
    if after.stage is Stage.PROBING:
        return f"held long enough: {after.rate:,} an hour are let through, to be judged by"
    shown = f"{delivered:,} delivered since {when(before.since)}, and the rule is clear"
    if after.stage is Stage.NORMAL:
        return f"{shown}: all is as before"
    return f"{shown}: {after.rate:,} an hour (was {before.rate or 0:,})"


def _lifts_when(ladder: Ladder) -> str:
    return f"step by step, each after {ladder.at_least:,} delivered in at least {ladder.dwell} with the rule clear"


def _message(incident: Incident, row: Recovery, ladder: Ladder, delivered: int, console_url: str) -> Message:
    summary = f"{where(row.scope)} stays {row.stage}: nothing to judge by since {when(row.since)}"
    lines = [
        f"What: {summary}",
        f"Why: {delivered:,} of {ladder.at_least:,} messages delivered at this step; what is not known lifts nothing",
        f"Next: send some mail there, or decide: vigie gate override {row.id} --state normal --until 1d --reason TEXT",
        f"More: {console_url}/incidents/{incident.id}",
    ]
    title = f"[CALL] {incident.severity}: {where(row.scope)} does not come back by itself ({row.rule})"
    return Message(title, "\n".join(lines), details_of(incident, summary, numbers_of(incident.evidence), console_url))
