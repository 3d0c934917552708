"""Answers of lists become intervals; unknown neither raises nor clears."""

from datetime import UTC, datetime, timedelta

import pytest

from collectors.details import ListAnswer
from monitor.listings.intervals import Answer, change, fold

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
TTL = 300


def answer(minute, listed, *, weight=0.5, codes=("127.0.0.2",), reason=None):
    detail = ListAnswer(codes=codes if listed else (), ttl_seconds=TTL, weight=weight)
    return Answer(START + timedelta(minutes=minute), listed, reason, detail)


def play(*answers, first=False):
    interval, phases = None, []
    for i, each in enumerate(answers):
        interval = fold(interval, each, first=first and i == 0)
        phases.append(interval.phase if interval else None)
        if interval is not None and interval.cleared_at is not None:
            interval = None
    return phases


def test_what_is_listed_when_we_first_look_is_a_baseline():
    interval = fold(None, answer(0, True), first=True)
    assert (interval.phase, interval.baseline) == ("listed", True)


def test_a_light_list_is_believed_at_the_second_hit_of_another_ttl():
    assert play(answer(0, True), answer(6, True)) == ["suspected", "listed"]


def test_the_same_cached_answer_seen_again_confirms_nothing():
    assert play(answer(0, True), answer(1, True), answer(4, True)) == ["suspected"] * 3


def test_a_heavy_list_is_believed_at_its_first_word():
    assert play(answer(0, True, weight=0.9)) == ["listed"]


def test_a_single_hit_that_goes_away_was_never_a_listing():
    first = fold(None, answer(0, True), first=False)
    gone = fold(first, answer(6, False), first=False)
    assert (gone.phase, gone.confirmed_at) == ("cleared", None)


def test_it_takes_three_clean_answers_of_three_ttls_to_clear():
    clean = [answer(minute, False) for minute in (10, 16, 22)]
    assert play(answer(0, True, weight=1), *clean) == ["listed", "clearing", "clearing", "cleared"]


def test_clean_answers_out_of_the_cache_do_not_count():
    clean = [answer(minute, False) for minute in (10, 11, 12, 13)]
    assert play(answer(0, True, weight=1), *clean) == ["listed"] + ["clearing"] * 4


def test_a_hit_while_clearing_starts_the_count_anew():
    script = [answer(0, True, weight=1), answer(10, False), answer(20, False), answer(30, True, weight=1),
              answer(40, False), answer(50, False), answer(60, False)]
    assert play(*script) == ["listed", "clearing", "clearing", "listed", "clearing", "clearing", "cleared"]


@pytest.mark.parametrize("reason", ["timeout", "servfail", "refused", "rewritten", "canary_failed", "budget"])
def test_unknown_answers_neither_raise_nor_clear_but_are_remembered(reason):
    unknown = [answer(minute, None, reason=reason) for minute in range(10, 500, 10)]
    assert set(play(*unknown)) == {None}
    listed = fold(None, answer(0, True, weight=1), first=False)
    for each in unknown:
        listed = fold(listed, each, first=False)
    assert (listed.phase, listed.unknown_reason) == ("listed", reason)
    assert listed.unknown_since == unknown[0].at
    assert listed.last_seen_at == START


def test_a_change_of_codes_stays_one_interval():
    first = fold(None, answer(0, True, weight=1, codes=("127.0.0.3",)), first=False)
    changed = fold(first, answer(10, True, weight=1, codes=("127.0.0.2", "127.0.0.3")), first=False)
    assert changed.codes == ("127.0.0.2", "127.0.0.3")
    assert changed.first_seen_at == START


def test_an_answer_older_than_the_last_one_changes_nothing():
    listed = fold(None, answer(10, True, weight=1), first=False)
    assert fold(listed, answer(5, False), first=False) is listed


def events(*answers, first=False):
    interval, changes = None, []
    for i, each in enumerate(answers):
        before, interval = interval, fold(interval, each, first=first and i == 0)
        event = change(before, interval)
        changes += [(event.old, event.new)] if event else []
        if interval is not None and interval.cleared_at is not None:
            interval = None
    return changes


def test_a_listing_is_reported_when_confirmed_and_when_cleared_and_not_between():
    clean = [answer(minute, False) for minute in (20, 26, 32)]
    assert events(answer(0, True), answer(1, True), answer(6, True), *clean) == [
        ("suspected", "listed"), ("listed", "cleared"),
    ]


def test_a_heavy_list_and_a_first_look_are_reported_at_once():
    assert events(answer(0, True, weight=1)) == [("none", "listed")]
    assert events(answer(0, True), first=True) == [("none", "listed")]
    assert "first looked" in change(None, fold(None, answer(0, True), first=True)).why


def test_what_was_suspected_once_and_not_again_is_reported_as_a_blip():
    assert events(answer(0, True), answer(6, False)) == [("suspected", "cleared")]


def test_other_codes_of_a_known_listing_are_reported_and_those_of_a_suspicion_are_not():
    css, sbl = ("127.0.0.3",), ("127.0.0.2", "127.0.0.3")
    known = [answer(0, True, weight=1, codes=css), answer(10, True, codes=sbl), answer(20, True, codes=reversed(sbl))]
    assert events(*known) == [("none", "listed"), ("127.0.0.3", "127.0.0.2, 127.0.0.3")]
    assert events(answer(0, True, codes=css), answer(1, True, codes=sbl)) == []


def test_a_listing_that_wavers_or_cannot_be_asked_is_no_event():
    wavering = [answer(10, False), answer(16, True, weight=1), answer(22, None, reason="timeout"), answer(28, False)]
    assert events(answer(0, True, weight=1), *wavering) == [("none", "listed")]


# ── taken back ──


def void(minute, since):
    detail = ListAnswer(void_since=START + timedelta(minutes=since))
    return Answer(START + timedelta(minutes=minute), None, "canary_failed", detail)


@pytest.mark.parametrize(
    ("answers", "since", "phase", "event"),
    [
        ([answer(10, True, weight=1)], 5, "cleared", ("listed", "cleared")),
        ([answer(10, True)], 5, "cleared", ("suspected", "cleared")),
        ([answer(10, True, weight=1)], 10, "listed", None),
        ([answer(10, True), answer(20, True)], 15, "suspected", ("listed", "suspected")),
        ([answer(10, True), answer(20, True)], 20, "listed", None),
        ([answer(10, True, weight=1), answer(20, False), answer(30, False)], 15, "listed", None),
        ([answer(10, True)], 10, "suspected", None),
    ],
)
def test_what_no_good_check_vouches_for_never_was(answers, since, phase, event):
    interval = None
    for each in answers:
        interval = fold(interval, each, first=False)
    after = fold(interval, void(60, since), first=False)
    changed = change(interval, after)
    assert (after.phase, changed and (changed.old, changed.new)) == (phase, event)
    assert after.clean_answers == 0
    if event:
        assert "since its last good check" in changed.why


def test_clean_answers_that_do_not_count_leave_a_clearing_to_begin_anew():
    script = [answer(0, True, weight=1), answer(10, False), answer(20, False), void(30, 5),
              answer(40, False), answer(50, False), answer(60, False)]
    assert play(*script) == ["listed", "clearing", "clearing", "listed", "clearing", "clearing", "cleared"]
