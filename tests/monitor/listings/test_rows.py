"""Listing intervals as rows, folded in the intake's transaction."""

import pytest

from collectors.observation import Observation, Subject
from monitor.database.tables import Listing, Pool, SendingIp, Transition
from monitor.facts import Store
from monitor.listings.find import lost_allow_listings
from monitor.listings.rows import end_unasked
from tests.monitor.conftest import Rows, T, batch, listing, minutes


def answered(store: Store, *answers: tuple[float, float | None], **detail: object) -> None:
    for at, value in answers:
        store.intake([batch(f"{at}", listing(minutes(at), value, **detail))], minutes(at))


def test_what_was_never_listed_has_no_row(store: Store, rows: Rows):
    answered(store, (0, 0), (15, None), (30, 0))
    assert rows(Listing) == []


def test_a_listing_found_at_the_first_answer_is_a_baseline(store: Store, rows: Rows):
    answered(store, (0, None), (15, 1), (30, 1))
    [row] = rows(Listing)
    assert (row.target, row.dnsbl, row.phase, row.baseline, row.codes) == (
        "192.0.2.1", "zen", "listed", True, ["127.0.0.2"],
    )
    assert (row.first_seen_at, row.confirmed_at, row.checked_at) == (minutes(15), minutes(15), minutes(30))


def test_a_listing_is_suspected_confirmed_clearing_and_cleared_and_comes_again_as_a_new_row(store: Store, rows: Rows):
    phases = []
    for at, value in enumerate([0, 1, 1, 0, 0, 0, 0, 1]):
        answered(store, (at * 15, value))
        phases.append([row.phase for row in rows(Listing)])
    assert phases == [
        [], ["suspected"], ["listed"], ["clearing"], ["clearing"], ["cleared"], ["cleared"], ["cleared", "suspected"],
    ]  # fmt: skip
    closed, opened = rows(Listing)
    assert (closed.cleared_at, closed.confirmed_at, closed.hits) == (minutes(75), minutes(30), 2)
    assert (opened.first_seen_at, opened.baseline) == (minutes(105), False)


def test_a_whole_story_in_one_batch_ends_as_if_it_had_come_piece_by_piece(store: Store, rows: Rows):
    story = [listing(minutes(15 * at), value) for at, value in enumerate([0, 1, 1, 0, 0, 0, 1, 1])]
    store.intake([batch("1", *story)], minutes(120))
    assert [(row.phase, row.hits) for row in rows(Listing)] == [("cleared", 2), ("listed", 2)]


def test_a_weighty_list_is_believed_at_its_first_word(store: Store, rows: Rows):
    answered(store, (0, 0), (15, 1), weight=0.95)
    assert rows(Listing)[0].phase == "listed"


def test_an_unknown_answer_is_remembered_but_changes_no_phase(store: Store, rows: Rows):
    answered(store, (0, 0), (15, 1), (30, 1), (45, None), (60, None))
    [row] = rows(Listing)
    assert (row.phase, row.unknown_reason, row.unknown_since, row.checked_at) == (
        "listed", "timeout", minutes(45), minutes(60),
    )


def test_a_domain_is_a_target_too_and_pairs_do_not_mix(store: Store, rows: Rows):
    domain = Observation("listing", Subject(domain="example.com", dnsbl="dbl"), T, 1.0, detail={"codes": ["127.0.1.2"]})
    store.intake([batch("1", domain, listing(T, 1), listing(T, 0, ip="192.0.2.2"))], T)
    assert {(row.target, row.dnsbl) for row in rows(Listing)} == {("example.com", "dbl"), ("192.0.2.1", "zen")}


def test_a_listing_of_nothing_is_a_collectors_bug(store: Store, rows: Rows):
    with pytest.raises(ValueError, match="needs ip or domain, and dnsbl"):
        store.intake([batch("1", Observation("listing", Subject(customer="acme"), T, 1.0))], T)
    assert rows(Listing) == []


def test_events_are_transitions_beside_the_rows_they_are_about(store: Store, rows: Rows):
    answered(store, (0, 0), (15, 1))
    answered(store, (30, 1), meanings=["SBL"], severity="high")
    answered(store, (45, 1), codes=["127.0.0.3"], meanings=["CSS"])
    answered(store, (60, 0), (75, 0), (90, 0), (105, 1), (120, 0))
    events = rows(Transition)
    assert {(row.kind, row.of, row.actor) for row in events} == {("listing", "192.0.2.1@zen", "zen")}
    assert [(row.at, row.old, row.new, row.why) for row in events] == [
        (minutes(30), "suspected", "listed", "listed: SBL"),
        (minutes(45), "127.0.0.2", "127.0.0.3", "now: CSS"),
        (minutes(90), "listed", "cleared", "3 answers in a row say: not listed"),
        (minutes(120), "suspected", "cleared", "seen once and not again: it was never confirmed"),
    ]
    assert events[0].evidence == {
        "target": "192.0.2.1", "dnsbl": "zen", "codes": ["127.0.0.2"], "baseline": False,
        "meanings": ["SBL"], "severity": "high", "text": None, "first_seen_at": minutes(15).isoformat(),
    }  # fmt: skip


def test_an_intake_that_fails_leaves_neither_the_row_nor_its_event(store: Store, rows: Rows):
    seen = listing(minutes(15), 1, weight=1.0)
    nameless = Observation("listing", Subject(customer="acme"), minutes(16), 1.0)
    with pytest.raises(ValueError, match="needs ip or domain, and dnsbl"):
        store.intake([batch("1", seen, nameless)], minutes(16))
    assert (rows(Listing), rows(Transition)) == ([], [])


# ── taken back, and no longer asked ──


def taken_back(store: Store, at: float, since: float) -> None:
    answered(store, (at, None), void_since=minutes(since).isoformat())


def test_a_hit_that_no_good_check_vouches_for_is_taken_back_with_its_reason(store: Store, rows: Rows):
    answered(store, (0, 0))
    answered(store, (15, 1), weight=1)
    taken_back(store, 30, since=10)
    [row] = rows(Listing)
    assert (row.phase, row.cleared_at) == ("cleared", minutes(30))
    assert [(each.old, each.new) for each in rows(Transition)] == [("none", "listed"), ("listed", "cleared")]
    assert "taken back" in rows(Transition)[-1].why


def test_a_listing_cleared_by_answers_that_do_not_count_stands_again(store: Store, rows: Rows):
    answered(store, (0, 0), (15, 1), (30, 1), (45, 0), (60, 0), (75, 0))
    assert rows(Listing)[0].phase == "cleared"
    taken_back(store, 90, since=40)
    [row] = rows(Listing)
    assert (row.phase, row.cleared_at, row.unknown_reason) == ("listed", None, "timeout")
    assert [(each.old, each.new) for each in rows(Transition)][-1] == ("cleared", "listed")
    taken_back(store, 105, since=40)
    assert len(rows(Listing)) == 1


def test_a_listing_cleared_before_that_stays_cleared(store: Store, rows: Rows):
    answered(store, (0, 0), (15, 1), (30, 1), (45, 0), (60, 0), (75, 0))
    taken_back(store, 90, since=80)
    assert rows(Listing)[0].phase == "cleared"


def asked_about(store: Store, *, inventory: bool = True) -> None:
    """A listing of 192.0.2.1 on zen, which the collector asks."""
    answered(store, (0, 0), (15, 1), (30, 1))
    store.intake([batch("canary", Observation("canary", Subject(dnsbl="zen", collector="dnsbl"), T, 1.0))], minutes(30))
    if inventory:
        with store.session() as session:
            session.add(Pool(name="shared"))
            session.flush()
            session.add(SendingIp(address="192.0.2.1", pool="shared"))


@pytest.mark.parametrize(
    ("lists", "inventory", "reason"),
    [
        ({"zen"}, True, None),
        ({"other"}, True, "the list is no longer asked"),
        ({"zen"}, False, "the target is no longer in the inventory"),
        ((), True, "no collector for them is configured"),
    ],
)
def test_a_listing_nobody_asks_about_any_more_ends_with_that_reason(store: Store, rows: Rows, lists, inventory, reason):
    asked_about(store, inventory=inventory)
    for _ in range(2):
        with store.session() as session:
            end_unasked(session, lists, minutes(60))
    [row] = rows(Listing)
    assert row.phase == ("cleared" if reason else "listed")
    last = rows(Transition)[-1]
    assert (last.new, reason is None or reason in last.why) == ("cleared" if reason else "listed", True)


def test_a_listing_others_hand_in_is_theirs_to_end(store: Store, rows: Rows):
    answered(store, (0, 0), (15, 1), (30, 1))
    with store.session() as session:
        assert end_unasked(session, (), minutes(60)) == 0
    assert rows(Listing)[0].phase == "listed"


def test_an_allow_listing_that_is_no_longer_asked_about_is_not_lost(store: Store):
    answered(store, (0, 0), (15, 1), (30, 1))
    store.intake([batch("canary", Observation("canary", Subject(dnsbl="zen", collector="dnsbl"), T, 1.0))], minutes(30))
    with store.session() as session:
        assert end_unasked(session, {"other"}, minutes(60)) == 1
    with store.session() as session:
        assert lost_allow_listings(session, {"zen"}, T) == []
