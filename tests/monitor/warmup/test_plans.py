"""Plans: the shipped ones are ramps with a source, and a picture of one holds all its steps."""

import itertools

import pytest

from monitor.config.warmup import MOST_STEPS, OwnPlan, rising
from monitor.warmup.chart import Actual, actual_svg, plan_svg, terminal
from monitor.warmup.plans import plan_named, shipped, with_own


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_plan_is_a_ramp_and_says_whose_it_is(name):
    plan = shipped()[name]
    assert rising(plan.per_day) == plan.per_day
    assert plan.source
    assert len(set(plan.per_day)) == len(plan.per_day)


def test_the_published_tables_are_as_they_were_published():
    assert shipped()["sparkpost"].per_day[:6] == (200, 500, 1000, 2000, 5000, 10000)
    assert len(shipped()["sparkpost"].per_day) == 29
    hourly = shipped()["sendgrid-hourly"].per_day
    assert (hourly[0], hourly[11], hourly[-1], len(hourly)) == (20 * 24, 810 * 24, 2603222 * 24, 36)
    assert shipped()["momentum-yahoo"].per_day[-1] == 28 * 50_000


def test_the_careful_plan_never_nearly_doubles():
    steps = shipped()["conservative"].per_day
    assert max(after / before for before, after in itertools.pairwise(steps)) <= 1.5


def test_an_own_plan_stands_beside_and_may_replace_a_shipped_one():
    plans = with_own({"ours": OwnPlan(per_day=(5, 10)), "sparkpost": OwnPlan(per_day=(7,))})
    assert plans["ours"].per_day == (5, 10)
    assert plans["sparkpost"].per_day == (7,)
    assert "conservative" in plans
    with pytest.raises(ValueError, match="did you mean 'ours'"):
        plan_named(plans, "ourz")


@pytest.mark.parametrize("steps", [(), (0,), (-1, 5), (5, 4), (10**10,), tuple(range(1, MOST_STEPS + 2))])
def test_what_is_no_ramp_is_refused(steps):
    with pytest.raises(ValueError, match="step"):
        rising(steps)


def test_a_step_that_allows_a_target_is_named():
    assert shipped()["sparkpost"].reaches(1500) == 4
    assert shipped()["sparkpost"].reaches(10**9) is None


def test_a_plan_is_drawn_with_a_line_for_each_step():
    lines = terminal((10, 100, 1000), width=30, now_at=2)
    assert [line.split()[-1] for line in lines] == ["10", "100", "1,000"]
    assert [line[0] for line in lines] == [" ", ">", " "]
    lengths = [line.count("█") for line in lines]
    assert lengths == sorted(lengths)
    assert len({len(line) for line in lines}) == 1


def test_pictures_hold_every_step_and_escape_what_they_are_given():
    picture = plan_svg((10, 100, 1000), "<script>")
    assert "<script>" not in picture
    assert picture.count(",") >= 6
    days = [Actual("01-02", 1, 10, 9, 9), Actual("01-03", 2, 100, 40, None, "warning")]
    drawn = actual_svg((10, 100, 1000), days, "x")
    assert "01-03: step 2, 40 of 100, delivered not known" in drawn
    assert drawn.count("<rect") == 2
