"""What is said of a rate without its bounds is what the plain judge says, or that it has to be asked."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.judging.groups import Groups
from monitor.judging.rate_screen import ABSENT, ANSWERS, LOOK, Counted, Lines, codes, together
from monitor.rules.conditions import ratio
from monitor.rules.conditions.table import RULE
from monitor.rules.in_part import CountsInPart
from monitor.rules.verdict import Answer
from tests.monitor.conftest import T

ACME = (("customer", "acme"),)
EVERY = {"id": "rate", "condition": "ratio", "signal": "complaints", "by": ["customer"]}
RULES = [RULE.validate_python({**EVERY, **changes}) for changes in (
    {"above": "0.3%", "clear": {"below": "0.1%"}}, {"above": "1%", "clear": {"below": "1%"}, "at_least": {"numerator": 1, "denominator": 1}},
    {"below": "5%", "clear": {"above": "10%"}}, {"above": 0, "clear": {"below": 0}}, {"below": "100%", "clear": {"above": "100%"}},
    {"above": "0.5%", "clear": {"below": "0.4%"}, "confidence": 0.9999, "at_least": {"numerator": 10, "denominator": 5000}},
)]  # fmt: skip
CASES = [(50_000.0, 5.0, 0.0, 0.0, None), (9_000.0, 20.0, 0.0, 0.0, None), (50.0, 1.0, 0.0, 0.0, None), (9_000.0, 20.0, 0.0, 0.0, "silent"),
         (50_000.0, 900.0, 0.0, 0.0, None)]
counted = st.tuples(*[st.one_of(st.integers(0, 12), st.integers(0, 400), st.integers(0, 50_000)).map(float)] * 2,
                    *[st.sampled_from([0.0, 0.0, 1.0, 30.0, 900.0])] * 2, st.sampled_from([None, "the feed is silent"]))  # fmt: skip


def plain(rule, n, k, n_perhaps, k_perhaps, stale):
    return ratio.judge_rate(rule, ratio.Counted(ACME, T, n, k, stale, n_perhaps, k_perhaps), T)


def quick(rule, facts):
    n, k, n_perhaps, k_perhaps, stale = (np.array(column) for column in zip(*facts, strict=True))
    all_of_it = Counted(n, n + n_perhaps, k, k + k_perhaps, np.ones(len(n), bool))
    return codes(all_of_it, Lines.of(rule), stale=np.array([each is not None for each in stale]))


@given(rule=st.sampled_from(RULES), facts=st.lists(counted, min_size=1, max_size=40))
def test_a_code_is_the_plain_verdict_or_to_look_at_it(rule, facts):
    for fact, code in zip(facts, quick(rule, facts).tolist(), strict=True):
        verdict = plain(rule, *fact)
        assert code == LOOK or ANSWERS[code] == (verdict.answer, verdict.reason), fact


def test_what_is_plain_is_not_looked_at():
    facts = [(50_000.0, 5.0, 0.0, 0.0, None), (50.0, 1.0, 0.0, 0.0, None), (0.0, 0.0, 0.0, 0.0, None), (9_000.0, 20.0, 0.0, 0.0, None)]
    assert [ANSWERS[code][0] for code in quick(RULES[0], facts).tolist()] == ["clear", "unknown", "unknown", "between"]
    assert quick(RULES[0], [(50_000.0, 400.0, 0.0, 0.0, None)]).tolist() == [LOOK]


def test_windows_are_put_together_as_the_plain_judge_does():
    rule = RULE.validate_python({**EVERY, "above": "0.3%", "clear": {"below": "0.1%"}, "window": ["1h", "3h", "24h"]})
    windows = list(zip(*itertools.product([None, *CASES], repeat=3), strict=True))
    groups = [(("customer", str(number)),) for number in range(len(windows[0]))]
    facts = [[ratio.Counted(group, T, n, k, stale) for group, fact in zip(groups, window, strict=True) if fact for n, k, _, _, stale in [fact]]
             for window in windows]  # fmt: skip
    verdicts = {verdict.group: verdict for verdict in ratio.judge_counted(rule, facts, None, T)}
    answers = [
        np.where([fact is None for fact in window], ABSENT, quick(rule, [fact or (0.0, 0.0, 0.0, 0.0, None) for fact in window]))
        for window in windows
    ]  # fmt: skip
    for group, code in zip(groups, together(answers).tolist(), strict=True):
        if code in {ABSENT, LOOK}:
            assert (code == ABSENT) == (group not in verdicts)
            assert code == ABSENT or verdicts[group].answer is Answer.BREACH
        else:
            assert ANSWERS[code] == (verdicts[group].answer, verdicts[group].reason)


values = st.tuples(*[st.sampled_from(["a", "b", None])] * 3)


@given(sums=st.dictionaries(values, st.integers(0, 9).map(float), min_size=1, max_size=12), others=st.lists(values, max_size=3))
def test_what_is_known_in_part_is_parted_as_the_plain_judge_does(sums, others):
    by = ("customer", "stream", "provider")
    groups = Groups(by)
    numbers = [groups.number(each) for each in (*sums, *others)]
    totals = np.zeros(len(groups))
    for number, total in zip(numbers, sums.values(), strict=False):
        totals[number] = total
    certain, perhaps = groups.parted(totals)
    truth = CountsInPart(by, {each: {"delivered": total} for each, total in sums.items()})
    for number, group in enumerate(groups.groups):
        of_it = truth.of(group)
        assert (certain[number], perhaps[number]) == (of_it.certain.get("delivered", 0), of_it.perhaps.get("delivered", 0))
