"""Every standing and every day: one total table, and where each leads."""

import itertools

import pytest

from monitor.warmup.standing import TABLE, DayWas, Move, Place, Standing, after, cap_of

STEPS = 10
PLAN = tuple(range(100, 100 * STEPS + 1, 100))
# (standing, step, day) → (move, standing, step)
EXPECTED = {
    ("cold", 1): {
        "idle": ("none", "cold", 1), "forgotten": ("none", "cold", 1), "bad": ("hold", "warming", 1),
        "unknown": ("hold", "warming", 1), "short": ("hold", "warming", 1), "good": ("advance", "warming", 2),
    },
    ("warming", 1): {
        "idle": ("none", "warming", 1), "forgotten": ("cool", "resting", 1), "bad": ("step_back", "warming", 1),
        "unknown": ("hold", "warming", 1), "short": ("hold", "warming", 1), "good": ("advance", "warming", 2),
    },
    ("warming", 7): {
        "idle": ("none", "warming", 7), "forgotten": ("cool", "resting", 4), "bad": ("step_back", "warming", 6),
        "unknown": ("hold", "warming", 7), "short": ("hold", "warming", 7), "good": ("advance", "warming", 8),
    },
    ("warming", 10): {
        "idle": ("none", "warming", 10), "forgotten": ("cool", "resting", 5), "bad": ("step_back", "warming", 9),
        "unknown": ("hold", "warming", 10), "short": ("hold", "warming", 10), "good": ("advance", "warm", 10),
    },
    ("warm", 10): {
        "idle": ("none", "warm", 10), "forgotten": ("cool", "resting", 5), "bad": ("none", "warm", 10),
        "unknown": ("none", "warm", 10), "short": ("none", "warm", 10), "good": ("none", "warm", 10),
    },
    ("resting", 4): {
        "idle": ("none", "resting", 4), "forgotten": ("cool", "resting", 2), "bad": ("step_back", "warming", 3),
        "unknown": ("hold", "warming", 4), "short": ("hold", "warming", 4), "good": ("advance", "warming", 5),
    },
}  # fmt: skip
CASES = [(*place, day, *result) for place, days in EXPECTED.items() for day, result in days.items()]


@pytest.mark.parametrize(("standing", "step", "day", "move", "then", "on"), CASES)
def test_each_standing_and_day_leads_where_it_should(standing, step, day, move, then, on):
    assert after(Place(Standing(standing), step), DayWas(day), STEPS) == (Move(move), Place(Standing(then), on))


def test_the_table_is_total_and_every_case_of_it_is_expected():
    assert set(TABLE) == set(itertools.product(Standing, DayWas))
    assert {(standing, day) for standing, _, day, *_ in CASES} == set(TABLE)


@pytest.mark.parametrize("day", [DayWas.IDLE, DayWas.FORGOTTEN, DayWas.BAD, DayWas.UNKNOWN, DayWas.SHORT])
@pytest.mark.parametrize("standing", Standing)
def test_only_a_good_day_allows_more(standing, day):
    before = Place(standing, STEPS if standing is Standing.WARM else 3)
    cap, following = cap_of(before, PLAN), cap_of(after(before, day, STEPS)[1], PLAN)
    assert cap is None or (following is not None and following <= cap)
    assert before.standing is not Standing.COLD or after(before, day, STEPS)[1].step == before.step


@pytest.mark.parametrize("standing", [each for each in Standing if each is not Standing.WARM])
def test_all_but_warm_have_a_cap(standing):
    assert cap_of(Place(standing, 3), PLAN) == 300
    assert cap_of(Place(Standing.WARM, STEPS), PLAN) is None
