"""What the console shows: the rows of one snapshot, put together for people. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlmodel import Session, case, col, func, select

from monitor.database.tables import Incident, Listing, Outbox, Run, Suspension, Transition
from monitor.facts.following import newest_transition
from monitor.facts.runs import Runs, last_runs
from monitor.notify.message import next_steps
from monitor.rules.model import AnyRule, ComplaintRateRule

MOST_ROWS = 100
FEW_ROWS = 12
STALE_TURNS = 3  # a collector that missed so many turns is stale …
STALE_AT_LEAST = timedelta(minutes=1)  # … but a late start is none
_SEVERITIES = ("critical", "warning", "info")
_STATES = ("firing", "recovering", "pending")


@dataclass(frozen=True, slots=True)
class Bounds:
    """A rate with what is certain about it, and the line it must not cross; all shares from 0 to 1."""

    rate: float
    lower: float
    upper: float
    count: int
    of: int
    confidence: float
    line: float | None

    @property
    def scale(self) -> float:
        """The share at the right edge of the drawing."""
        return max(self.upper, (self.line or 0) * 1.5, 1e-6) * 1.08


@dataclass(frozen=True, slots=True)
class Trouble:
    """An open incident, what was done about it and what to do next."""

    incident: Incident
    bounds: Bounds | None
    brakes: Sequence[Suspension]
    steps: Sequence[str]


@dataclass(frozen=True, slots=True)
class Source:
    """A collector and how fresh what it says is. `state`: ok, partial, running, stale, failed, waiting."""

    name: str
    state: str
    last: Run | None
    good_at: datetime | None
    every: timedelta | None


@dataclass(frozen=True, slots=True)
class Picture:
    """All of the first page."""

    now: datetime
    version: int
    troubles: Sequence[Trouble]
    pending: Sequence[Incident]
    brakes: Sequence[Suspension]
    braked: int  # how many there are; the page shows the newest
    listings: Sequence[Listing]
    listed: int
    sources: Sequence[Source]
    messages: Sequence[Outbox]
    changes: Sequence[Transition]

    @property
    def worst(self) -> str:
        """The worst severity that fires; else `blind` while a source says nothing to rely on; else `ok`."""
        found = [trouble.incident.severity for trouble in self.troubles]
        if found:
            return min(found, key=_rank)
        return "blind" if not self.sources or self.unseen else "ok"

    @property
    def unseen(self) -> Sequence[str]:
        """The collectors that say nothing to rely on now."""
        return [source.name for source in self.sources if source.state in {"stale", "failed"} or source.good_at is None]


def take_picture(
    session: Session, now: datetime, rules: Mapping[str, AnyRule], collectors: Mapping[str, timedelta]
) -> Picture:
    """What is so now."""
    open_ones = _open_incidents(session)
    firing = [one for one in open_ones if one.state != "pending"][:MOST_ROWS]
    theirs = brakes_of(session, [one.id for one in firing])
    return Picture(
        now=now,
        version=newest_transition(session),
        troubles=[trouble(one, theirs, rules.get(one.rule)) for one in firing],
        pending=[one for one in open_ones if one.state == "pending"][:MOST_ROWS],
        brakes=_brakes_in_force(session, now),
        braked=_count(session, *_in_force(now)),
        listings=_listings(session),
        listed=_count(session, col(Listing.cleared_at).is_(None)),
        sources=_sources(session, now, collectors),
        messages=list(session.exec(select(Outbox).order_by(col(Outbox.id).desc()).limit(FEW_ROWS))),
        changes=list(session.exec(select(Transition).order_by(col(Transition.id).desc()).limit(FEW_ROWS))),
    )


def trouble(incident: Incident, brakes: Sequence[Suspension], rule: AnyRule | None) -> Trouble:
    """An incident with its brakes among these, and the steps its rule advises."""
    mine = [brake for brake in brakes if brake.incident_id == incident.id]
    steps = next_steps(incident.evidence, rule.advice if rule else "")
    return Trouble(incident, _bounds(incident, rule), mine, steps)


def brakes_of(session: Session, incidents: Sequence[str]) -> list[Suspension]:
    """The suspensions of these incidents: those in force first, then the newest."""
    chosen = select(Suspension).where(col(Suspension.incident_id).in_(incidents)).order_by(col(Suspension.since).desc())
    return sorted(session.exec(chosen.limit(MOST_ROWS * 10)), key=lambda brake: brake.lifted_at is not None)


def recent_runs(session: Session, limit: int) -> list[Run]:
    return list(session.exec(select(Run).order_by(col(Run.id).desc()).limit(limit)))


def _rank(severity: str) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)


def _bounds(incident: Incident, rule: AnyRule | None) -> Bounds | None:
    said = incident.evidence
    if not {"rate", "lower", "upper", "complaints", "delivered", "confidence"} <= said.keys():
        return None
    return Bounds(
        said["rate"], said["lower"], said["upper"], said["complaints"], said["delivered"], said["confidence"],
        line=rule.above if isinstance(rule, ComplaintRateRule) else None,
    )


def _open_incidents(session: Session) -> list[Incident]:
    """The worst first, then what fires before what recovers or waits, then the oldest."""
    worst = case({name: rank for rank, name in enumerate(_SEVERITIES)}, value=Incident.severity, else_=len(_SEVERITIES))
    state = case({name: rank for rank, name in enumerate(_STATES)}, value=Incident.state, else_=len(_STATES))
    chosen = select(Incident).where(col(Incident.ended_at).is_(None))
    return list(session.exec(chosen.order_by(worst, state, col(Incident.started_at)).limit(MOST_ROWS * 2)))


def _in_force(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Neither lifted nor past its time."""
    return col(Suspension.lifted_at).is_(None), col(Suspension.until).is_(None) | (col(Suspension.until) > now)


def _brakes_in_force(session: Session, now: datetime) -> list[Suspension]:
    newest = select(Suspension).where(*_in_force(now)).order_by(col(Suspension.since).desc(), col(Suspension.id))
    return list(session.exec(newest.limit(MOST_ROWS)))


def _count(session: Session, *where: ColumnElement[bool]) -> int:
    return session.exec(select(func.count()).where(*where)).one()


def _listings(session: Session) -> list[Listing]:
    """Those that stand and were confirmed first, then those waiting for a second answer."""
    chosen = select(Listing).where(col(Listing.cleared_at).is_(None)).order_by(col(Listing.id).desc())
    rows = list(session.exec(chosen.limit(MOST_ROWS)))
    return sorted(rows, key=lambda row: row.confirmed_at is None)


def _sources(session: Session, now: datetime, collectors: Mapping[str, timedelta]) -> list[Source]:
    found = last_runs(session)
    return [_source(name, found.get(name), collectors.get(name), now) for name in sorted(found.keys() | collectors.keys())]


def _source(name: str, runs: Runs | None, every: timedelta | None, now: datetime) -> Source:
    last, good = (runs.last, runs.good) if runs else (None, None)
    good_at = good.ended_at if good else None
    seen_at = good_at or (last.started_at if last else None)
    state = last.outcome if last else "waiting"
    stale_after = max(every * STALE_TURNS, STALE_AT_LEAST) if every else None
    if state != "failed" and stale_after and seen_at and now - seen_at > stale_after:
        state = "stale"
    return Source(name, state, last, good_at, every)
