"""Answers of DNSBLs → listing intervals: load the open rows, fold (monitor.listings.intervals), write those that changed.

What a person would call an event leaves its transition beside them: `of` is `target@dnsbl`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update
from sqlmodel import Session

from collectors.details import ListAnswer
from monitor.database.engine import chunks, table
from monitor.database.tables import Listing
from monitor.database.transitions import TransitionKind, log_transitions
from monitor.facts.consequences import NewAnswer
from monitor.facts.readings import values_of
from monitor.inventory.rows import all_targets
from monitor.listings.intervals import Answer, Change, Interval, change, end, fold, reopened
from monitor.rules.lists import Phase

_LISTING = table(Listing)
_COLUMNS = tuple(field.name for field in fields(Interval))
_UPDATE = (
    update(_LISTING)
    .where(_LISTING.c.id == bindparam("row_id"))
    .values({name: bindparam(f"new_{name}") for name in _COLUMNS})
)
_Pair = tuple[str, str]  # target, dnsbl


@dataclass(slots=True)
class _Open:
    """The interval a pair is in, and the row it came from; none of either while not listed."""

    row_id: int | None = None
    interval: Interval | None = None
    dirty: bool = False


class _Closed(NamedTuple):
    row_id: int
    interval: Interval


def write_listings(connection: Connection, answers: Sequence[NewAnswer], never_known: Collection[int]) -> None:
    """Fold the answers in; `never_known`: series without a known answer before this intake."""
    pairs = _load(connection, {_pair(each)[0] for each in answers})
    first_known = set(never_known)  # of these the next known answer is the first
    done: list[tuple[_Pair, _Open]] = []
    events: list[dict[str, Any]] = []
    for each in sorted(answers, key=lambda each: each.answer.at):
        pair = _pair(each)
        if pair not in pairs and (since := _void_since(each)) and (closed := _closed_after(connection, pair, since)):
            stands = reopened(closed.interval, _answer(each))
            pairs[pair] = _Open(closed.row_id, stands, dirty=True)
            events += [_event(pair, event, stands, each.answer.at) for event in [change(closed.interval, stands)] if event]
            continue
        if not each.answer.value and pair not in pairs:  # by far the most: it was not listed and is not
            if each.answer.value is not None:
                first_known.discard(each.series_id)
            continue
        now = pairs.setdefault(pair, _Open())
        before = now.interval
        now.interval = fold(before, _answer(each), first=each.series_id in first_known)
        if each.answer.value is not None:
            first_known.discard(each.series_id)
        now.dirty = now.dirty or now.interval != before
        if (event := change(before, now.interval)) and now.interval is not None:
            events.append(_event(pair, event, now.interval, each.answer.at))
        if now.interval is not None and now.interval.phase == Phase.CLEARED:
            done.append((pair, pairs.pop(pair)))
    _write(connection, done + [(pair, now) for pair, now in pairs.items() if now.dirty])
    log_transitions(connection, events)


def _event(pair: _Pair, event: Change, interval: Interval, at: datetime) -> dict[str, Any]:
    target, dnsbl = pair
    detail = interval.detail
    evidence = {
        "target": target, "dnsbl": dnsbl, "codes": list(interval.codes), "baseline": interval.baseline,
        "first_seen_at": interval.first_seen_at.isoformat(), "meanings": list(detail.meanings),
        "severity": detail.severity.value, "text": detail.text,
    }  # fmt: skip
    return {
        "at": at, "kind": TransitionKind.LISTING.value, "of": f"{target}@{dnsbl}", "old": event.old, "new": event.new,
        "why": event.why, "actor": dnsbl, "rule": None, "evidence": evidence,
    }  # fmt: skip


def _pair(new: NewAnswer) -> _Pair:
    target = new.subject.ip or new.subject.domain
    if not target or not new.subject.dnsbl:
        raise ValueError(f"listing of {new.subject}: needs ip or domain, and dnsbl")
    return target, new.subject.dnsbl


def _answer(new: NewAnswer) -> Answer:
    listed = None if new.answer.value is None else new.answer.value > 0
    return Answer(new.answer.at, listed, new.answer.reason, ListAnswer.decode(new.answer.detail))


def _void_since(new: NewAnswer) -> datetime | None:
    """Since when what the list said of the target no longer counts, where the answer says so."""
    return ListAnswer.decode(new.answer.detail).void_since if new.answer.value is None else None


def _closed_after(connection: Connection, pair: _Pair, since: datetime) -> _Closed | None:
    """The newest confirmed interval of a pair that answers after `since` closed."""
    target, dnsbl = pair
    columns = [_LISTING.c[name] for name in ("id", *_COLUMNS)]
    query = select(*columns).where(_LISTING.c.target == target, _LISTING.c.dnsbl == dnsbl, _LISTING.c.cleared_at > since)
    for row in connection.execute(query.order_by(_LISTING.c.id.desc()).limit(1)).mappings():
        if row["confirmed_at"] is not None and row["ended_reason"] is None:
            return _Closed(row["id"], _interval(row))
    return None


def end_unasked(session: Session, lists: Collection[str], now: datetime) -> int:
    """End the intervals nobody asks about any more: their list is not among `lists`, or their target not in the inventory.

    Only of lists a collector of ours has asked (they have a canary): what others hand in is theirs to end. Returns how
    many; the caller's session commits.
    """
    connection = session.connection()
    ours = values_of(session, "canary", "dnsbl")
    pairs = {pair: each for pair, each in _load(connection, None).items() if pair[1] in ours}
    if not pairs:
        return 0
    known = all_targets(session)
    ended, events = [], []
    for pair, each in pairs.items():
        reason = _why_unasked(pair, lists, known)
        if reason and each.interval:
            before, each.interval = each.interval, end(each.interval, now, reason)
            ended.append((pair, each))
            events += [_event(pair, event, each.interval, now) for event in [change(before, each.interval)] if event]
    _write(connection, ended)
    log_transitions(connection, events)
    return len(ended)


def _why_unasked(pair: _Pair, lists: Collection[str], targets: Collection[str]) -> str | None:
    target, dnsbl = pair
    if not lists:
        return UNASKED
    if dnsbl not in lists:
        return LIST_GONE
    return None if target in targets else TARGET_GONE


UNASKED = "DNS lists are no longer asked: no collector for them is configured"
LIST_GONE = "the list is no longer asked"
TARGET_GONE = "the target is no longer in the inventory"


def _load(connection: Connection, targets: set[str] | None) -> dict[_Pair, _Open]:
    """The open intervals of these targets; None: of all."""
    pairs: dict[_Pair, _Open] = {}
    columns = [_LISTING.c[name] for name in ("id", "target", "dnsbl", *_COLUMNS)]
    standing = select(*columns).where(_LISTING.c.phase != Phase.CLEARED.value)
    queries = [standing] if targets is None else [
        standing.where(_LISTING.c.target.in_(chunk)) for chunk in chunks(sorted(targets))
    ]  # fmt: skip
    for query in queries:
        for row in connection.execute(query).mappings():
            pairs[row["target"], row["dnsbl"]] = _Open(row["id"], _interval(row))
    return pairs


def _interval(row: RowMapping) -> Interval:
    values = {name: row[name] for name in _COLUMNS}
    return Interval(**values | {
        "codes": tuple(row["codes"]), "phase": Phase(row["phase"]), "detail": ListAnswer.decode(row["detail"]),
    })


def _write(connection: Connection, pairs: list[tuple[_Pair, _Open]]) -> None:
    """Rows that exist first: closing one makes room for the next interval of its pair."""
    updates = []
    inserts = []
    for (target, dnsbl), now in pairs:
        if now.interval is None:
            continue
        values = _values(now.interval)
        if now.row_id is None:
            inserts.append({"target": target, "dnsbl": dnsbl, **values})
        else:
            updates.append({"row_id": now.row_id, **{f"new_{name}": value for name, value in values.items()}})
    if updates:
        connection.execute(_UPDATE, updates)
    if inserts:
        connection.execute(insert(_LISTING), inserts)


def _values(interval: Interval) -> dict[str, Any]:
    values = {name: getattr(interval, name) for name in _COLUMNS}
    return values | {"phase": interval.phase.value, "codes": list(interval.codes), "detail": interval.detail.encode()}
