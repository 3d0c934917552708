"""Taking batches: all facts, cursors and idempotency keys of a call in one transaction.

Order within it: batch keys → keys of records → series → readings, latest and what follows from them → traces and what follows from
them → evidence, parked → cursors. Intakes take turns (Engines.alone), so `known_at` never runs backwards in the
order of commits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Executable, String, select, text

from collectors.cleaning import kept, kept_name, storable
from collectors.measures import MEASURES
from collectors.observation import Batch, Evidence, Parked
from monitor.config.settings import NewSeries
from monitor.database.bodies import packed
from monitor.database.bulk import stored, write_traces
from monitor.database.engine import Engines, chunks, insert_into, table
from monitor.database.partitions import ensure_parts
from monitor.database.recipient_keys import RecipientKeys
from monitor.database.tables import EPOCH, BatchRow, Cursor, EvidenceRow, Instant, ParkedRow, RecordKey
from monitor.facts.consequences import Consequences, NewTrace
from monitor.facts.numbers import bounded, write_numbers
from monitor.facts.series_ids import SeriesIds, SeriesKey, short
from monitor.facts.series_limit import admit
from monitor.facts.series_unused import GENERATION
from monitor.facts.too_old import set_aside
from monitor.facts.trace_fields import REF, FieldsOf, TraceFields

_taking: dict[str, Executable] = {}  # dialect → the statement that takes a key
_Kept = list[tuple[int, Batch, list[TraceFields]]]  # the new batches by their ids


class Taken(NamedTuple):
    """`new` False: this (source, key) was taken before and nothing but its cursor was written.

    `batch` is what was stored: where its content is another than was counted under its key, a parked revision.

    `refused`: the series that were not counted, as today makes no more of them; each with a sentence
    (monitor.facts.series_limit).
    """

    batch: Batch
    new: bool
    refused: Mapping[SeriesKey, str] = {}


class RecordsTakenError(Exception):
    """Some of a batch's records were counted before (`keys`): nothing was written; bring the batch again without them."""

    def __init__(self, keys: frozenset[int]) -> None:
        super().__init__(f"{len(keys)} records were counted before")
        self.keys = keys


class Intake:
    """What one store needs to take batches: its engines, the series it has seen, how it hashes recipients."""

    def __init__(
        self, engines: Engines, consequences: Consequences, recipients: RecipientKeys, bucket: timedelta,
        oldest: timedelta, new_series: NewSeries,
    ) -> None:
        self._engines = engines
        self._bucket = bucket
        self._oldest = oldest
        self._new_series = new_series
        self._consequences = consequences
        self._recipients = recipients
        self._series = SeriesIds()

    def take(self, batches: Sequence[Batch], known_at: datetime, evidence_for: timedelta) -> list[Taken]:
        _refuse_unknown_measures(batches)
        batches = [set_aside(batch, known_at, self._oldest) for batch in batches]
        fields_of = FieldsOf(self._recipients)
        prepared = {id(batch): [fields_of(trace) for trace in batch.traces] for batch in batches}
        with self._engines.alone() as connection:
            newest, generation = _begin(connection)
            known_at = max(known_at, newest)
            self._series.hold(generation)
            claimed = _claimed(connection, batches, known_at)
            fields = [prepared.get(id(batch), []) for id_, batch in claimed if id_ is not None]
            new = [(id_, batch) for id_, batch in claimed if id_ is not None]
            _take_records(connection, [key for _, batch in new for key in batch.records], known_at)
            new, refused = admit(connection, self._series, new, known_at, self._new_series)
            # no traces of what is parked instead of being counted
            kept: _Kept = [(id_, batch, rows) for (id_, batch), rows in zip(new, fields, strict=True)]
            looked_up = write_numbers(
                connection, self._series, new, known_at, self._consequences.answers, self._bucket
            )
            _write_traces(connection, kept, known_at)
            self._follow_traces(connection, kept, known_at)
            if connection.dialect.name == "postgresql" and any(batch.evidence for _, batch in new):
                ensure_parts(connection, {"evidence": [known_at + evidence_for]})
            for id_, batch in new:
                _keep_bodies(connection, id_, self._without_addresses(batch), (known_at, known_at + evidence_for))
            _move_cursors(connection, [batch for _, batch in claimed], known_at)
        self._series.remember(looked_up)
        stored_as, why = dict(new), dict(zip((id_ for id_, _ in new), refused, strict=True))
        return [
            Taken(batch, False) if id_ is None else Taken(stored_as[id_], True, why[id_]) for id_, batch in claimed
        ]

    def _without_addresses(self, batch: Batch) -> Batch:
        """Whatever was parked keeps its addresses only in its body."""
        redacted = self._recipients.redacted
        parked = tuple(replace(each, source=redacted(each.source), text=redacted(each.text)) for each in batch.parked)
        return replace(batch, parked=parked) if parked else batch

    def _follow_traces(self, connection: Connection, kept: _Kept, known_at: datetime) -> None:
        for kinds, write in self._consequences.traces:
            new = [
                NewTrace(batch_id, batch.source, trace, fields[REF])
                for batch_id, batch, rows in kept
                for trace, fields in zip(batch.traces, rows, strict=True)
                if trace.kind in kinds
            ]
            if new:
                write(connection, new, known_at)


def _refuse_unknown_measures(batches: Sequence[Batch]) -> None:
    for name in {each.measure for batch in batches for each in batch.observations} - MEASURES.keys():
        raise ValueError(f"{name!r} is no measure of collectors.measures")


_BEGIN = text(
    f"SELECT (SELECT max(known_at) FROM batch), (SELECT value FROM setting WHERE name = '{GENERATION}')"  # noqa: S608 - our own name
).columns(Column("newest", Instant), Column("generation", String))


def _begin(connection: Connection) -> tuple[datetime, str | None]:
    """When the newest batch was known, and the generation of series."""
    newest, generation = connection.execute(_BEGIN).one()
    return newest or EPOCH, generation


def _claimed(connection: Connection, batches: Sequence[Batch], known_at: datetime) -> list[tuple[int | None, Batch]]:
    """`_claim` of each, in order; those that cannot be revised, by far the most, in one statement."""
    plain = [batch for batch in batches if batch.content is None or batch.revision is None]
    ids = _take_keys(connection, plain, known_at)
    return [
        (ids.pop(_key(batch), None), batch) if batch.content is None or batch.revision is None
        else _claim(connection, batch, known_at)
        for batch in batches
    ]  # fmt: skip


def _claim(connection: Connection, batch: Batch, known_at: datetime) -> tuple[int | None, Batch]:
    """The id under which to store, None for a repeat, and what to store: a revision is parked, never counted.

    The content counted under a key is remembered as a batch of its own that holds nothing.
    """
    assert batch.revision is not None
    id_ = _take_key(connection, batch, known_at)
    known = Batch(batch.source, f"{batch.key}#{batch.content}", batch.at)
    if id_ is not None:
        _take_key(connection, known, known_at)
        return id_, batch
    if _is_taken(connection, known):
        return None, batch
    parked = replace(known, key=f"parked:{known.key}", parked=(batch.revision,), cursor_name=batch.cursor_name,
                     cursor=batch.cursor, acknowledge=batch.acknowledge)
    return _take_key(connection, parked, known_at), parked


def _is_taken(connection: Connection, batch: Batch) -> bool:
    columns = table(BatchRow).c
    query = select(columns.id).where(columns.source == batch.source, columns.key == short(storable(batch.key)))
    return connection.execute(query).first() is not None


def _take_key(connection: Connection, batch: Batch, known_at: datetime) -> int | None:
    """The id of the new batch; None when it was taken before."""
    return _take_keys(connection, [batch], known_at).get(_key(batch))


def _take_keys(connection: Connection, batches: Sequence[Batch], known_at: datetime) -> dict[tuple[str, str], int]:
    """(source, key) → id of the new batches; of several with the same key one is new."""
    rows = [
        {
            "source": batch.source,
            "key": short(storable(batch.key)),
            "at": bounded(batch.at, known_at),
            "known_at": known_at,
            "observations": len(batch.observations),
            "traces": len(batch.traces),
            "parked": len(batch.parked),
        }
        for batch in batches
    ]
    if not rows:
        return {}
    statement = _taking.get(connection.dialect.name)
    if statement is None:  # one for every batch: building it costs more than running it
        columns = table(BatchRow).c
        insert = insert_into(connection, BatchRow).on_conflict_do_nothing(index_elements=["source", "key"])
        statement = _taking[connection.dialect.name] = insert.returning(columns.source, columns.key, columns.id)
    return {(source, key): id_ for source, key, id_ in connection.execute(statement, rows)}


def taken_records(connection: Connection, keys: list[int]) -> frozenset[int]:
    """Which of these keys of records were taken before."""
    records = table(RecordKey)
    return frozenset(
        key for chunk in chunks(keys)
        for key in connection.execute(select(records.c.key).where(records.c.key.in_(chunk))).scalars()
    )


def _take_records(connection: Connection, keys: list[int], known_at: datetime) -> None:
    """Raises RecordsTakenError where one was taken before, or is there twice."""
    if not keys:
        return
    if known := taken_records(connection, keys):
        raise RecordsTakenError(known)
    connection.execute(table(RecordKey).insert(), [{"key": key, "known_at": known_at} for key in keys])


def _key(batch: Batch) -> tuple[str, str]:
    return batch.source, short(storable(batch.key))


def _write_traces(connection: Connection, kept: _Kept, known_at: datetime) -> None:
    known = stored(connection, known_at)
    rows = [
        (batch_id, batch.source, stored(connection, bounded(trace.at, known_at)), known, *fields)
        for batch_id, batch, fields_of in kept
        for trace, fields in zip(batch.traces, fields_of, strict=True)
    ]
    write_traces(connection, rows)


def _keep_bodies(connection: Connection, id_: int, batch: Batch, kept: tuple[datetime, datetime]) -> None:
    """Evidence and parked input, `kept` from known_at to the evidence's expiry."""
    known_at, expires_at = kept
    if batch.evidence:
        rows = [_evidence_row(id_, each, known_at, expires_at) for each in batch.evidence]
        connection.execute(table(EvidenceRow).insert(), rows)
    if batch.parked:
        rows = [_parked_row(id_, batch.source, each, known_at) for each in batch.parked]
        connection.execute(table(ParkedRow).insert(), rows)


def _evidence_row(id_: int, evidence: Evidence, known_at: datetime, expires_at: datetime) -> dict[str, object]:
    return {
        "batch_id": id_,
        "kind": evidence.kind,
        "at": bounded(evidence.at, known_at),
        "sha256": hashlib.sha256(evidence.body).hexdigest(),
        "body": packed(evidence.body),
        "expires_at": expires_at,
    }


def _parked_row(id_: int, source: str, parked: Parked, known_at: datetime) -> dict[str, object]:
    return {
        "batch_id": id_,
        "collector": source,
        "place": kept_name(parked.source),
        "reason": parked.reason,
        "text": kept(parked.text),
        "body": packed(parked.body),
        "size": len(parked.body),
        "at": known_at,
    }


def _move_cursors(connection: Connection, batches: Sequence[Batch], known_at: datetime) -> None:
    """A repeat moves its cursor too: a mailbox built anew repeats old mail under new numbers."""
    moved = {
        (batch.source, batch.cursor_name): dict(batch.cursor)
        for batch in batches
        if batch.cursor_name is not None and batch.cursor is not None
    }
    for key, value in moved.items():
        write_cursor(connection, key, value, known_at)


def write_cursor(connection: Connection, key: tuple[str, str], value: Mapping[str, Any], now: datetime) -> None:
    """`key`: the collector, and the cursor's name."""
    insert = insert_into(connection, Cursor)
    upsert = insert.values(collector=key[0], name=key[1], value=dict(value), updated_at=now)
    new = {"value": insert.excluded.value, "updated_at": insert.excluded.updated_at}
    connection.execute(upsert.on_conflict_do_update(index_elements=["collector", "name"], set_=new))
