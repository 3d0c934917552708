"""Who must not be mailed again, by customer: what facts forbid, what people add, what is lifted and why.

A recipient stands here as `recipient_ref`, which the customer's own sender can compute and nobody else.
What facts forbid is written in the transaction of the facts, and only where their authenticity holds: the
source was verified, or the report brought back our own token that names the recipient. A row
that is lifted stays for its retention, and a new fact makes a new row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text
from sqlmodel import Session, col, func, select

from collectors.cleaning import kept_name
from collectors.observation import Trace
from collectors.traces import TraceKind
from monitor.database.bulk import stored
from monitor.database.engine import chunks, insert_into, table
from monitor.database.paging import Order, Page, Paged, paged
from monitor.database.tables import Suppression
from monitor.database.transitions import check_reason
from monitor.facts.consequences import NewTrace
from monitor.suppressions.reasons import SuppressionReason

_KEY = ("customer", "recipient_ref", "reason", "stream")
_COLUMNS = (*_KEY, "since", "known_at", "source", "how", "text", "batch_id")
_IN_FORCE = "lifted_at IS NULL"
_INSERT = f"""\
INSERT INTO suppression ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})
ON CONFLICT ({', '.join(_KEY)}) WHERE {_IN_FORCE} DO NOTHING"""  # noqa: S608 - our own column names
_NEWEST = Order((col(Suppression.id),))


class Rule(NamedTuple):
    """What a kind of trace forbids. `per_stream`: only that stream, where the trace names it."""

    reason: SuppressionReason
    only_hard: bool = False
    per_stream: bool = False


# kind of trace about a recipient → what it forbids; None: nothing
RULES: Mapping[TraceKind, Rule | None] = {
    TraceKind.COMPLAINT: Rule(SuppressionReason.COMPLAINT),  # whoever complains about one stream will about the next
    TraceKind.BOUNCE: Rule(SuppressionReason.HARD_BOUNCE, only_hard=True),
    TraceKind.UNSUBSCRIBE: Rule(SuppressionReason.UNSUBSCRIBE, per_stream=True),
    TraceKind.DELIVERY: None,
    TraceKind.DEFERRAL: None,
    TraceKind.BLOCK: None,  # it says something about us, not about the recipient
    TraceKind.REPORT: None,
    TraceKind.DMARC_FAILURE: None,
}
SUPPRESSING = frozenset(kind for kind, rule in RULES.items() if rule is not None)


@dataclass(frozen=True, slots=True)
class Suppressed:
    """One recipient of one customer not to be mailed again, for one reason. `stream` empty: all streams."""

    customer: str
    recipient_ref: str
    reason: SuppressionReason
    stream: str
    since: datetime
    source: str
    how: str | None = None
    text: str | None = None
    batch_id: int | None = None


def suppression_of(trace: Trace) -> tuple[SuppressionReason, str] | None:
    """Reason and stream of the suppression that follows from a trace; None where none does."""
    rule = RULES.get(trace.kind)
    if rule is None or (rule.only_hard and not trace.hard) or not _is_authentic(trace):
        return None
    return rule.reason, (trace.subject.stream or "") if rule.per_stream else ""


def suppress_recipients(connection: Connection, traces: Iterable[NewTrace], known_at: datetime) -> None:
    """Write what new traces forbid from now on (monitor.facts.consequences)."""
    rows = []
    for batch_id, source, trace, ref in traces:
        follows, customer = suppression_of(trace), trace.subject.customer
        if follows and customer and ref:
            reason, stream = follows
            rows.append(Suppressed(
                kept_name(customer), ref, reason, kept_name(stream), trace.at, source, trace.how, batch_id=batch_id
            ))  # fmt: skip
    suppress(connection, rows, known_at)


def _is_authentic(trace: Trace) -> bool:
    """A token with the recipient in it can only have come back from a mail to that recipient."""
    return trace.verified or (trace.how == "token" and trace.recipient_ref is not None)


def suppress(connection: Connection, wanted: Iterable[Suppressed], known_at: datetime) -> int:
    """Write those not in force yet; returns how many that were."""
    rows: dict[tuple[str, ...], tuple[Any, ...]] = {}
    for each in wanted:
        key = (each.customer, each.recipient_ref, SuppressionReason(each.reason).value, each.stream)
        if key not in rows:  # the first of several
            since = min(each.since, known_at)
            rows[key] = (*key, since, known_at, each.source, each.how, each.text, each.batch_id)
    if not rows:
        return 0
    # in one order everywhere, or two writers would wait for each other
    ordered = [rows[key] for key in sorted(rows)]
    if connection.dialect.name == "sqlite":  # by the driver alone, which also counts what it wrote of many rows
        instants = {at: stored(connection, at) for at in {row[4] for row in ordered} | {known_at}}
        plain = [(*row[:4], instants[row[4]], instants[known_at], *row[6:]) for row in ordered]
        return connection.exec_driver_sql(_INSERT, plain).rowcount
    insert = insert_into(connection, Suppression)
    new = insert.on_conflict_do_nothing(index_elements=list(_KEY), index_where=text(_IN_FORCE))
    named = [dict(zip(_COLUMNS, row, strict=True)) for row in ordered]
    return len(connection.execute(new.returning(table(Suppression).c.id), named).all())


def lift(
    session: Session, suppression_id: int, customer: str | None, *, actor: str, reason: str, now: datetime
) -> Suppression:
    """Allow again; lifting twice changes nothing. `customer` None: whoever's it is.

    Raises LookupError, also for another customer's, or ValueError without a reason.
    """
    check_reason(reason)
    chosen = select(Suppression).where(Suppression.id == suppression_id)
    row = session.exec(chosen if customer is None else chosen.where(Suppression.customer == customer)).first()
    if row is None:
        raise LookupError(f"no suppression {suppression_id}")
    if row.lifted_at is None:
        row.lifted_at, row.lifted_by, row.lift_reason = now, actor, reason
        session.add(row)
    return row


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows to show. `refs` name one recipient with each customer that may be meant."""

    customer: str | None = None
    refs: Mapping[str, str] | None = None  # customer → recipient_ref
    stream: str | None = None
    reason: SuppressionReason | None = None
    lifted: bool = False


def find(session: Session, wanted: Wanted, page: Page) -> Paged[Suppression]:
    """Newest first. Raises PlaceError."""
    chosen = select(Suppression)
    if wanted.customer is not None:
        chosen = chosen.where(Suppression.customer == wanted.customer)
    if wanted.refs is not None:
        refs = col(Suppression.recipient_ref).in_(wanted.refs.values())
        chosen = chosen.where(col(Suppression.customer).in_(wanted.refs), refs)
    if wanted.stream is not None:
        chosen = chosen.where(col(Suppression.stream).in_(("", wanted.stream)))
    if wanted.reason is not None:
        chosen = chosen.where(Suppression.reason == wanted.reason)
    if not wanted.lifted:
        chosen = chosen.where(col(Suppression.lifted_at).is_(None))
    return paged(session, chosen, _NEWEST, page)


def forbidden(
    session: Session, customer: str, refs: Collection[str], stream: str | None
) -> dict[str, list[Suppression]]:
    """What stands against mailing each of these recipients in a stream; nothing for the others.

    Without a stream only what holds for all streams counts.
    """
    standing: dict[str, list[Suppression]] = {}
    for chunk in chunks(sorted(set(refs))):
        rows = session.exec(select(Suppression).where(
            Suppression.customer == customer, col(Suppression.recipient_ref).in_(chunk),
            col(Suppression.lifted_at).is_(None), col(Suppression.stream).in_(("", stream or "")),
        ))  # fmt: skip
        for row in rows:
            standing.setdefault(row.recipient_ref, []).append(row)
    return standing


def refs_in_force(session: Session, customer: str) -> Sequence[str]:
    """Every recipient the customer must not mail, be it in one stream only; in order, as the index has them."""
    chosen = select(Suppression.recipient_ref).where(Suppression.customer == customer)
    in_force = chosen.where(col(Suppression.lifted_at).is_(None))
    return session.exec(in_force.distinct().order_by(Suppression.recipient_ref)).all()


def version(session: Session, customer: str) -> tuple[int, int]:
    """How many are in force, and the sum of their ids: together they name a state, whatever lifted rows are pruned.

    As many as before with other rows among them have a higher sum, for a new id is higher than any there was.
    """
    counted = select(func.count(), func.coalesce(func.sum(Suppression.id), 0))
    chosen = counted.where(Suppression.customer == customer, col(Suppression.lifted_at).is_(None))
    count, total = session.exec(chosen).one()
    return count, int(total or 0)
