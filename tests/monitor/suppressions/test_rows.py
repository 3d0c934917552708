from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from collectors.observation import Subject, Trace
from monitor.database.paging import Page
from monitor.database.tables import Suppression
from monitor.facts import Store
from monitor.suppressions.reasons import SuppressionReason
from monitor.suppressions.rows import (
    RULES,
    Suppressed,
    Wanted,
    find,
    forbidden,
    lift,
    refs_in_force,
    suppress,
    suppression_of,
    version,
)
from tests.monitor.conftest import Rows, T, batch, minutes

ACME = Subject(customer="acme", stream="newsletter")
COMPLAINT = Trace("complaint", T, ACME, recipient="Jo@example.com", verified=True, how="token")
REF = "0123456789abcdef0123"


def test_what_follows_from_every_kind_of_trace_hard_or_soft_verified_or_not():
    follows = {
        (kind, hard, verified): suppression_of(Trace(kind, T, ACME, recipient="jo@example.com", hard=hard, verified=verified))
        for kind, hard, verified in product([*RULES, "something new"], [False, True], [False, True])
    }
    assert {case: what for case, what in follows.items() if what} == {
        ("complaint", False, True): ("complaint", ""),
        ("complaint", True, True): ("complaint", ""),
        ("bounce", True, True): ("hard_bounce", ""),
        ("unsubscribe", False, True): ("unsubscribe", "newsletter"),
        ("unsubscribe", True, True): ("unsubscribe", "newsletter"),
    }
    assert {rule.reason for rule in RULES.values() if rule} < set(SuppressionReason)
    everywhere = Trace("unsubscribe", T, Subject(customer="acme"), recipient="jo@example.com", verified=True)
    assert suppression_of(everywhere) == ("unsubscribe", "")


@pytest.mark.parametrize(("how", "ref", "holds"), [
    ("token", REF, True), ("token", None, False), ("message_id", REF, False), ("domain", None, False), (None, None, False),
])
def test_an_unverified_report_is_believed_only_where_our_token_names_the_recipient(how, ref, holds):
    trace = replace(COMPLAINT, verified=False, how=how, recipient_ref=ref)
    assert (suppression_of(trace) is not None) is holds


def test_a_batch_forbids_in_its_own_transaction_what_its_traces_say(store: Store, rows: Rows):
    store.intake([batch("1", traces=(COMPLAINT, replace(COMPLAINT, kind="bounce")), source="feedback_loop")], T)
    [row] = rows(Suppression)
    assert row.recipient_ref == store.recipient_ref("acme", "jo@example.com")
    assert (row.customer, row.reason, row.stream, row.since, row.source, row.how, row.batch_id) == (
        "acme", "complaint", "", T, "feedback_loop", "token", 1,
    )


def test_a_transaction_that_fails_forbids_nothing(store: Store, rows: Rows):
    with pytest.raises(Exception, match="serializable"):
        store.intake([batch("1", traces=(COMPLAINT,), cursor_name="x", cursor={"no": object()})], T)
    assert rows(Suppression) == []


def test_the_same_is_forbidden_once_and_a_repeated_batch_does_not_undo_a_lift(store: Store, rows: Rows):
    once = batch("1", traces=(COMPLAINT, COMPLAINT))
    store.intake([once, batch("2", traces=(COMPLAINT,))], T)
    with store.session() as session:
        lift(session, rows(Suppression)[0].id, "acme", actor="ann", reason="asked to come back", now=minutes(1))
    store.intake([once], minutes(2))
    [row] = rows(Suppression)
    assert (row.lifted_by, row.lift_reason, row.lifted_at) == ("ann", "asked to come back", minutes(1))
    store.intake([batch("3", traces=(replace(COMPLAINT, at=minutes(3)),))], minutes(3))
    assert [each.lifted_at for each in rows(Suppression)] == [minutes(1), None]


def test_a_report_of_nobodys_mail_or_about_an_unknown_recipient_forbids_nothing(store: Store, rows: Rows):
    nobody = replace(COMPLAINT, subject=Subject(ip="192.0.2.1"))
    hidden = replace(COMPLAINT, recipient=None)
    store.intake([batch("1", traces=(nobody, hidden))], T)
    assert rows(Suppression) == []


def test_the_recipient_our_token_names_counts_not_the_one_a_forwarder_reports(store: Store, rows: Rows):
    store.intake([batch("1", traces=(replace(COMPLAINT, recipient_ref=REF),))], T)
    assert [row.recipient_ref for row in rows(Suppression)] == [REF]


def entries(count: int, **more) -> list[Suppressed]:
    fields = {"customer": "acme", "reason": "manual", "stream": "", "since": T, "source": "import"} | more
    return [Suppressed(recipient_ref=f"{number:020x}", **fields) for number in range(count)]


def test_thousands_are_added_at_once_and_only_new_ones_are_counted(store: Store):
    with store.session() as session:
        assert suppress(session.connection(), entries(1200), T) == 1200
        assert suppress(session.connection(), entries(1201) * 2, T) == 1
        assert suppress(session.connection(), [], T) == 0
        assert len(refs_in_force(session, "acme")) == 1201
        assert refs_in_force(session, "bolt") == []


def test_two_who_add_the_same_at_once_in_different_order_both_succeed(store: Store):
    def add(wanted: list[Suppressed]) -> int:
        with store.session() as session:
            return suppress(session.connection(), wanted, T)

    some = entries(3000)
    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(add, [some, some[::-1], some[1000:], some[:2000]])) == 3000


def test_a_recipient_is_forbidden_in_a_stream_by_what_holds_for_it_or_for_all(store: Store):
    with store.session() as session:
        suppress(session.connection(), entries(1, stream="newsletter", reason="unsubscribe"), T)
        suppress(session.connection(), entries(2, reason="complaint")[1:], T)

        def streams(*refs: str, stream: str | None) -> set[str]:
            return set(forbidden(session, "acme", refs, stream))

        first, two = f"{0:020x}", f"{1:020x}"
        assert streams(first, two, "0" * 19 + "9", stream="newsletter") == {first, two}
        assert streams(first, two, stream="receipts") == streams(first, two, stream=None) == {two}
        assert forbidden(session, "bolt", [first, two], "newsletter") == {}


def test_the_list_comes_in_pages_newest_first_by_customer_recipient_reason_and_stream(store: Store):
    with store.session() as session:
        suppress(session.connection(), entries(5), T)
        suppress(session.connection(), entries(1, customer="bolt", reason="complaint"), T)
        first = find(session, Wanted(), Page(4))
        rest = find(session, Wanted(), Page(4, first.next))
        assert [row.customer for row in first.rows] == ["bolt", *["acme"] * 3]
        assert len({row.id for row in first.rows + rest.rows}) == 6
        assert rest.next is None

        def count(**wanted: Any) -> int:
            return len(find(session, Wanted(**wanted), Page()).rows)

        assert count(customer="acme", refs={"acme": f"{1:020x}"}) == 1
        assert count(refs={"bolt": f"{1:020x}"}) == 0
        assert count(reason="complaint", stream="x") == 1


def test_the_version_of_a_list_changes_with_every_change_of_it(store: Store):
    with store.session() as session:
        seen = [version(session, "acme")]
        suppress(session.connection(), entries(2), T)
        seen.append(version(session, "acme"))
        row = lift(session, find(session, Wanted(), Page(1)).rows[0].id, None, actor="a", reason="b", now=T)
        session.flush()
        seen.append(version(session, "acme"))
        lift(session, row.id, None, actor="x", reason="y", now=minutes(1))
        assert row.lifted_by == "a"
        suppress(session.connection(), entries(2), T)
        seen.append(version(session, "acme"))
        assert len(set(seen)) == 4
        assert version(session, "bolt") == (0, 0)


def test_what_cannot_be_lifted_says_why(store: Store):
    with store.session() as session:
        with pytest.raises(LookupError, match="no suppression 7"):
            lift(session, 7, None, actor="a", reason="b", now=T)
        with pytest.raises(ValueError, match="reason"):
            lift(session, 7, None, actor="a", reason=" ", now=T)
