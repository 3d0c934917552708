import zlib
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from collectors.observation import Evidence, Parked, Subject, Trace
from monitor.database.tables import (
    BatchRow,
    EvidenceRow,
    Latest,
    ParkedRow,
    Reading,
    RollupDue,
    Series,
    TraceRow,
)
from monitor.facts import Store, Taken
from monitor.intake.consequences import open_store
from tests.monitor.conftest import Rows, T, batch, counted, listing, minutes


def test_a_batch_is_taken_once_however_often_it_is_delivered(store: Store, rows: Rows):
    once = batch("1", counted(T, 3), traces=(Trace("complaint", T, Subject()),))
    assert [store.intake([once], T)[0].new, store.intake([once], minutes(1))[0].new] == [True, False]
    assert store.intake([once, batch("2", counted(T)), batch("2", counted(T))], T) == [
        Taken(once, False),
        Taken(batch("2", counted(T)), True),
        Taken(batch("2", counted(T)), False),
    ]
    assert sum(row.value for row in rows(Reading)) == 4
    assert len(rows(TraceRow)) == 1
    assert [(row.source, row.key, row.observations) for row in rows(BatchRow)] == [("mta", "1", 1), ("mta", "2", 1)]


def test_counts_of_one_instant_are_added_within_a_batch_and_kept_apart_between_batches(store: Store, rows: Rows):
    store.intake([batch("1", counted(T, 2), counted(T, 3)), batch("2", counted(T, 7))], T)
    assert [(row.at, row.value) for row in rows(Reading)] == [(T, 5.0), (T, 7.0)]
    assert store.window_counts(["delivered"], ["customer"], T, minutes(1)) == {("acme",): {"delivered": 12.0}}


def test_an_unknown_measure_is_refused_by_name_and_nothing_is_written(store: Store, rows: Rows):
    with pytest.raises(ValueError, match="'sperm_whales'"):
        store.intake([batch("1", counted(T)), batch("2", counted(T, measure="sperm_whales"))], T)
    assert rows(BatchRow) == []


def test_a_failure_half_way_leaves_nothing_behind_and_the_batch_can_come_again(store: Store, rows: Rows):
    broken = batch("1", counted(T, customer="bolt"), cursor_name="x", cursor={"no": object()})
    with pytest.raises(Exception, match="serializable"):
        store.intake([broken], T)
    assert rows(BatchRow) == rows(Series) == rows(Reading) == []
    assert store.intake([batch("1", counted(T, customer="bolt"))], T)[0].new
    assert [row.customer for row in rows(Series)] == ["bolt"]


def test_a_count_leaves_no_latest_for_nobody_reads_one(store: Store, rows: Rows):
    store.intake([batch("1", counted(minutes(10), 4), counted(T, None), listing(T, 0))], minutes(10))
    assert [(row.at, row.value) for row in rows(Latest)] == [(T, 0)]


def test_a_count_that_could_not_be_had_is_unknown_not_zero_each_time_it_was_asked(store: Store, rows: Rows):
    store.intake([batch("1", counted(T, None), counted(minutes(5), None))], minutes(5))
    assert [(row.value, row.reason) for row in rows(Reading)] == [(None, "timeout")] * 2
    assert store.window_counts(["delivered"], ["customer"], T, minutes(9)) == {}
    store.intake([batch("2", counted(minutes(3), 2))], minutes(6))
    assert store.window_counts(["delivered"], ["customer"], T, minutes(9)) == {("acme",): {"delivered": 2}}


def test_a_count_is_not_counted_twice_because_an_older_one_could_not_be_had(store: Store, rows: Rows):
    store.intake([batch("1", counted(minutes(10), 4))], minutes(10))
    store.intake([batch("2", counted(minutes(5), None))], minutes(11))
    assert [(row.at, row.value) for row in rows(Reading)] == [(minutes(5), None), (minutes(10), 4)]
    assert store.window_counts(["delivered"], [], T, minutes(60)) == {(): {"delivered": 4}}


def test_a_count_both_known_and_not_at_one_instant_is_known(store: Store, rows: Rows):
    store.intake([batch("1", counted(T, None), counted(T, 4), counted(T, None))], T)
    assert [(row.value, row.reason) for row in rows(Reading)] == [(4, None)]


def test_a_fact_about_the_future_is_about_now_and_one_of_long_ago_is_parked(store: Store, rows: Rows):
    ahead = counted(T + timedelta(days=9000), 1)
    ancient = counted(T.replace(year=1066), 2)
    store.intake([batch("1", ahead, ancient)], T)
    assert [(row.at.year, row.value) for row in rows(Reading)] == [(2026, 1.0)]
    assert [row.reason for row in rows(ParkedRow)] == ["too_old"]


def test_known_at_never_runs_backwards_though_the_clock_did(store: Store, rows: Rows):
    store.intake([batch("1", counted(T))], minutes(60))
    store.intake([batch("2", counted(T))], minutes(1))
    assert [row.known_at for row in rows(BatchRow)] == [minutes(60), minutes(60)]
    assert [row.known_at for row in rows(Reading)] == [minutes(60), minutes(60)]


def test_a_recipient_is_kept_as_a_keyed_hash_of_the_normalised_address(store: Store, rows: Rows):
    trace = Trace("complaint", T, Subject(customer="acme"), recipient="Jo@Example.com", message_id="<1@example.com>")
    store.intake([batch("1", traces=(trace,))], T)
    [row] = rows(TraceRow)
    assert row.recipient_hash == store.recipient_hash(" <jo@example.COM> ")
    assert len(row.recipient_hash) == 32
    assert (row.kind, row.customer, row.message_id, row.known_at, row.count) == (
        "complaint", "acme", "<1@example.com>", T, 1,
    )


def test_the_hash_key_made_at_first_is_the_same_for_every_process(store: Store, database_url: str):
    first = store.recipient_hash("jo@example.com")
    with closing(open_store(database_url)) as other:
        assert other.recipient_hash("jo@example.com") == first


def test_text_no_database_can_hold_is_repaired_not_refused(store: Store, rows: Rows):
    trace = Trace("bounce", T, Subject(customer="ac\0me"), text="no\0such\udcffuser é")
    store.intake([batch("1", counted(T, campaign="spring\0\udc80"), traces=(trace,))], T)
    assert rows(TraceRow)[0].text == "no\ufffdsuch?user é"
    assert rows(Series)[0].campaign == "spring\ufffd?"
    store.intake([batch("2\0", listing(T, 1, text="listed\0 \udc80"), cursor_name="x", cursor={"a": "\0\udc80"})], T)
    assert rows(BatchRow)[1].key == "2\ufffd"


def test_what_is_too_long_for_an_index_is_shortened_and_batches_and_series_still_differ(store: Store, rows: Rows):
    long = "".join(chr(0x4E00 + number) for number in range(5000))  # hardly compressible
    traces = (Trace("bounce", T, Subject(customer="acme"), message_id=long),)
    first, other = (batch(f"{long}{n}", counted(T, campaign=f"{long}{n}"), traces=traces) for n in range(2))
    assert [taken.new for taken in store.intake([first, other, first], T)] == [True, True, False]
    assert {row.campaign[-1] for row in rows(Series)} == {"0", "1"}
    assert rows(TraceRow)[0].message_id == long[:600]


def test_evidence_and_parked_input_come_with_their_batch(store: Store, rows: Rows):
    body = b"Received: from somewhere\r\n" * 100
    parked = Parked("INBOX/7", "malformed", "no boundary", b"\0raw")
    store.intake(
        [batch("1", evidence=(Evidence("mail", T, body),), parked=(parked,))], T, evidence_for=timedelta(days=3)
    )
    [kept] = rows(EvidenceRow)
    assert zlib.decompress(kept.body) == body
    assert (kept.expires_at, kept.batch_id, len(kept.sha256)) == (T + timedelta(days=3), 1, 64)
    [aside] = rows(ParkedRow)
    assert (aside.collector, aside.place, aside.reason, aside.size) == ("mta", "INBOX/7", "malformed", 4)
    assert zlib.decompress(aside.body) == b"\0raw"
    assert rows(BatchRow)[0].parked == 1


def test_a_cursor_is_committed_with_its_batch_and_moves_with_a_repeat_too(store: Store):
    assert store.cursor("mta", "inbox") is None
    store.intake([batch("1", cursor_name="inbox", cursor={"uid": 7})], T)
    assert store.cursor("mta", "inbox") == {"uid": 7}
    store.intake([batch("1", cursor_name="inbox", cursor={"uid": 3, "validity": 2})], T)
    assert store.cursor("mta", "inbox") == {"uid": 3, "validity": 2}
    assert store.cursor("mta", "other") is None


def test_an_empty_intake_and_an_empty_batch_are_no_trouble(store: Store):
    assert store.intake([], T) == []
    assert store.intake([batch("1")], T) == [Taken(batch("1"), True)]


def test_one_series_per_measure_and_subject_also_for_a_second_process(store: Store, database_url: str, rows: Rows):
    store.intake([batch("1", counted(T, ip="192.0.2.1"), counted(T, ip="192.0.2.2"))], T)
    with closing(open_store(database_url)) as other:
        other.intake([batch("2", counted(T, ip="192.0.2.2"), counted(T, ip="192.0.2.3"))], T)
    store.intake([batch("3", counted(T, ip="192.0.2.3"))], T)
    assert [row.ip for row in rows(Series)] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert rows(Series)[0].key == 'delivered {"customer":"acme","ip":"192.0.2.1"}'


def test_every_hour_with_a_new_reading_is_due_for_its_roll_up(store: Store, rows: Rows):
    store.intake([batch("1", counted(minutes(1)), counted(minutes(59)), counted(minutes(60)))], minutes(60))
    assert [row.start for row in rows(RollupDue)] == [T, minutes(60)]


def test_an_answer_that_says_the_same_again_is_no_reading(store: Store, rows: Rows):
    def written(key: str, at: float, value: float | None) -> bool:
        before = len(rows(Reading))
        store.intake([batch(key, listing(minutes(at), value))], minutes(at))
        return len(rows(Reading)) > before

    answers = [(0, 0.0), (15, 0.0), (30, 1.0), (45, 1.0), (60, 1.0), (75, None), (90, None), (105, 1.0)]
    assert [written(str(at), at, value) for at, value in answers] == [
        True,  # first answer
        False,
        True,  # a hit
        False,
        False,
        True,  # not known any more
        False,
        True,  # known again
    ]


def revised(content: str, *counts, key: str = "report 7", name: str = ""):
    parked = Parked("box/INBOX/1", "revised", "another content", f"mail {content}".encode())
    return replace(batch(key, *counts), content=content, revision=parked, cursor_name=name or None, cursor={"at": content})


def test_another_content_under_a_counted_name_is_parked_once_and_never_counted(store: Store, rows: Rows):
    first, again, other = revised("a", counted(T, 6)), revised("a", counted(T, 6)), revised("b", counted(T, 13), name="box")
    taken = store.intake([first, again, other, revised("b", counted(T, 13))], T)
    taken += store.intake([again, other], minutes(1))

    assert [(each.new, bool(each.batch.parked)) for each in taken] == [
        (True, False), (False, False), (True, True), (False, True), (False, False), (False, True)]
    assert sum(row.value for row in rows(Reading)) == 6
    assert [(row.reason, zlib.decompress(row.body)) for row in rows(ParkedRow)] == [("revised", b"mail b")]
    assert store.cursor("mta", "box") == {"at": "b"}


def test_traces_of_what_is_parked_instead_of_counted_are_not_written(store: Store, rows: Rows):
    dead = (Trace("bounce", T, Subject(customer="acme"), recipient="ann@example.com", verified=True, hard=True),)
    store.intake([replace(revised("a", counted(T)), traces=dead)], T)
    store.intake([replace(revised("b", counted(T)), traces=dead * 2), batch("2", counted(T), traces=dead)], T)
    assert len(rows(TraceRow)) == 2
