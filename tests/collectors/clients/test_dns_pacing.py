"""When a resolver is slowed down, and when it was the line."""

import pytest

from collectors.clients.dns_pacing import Pacer, Throttle


def play(throttle, *spans):
    """Spans of two seconds with so many (answered, lost); the rate after each."""
    rates, now = [], 100.0
    throttle.judge(now, 2)
    for answered, lost in spans:
        throttle.answered = answered
        for _ in range(lost):
            throttle.missed(now)
        now += 2
        throttle.judge(now, 2)
        rates.append(throttle.rate)
    return rates


def test_a_resolver_that_answers_everything_has_no_limit():
    assert play(Throttle(), (5000, 0), (5000, 900), (3, 30)) == [0, 0, 0]


def test_one_that_leaves_most_out_is_slowed_to_the_rate_it_answers_and_tried_faster_in_time():
    rates = play(Throttle(), (400, 1000), (400, 0), (500, 100), (400, 400))
    assert rates == [200, 300, 450, 200]


def test_loss_that_slowing_does_not_lessen_is_the_lines():
    assert play(Throttle(), (600, 400), (400, 260), (6000, 4000)) == [300, 0, 0]


def test_it_is_never_slowed_to_a_standstill():
    assert play(Throttle(), (0, 300)) == [10]


def test_losses_of_what_was_sent_before_it_was_slowed_down_say_nothing_of_the_new_pace():
    throttle = Throttle()
    assert play(throttle, (400, 1000)) == [200]
    for _ in range(1000):
        throttle.missed(101.0)
    throttle.answered = 400
    throttle.judge(104.5, 2)
    assert throttle.rate == 300


def test_few_questions_prove_nothing():
    assert play(Throttle(), (0, 39)) == [0]


def test_a_pacer_keeps_its_distance():
    pacer = Pacer(0.2)
    pacer.sent(5.0)
    assert pacer.next_at == pytest.approx(5.2)
