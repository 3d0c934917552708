"""What a day was: bad, unknown, short or good; what is not known never counts as good."""

import pytest

from monitor.rules.signals import signals
from monitor.warmup.signals import Channel, Evidence, judge_day, lines, measures
from monitor.warmup.standing import DayWas

CLEAN = {"delivered": 1000, "complaint": 0, "block": 0, "deferral": 10, "hard_bounce": 3}
HEARD = Channel(measured=True)


def day(*, sent=1000, delivered: int | None = 1000, cap=1000, rests=30, **more):
    counts = {**CLEAN, **more.pop("counts", {})}
    return judge_day(Evidence(sent, delivered, counts, **{"complaints": HEARD, **more}), cap, rests)


def test_every_line_is_of_a_signal_that_rules_know_and_says_whose_it_is():
    assert {line.signal for line in lines()} == {"complaints", "blocks", "deferrals", "invalid_addresses"}
    assert all(line.signal in signals() and line.clean < line.bad and line.source for line in lines())
    assert set(measures()) == {"delivered", "complaint", "block", "deferral", "hard_bounce"}


def test_a_day_with_the_cap_delivered_and_clean_signals_is_good():
    assert day().day is DayWas.GOOD
    assert day(delivered=900).day is DayWas.GOOD


def test_less_than_nine_tenths_of_the_cap_is_short():
    assert day(delivered=899).day is DayWas.SHORT
    assert day(delivered=899, cap=None).day is DayWas.GOOD


@pytest.mark.parametrize(("counts", "words"), [
    ({"complaint": 20}, "complaint rate"),
    ({"block": 200}, "block rate"),
    ({"deferral": 5000}, "deferral rate"),
    ({"hard_bounce": 200}, "rate of invalid addresses"),
])
def test_each_signal_can_make_a_day_bad(counts, words):
    judged = day(counts=counts)
    assert judged.day is DayWas.BAD
    assert words in judged.why


@pytest.mark.parametrize("counts", [{"complaint": 2}, {"block": 20}, {"deferral": 400}, {"hard_bounce": 40}])
def test_a_signal_between_clean_and_bad_is_unknown_and_no_step_forward(counts):
    assert day(counts=counts).day is DayWas.UNKNOWN


def test_a_single_complaint_of_fifty_mails_is_no_proof_and_no_step_forward():
    judged = day(sent=50, delivered=50, cap=50, counts={"delivered": 50, "complaint": 1, "deferral": 0, "hard_bounce": 0})
    assert judged.day is DayWas.UNKNOWN
    assert "may be chance" in judged.why


def test_too_few_mails_say_nothing():
    judged = day(sent=10, delivered=10, cap=10, counts={"delivered": 10, "deferral": 0, "hard_bounce": 0})
    assert judged.day is DayWas.UNKNOWN


def test_mail_without_records_is_unknown():
    assert day(delivered=None, counts=dict.fromkeys(CLEAN, 0)).day is DayWas.UNKNOWN


def test_a_channel_for_complaints_that_is_silent_now_is_unknown():
    judged = day(complaints=Channel(measured=True, fault="the loop is silent"))
    assert judged.day is DayWas.UNKNOWN
    assert "the loop is silent" in judged.why


def test_where_no_complaints_are_reported_they_are_named_as_not_measured_and_stop_nothing():
    judged = day(complaints=Channel())
    assert judged.day is DayWas.GOOD
    assert judged.figures["signals"]["complaints"] == "complaint rate is not measured here"
    assert day(complaints=Channel(), counts={"complaint": 20}).day is DayWas.BAD


def test_what_a_rule_holds_now_had_a_bad_day():
    assert day(held="blocks fires").day is DayWas.BAD


def test_a_day_without_sending_is_no_day_until_the_provider_has_forgotten():
    assert day(sent=0, delivered=0, idle_days=29).day is DayWas.IDLE
    assert day(sent=0, delivered=0, idle_days=30).day is DayWas.FORGOTTEN
    assert day(sent=0, delivered=0, idle_days=31).day is DayWas.IDLE
    assert day(sent=0, delivered=0, idle_days=60).day is DayWas.FORGOTTEN
