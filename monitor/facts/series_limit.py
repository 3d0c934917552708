"""How many new series a day may make: names that come from outside (campaigns, domains …) must not fill the database.

Counted are series of counts, whose subjects senders and mails name; states and gauges are about what the inventory and the
configuration have. How many were made today (UTC), by customer and by whoever brought the facts, is written with the facts
(table `setting`), so it survives restarts and is exact for any number of processes, for intakes take turns. How many readings
were refused is a count itself, `refused_readings`.

What is refused is kept beside the batch: of what somebody brought, who hears of it, as evidence for a while; of what was
collected as parked input, until somebody has looked.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, text
from sqlmodel import Session, col, select

from collectors.cleaning import kept_name
from collectors.contract import Reason
from collectors.measures import MEASURES, MeasureKind
from collectors.observation import Batch, Evidence, Observation, Parked, Subject
from monitor.config.settings import NewSeries
from monitor.database.bodies import unpacked
from monitor.database.engine import table
from monitor.database.tables import BatchRow, EvidenceRow, Reading, Series, Setting
from monitor.facts.series_ids import SeriesIds, SeriesKey, short

REFUSED = "refused_readings"
_MADE = "new_series:"  # settings: the day and how many it has made
KIND = "refused"  # of evidence
_GET = text("SELECT value FROM setting WHERE name = :name")
_PUT = text(
    "INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_LIMITED = frozenset(name for name, measure in MEASURES.items() if measure.kind is MeasureKind.COUNT)


class _Scope(NamedTuple):
    """What has a limit: a customer (None: facts that name none), or whoever brought the facts."""

    setting: str  # of engine.new_series
    customer: str | None
    by: str | None = None

    @property
    def words(self) -> str:
        return self.by or (f"customer {self.customer}" if self.customer else "facts of no customer")

    @property
    def name(self) -> str:
        return short(f"{_MADE}{kept_name(self.words)}")


def admit(
    connection: Connection, series: SeriesIds, new: Sequence[tuple[int, Batch]], known_at: datetime, limits: NewSeries
) -> tuple[list[tuple[int, Batch]], list[dict[SeriesKey, str]]]:
    """The batches with what may be counted, and what may not beside them; and of each what was refused.

    The first one counts what was refused. Refused are sentences by series.
    """
    wanted = series.unknown(connection, (each for _, batch in new for each in batch.observations if each.measure in _LIMITED))
    if not wanted:
        return list(new), [{} for _ in new]
    made = _Made(connection, known_at, limits)
    why: dict[SeriesKey, str] = {}
    for _, batch in new:
        for key in dict.fromkeys((each.measure, each.subject) for each in batch.observations):
            if key in wanted:
                wanted.discard(key)
                if (reason := made.one_more(key[1].customer, batch.brought_by)) is not None:
                    why[key] = reason
    refused = [
        {key: why[key] for each in batch.observations if (key := (each.measure, each.subject)) in why} if why else {}
        for _, batch in new
    ]
    admitted = [(id_, _without(batch, of_it, made)) for (id_, batch), of_it in zip(new, refused, strict=True)]
    made.write()
    id_, first = admitted[0]
    admitted[0] = id_, replace(first, observations=(*first.observations, *made.observations()))
    return admitted, refused


class _Made:
    """How many series today has made so far, by scope."""

    def __init__(self, connection: Connection, now: datetime, limits: NewSeries) -> None:
        self._connection, self._now, self._limits = connection, now, limits
        self._made: dict[_Scope, int] = {}
        self._changed: set[_Scope] = set()
        self._refused: Counter[_Scope] = Counter()
        self._full: dict[str, _Scope] = {}  # reason → the scope that is full

    def one_more(self, customer: str | None, by: str | None) -> str | None:
        """Count one more series of a customer; the reason why it may not be made, None where it may."""
        scopes = [_Scope("per_customer", customer), *([_Scope("per_key", None, by)] if by else [])]
        for scope in scopes:
            limit = getattr(self._limits, scope.setting)
            if self._today(scope) >= limit:
                reason = (
                    f"{scope.words}: {limit:,} new series were made today, the most (engine.new_series.{scope.setting});"
                    " readings of further ones are not counted until 00:00 UTC"
                )
                self._full[reason] = scope
                return reason
        for scope in scopes:
            self._made[scope] += 1
        self._changed.update(scopes)
        return None

    def refuse(self, reason: str, readings: int) -> None:
        self._refused[self._full[reason]] += readings

    def write(self) -> None:
        day = _day(self._now)
        rows = [{"name": scope.name, "value": f"{day} {self._made[scope]}"} for scope in self._changed]
        if rows:
            self._connection.execute(_PUT, rows)

    def observations(self) -> Iterable[Observation]:
        for scope, count in self._refused.items():
            yield Observation(REFUSED, Subject(customer=scope.customer, aspect=scope.words), self._now, float(count))

    def _today(self, scope: _Scope) -> int:
        if scope not in self._made:
            self._made[scope] = self._read(scope)
        return self._made[scope]

    def _read(self, scope: _Scope) -> int:
        written = self._connection.execute(_GET, {"name": scope.name}).scalar_one_or_none()
        day, _, count = (written or "").partition(" ")
        return int(count) if day == _day(self._now) else 0


def _day(now: datetime) -> str:
    return f"{now.astimezone(UTC):%Y-%m-%d}"


def _without(batch: Batch, refused: Mapping[SeriesKey, str], made: _Made) -> Batch:
    """The batch with the readings of refused series beside it instead of in it."""
    if not refused:
        return batch
    kept = tuple(each for each in batch.observations if (each.measure, each.subject) not in refused)
    out = [each for each in batch.observations if (each.measure, each.subject) in refused]
    for each in out:
        made.refuse(refused[each.measure, each.subject], 1)
    body = "\n".join(json.dumps(_line(each, refused[each.measure, each.subject])) for each in out).encode()
    if batch.brought_by is not None:
        return replace(batch, observations=kept, evidence=(*batch.evidence, Evidence(KIND, batch.at, body)))
    parked = Parked(f"{batch.source}/{batch.key}", Reason.SERIES_LIMIT, next(iter(refused.values())), body)
    return replace(batch, observations=kept, parked=(*batch.parked, parked))


def _line(each: Observation, why: str) -> dict[str, Any]:
    subject = {name: value for name, value in each.subject._asdict().items() if value is not None}
    return {"measure": each.measure, "subject": subject, "at": each.at.isoformat(), "value": each.value, "reason": each.reason, "why": why}


def read_refused(body: bytes) -> list[tuple[Observation, str]]:
    """The readings that a parked input or evidence holds, each with the reason why it was refused."""
    rows = map(json.loads, body.split(b"\n"))
    return [
        (Observation(row["measure"], Subject(**row["subject"]), datetime.fromisoformat(row["at"]), row["value"], row["reason"]), row["why"])
        for row in rows
    ]


def refused_before(session: Session, source: str, key: str) -> dict[SeriesKey, str]:
    """What was refused of a batch that was taken before, for as long as its evidence is kept."""
    query = select(EvidenceRow.body).join(BatchRow, col(BatchRow.id) == EvidenceRow.batch_id)
    chosen = query.where(BatchRow.source == source, BatchRow.key == short(key), EvidenceRow.kind == KIND)
    return {
        (each.measure, each.subject): why for body in session.exec(chosen) for each, why in read_refused(unpacked(body))
    }


def refused_since(session: Session, since: datetime) -> list[tuple[str, float]]:
    """How many readings were refused, by what has a limit."""
    query = select(Series.aspect, func.sum(Reading.value)).join(Reading, col(Reading.series_id) == Series.id)
    chosen = query.where(Series.measure == REFUSED, Reading.at >= since).group_by(col(Series.aspect)).order_by(col(Series.aspect))
    return [(aspect or "", count or 0) for aspect, count in session.exec(chosen)]


def made_today(session: Session, now: datetime) -> list[tuple[str, float]]:
    """How many series today has made, by what has a limit."""
    chosen = select(Setting.name, Setting.value).where(col(Setting.name).startswith(_MADE)).order_by(Setting.name)
    today = f"{_day(now)} "
    return [
        (name.removeprefix(_MADE), float(value.removeprefix(today)))
        for name, value in session.exec(chosen)
        if value.startswith(today)
    ]


def forget_days_before(connection: Connection, now: datetime) -> None:
    """What was made on another day than today is asked no more."""
    connection.execute(delete(table(Setting)).where(col(Setting.name).startswith(_MADE), col(Setting.value) < _day(now)))
