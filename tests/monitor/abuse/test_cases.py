import itertools
from datetime import timedelta

import pytest

from monitor.abuse.cases import NEXT, State, Step, kind_of, kinds, thread

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(("state", "step"), list(itertools.product(State, Step)))
def test_every_state_knows_what_every_step_leads_to(state, step):
    leads_to = {Step.OURS: "open", Step.CUSTOMER: "waiting_customer", Step.PROVIDER: "waiting_provider",
                Step.CLOSE: "closed", Step.REPORT: state}
    assert NEXT[state, step] == leads_to[step]


def test_each_kind_has_its_deadline():
    assert {row.kind: row.within for row in kinds().values()} == {
        "phishing": 24 * HOUR, "malware": 24 * HOUR, "copyright": 72 * HOUR, "spam": 72 * HOUR, "other": 120 * HOUR}


def test_the_data_names_nothing_twice():
    for field in ("types", "words"):
        named = [name for row in kinds().values() for name in getattr(row, field)]
        assert len(named) == len(set(named))
        assert all(name == name.lower() for name in named)


@pytest.mark.parametrize(
    ("reported", "subject", "kind"),
    [
        ("fraud", "Your newsletter is spam", "phishing"),
        ("Virus", None, "malware"),
        ("abuse", None, "spam"),
        (None, "Phishing site linked from your mail [#4711]", "phishing"),
        (None, "RE: DMCA notice", "copyright"),
        (None, "Unsolicited mail from 192.0.2.1", "spam"),
        (None, "Signalement d'hameçonnage", "phishing"),
        (None, "spam that leads to a phishing page", "phishing"),
        (None, "We need a truce", "other"),
        (None, "", "other"),
        ("never-heard-of", "hello", "other"),
    ],
)
def test_a_report_is_sorted_by_what_machines_call_it_else_by_words(reported, subject, kind):
    assert kind_of(reported, subject) == kind


@pytest.mark.parametrize("subject", ["Spam from you", "Re: Spam from you", "AW: RE : Fwd: spam from you ", "TR:Spam from you"])
def test_answers_belong_to_the_letter_they_answer(subject):
    assert thread(subject) == "spam from you"
    assert thread(None) == ""
