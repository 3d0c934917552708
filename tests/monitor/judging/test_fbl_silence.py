from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from collectors.observation import Batch, Observation, Subject
from monitor.config.load import read_rules
from monitor.database.tables import FblEnrolment, Incident, ReportMailbox
from monitor.judging.feed_evidence import FeedEvidence
from monitor.judging.run import Judge
from monitor.restrictions.suspensions import hold, lift
from monitor.rules.conditions.shortfall import Shortfall, judge_feed
from monitor.rules.evidence import FeedQuestion
from monitor.rules.load import SHIPPED

NOW = datetime(2026, 1, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)
BOLT, ACME = Subject("bolt", "news", provider="yahoo"), Subject("acme", "news", provider="yahoo")
RULE = Shortfall(id="fbl-silence", condition="shortfall", signal="feedback_reports")
LOOPS = FeedQuestion(RULE.signal, RULE.by, RULE.window, RULE.history)


class Loop:
    """A store with a past; days are counted back from now."""

    def __init__(self, store):
        self.store, self.feeds, self.serial = store, FeedEvidence(store), 0

    def days(self, first, last, delivered, reports, subject=BOLT):
        """From `first` to `last` days ago, so much a day; None: nothing of it was reported."""
        seen = [
            Observation(measure, subject, NOW - ago * DAY, float(count))
            for ago in range(last, first + 1)
            for measure, count in (("delivered", delivered), ("report", reports)) if count is not None
        ]
        self.intake(seen)
        self.store.roll_up()

    def intake(self, seen, at=NOW):
        self.serial += 1
        self.store.intake([Batch("test", f"k{self.serial}", at, tuple(seen))], at)

    def read(self, value=1.0, reason=None, name="fbl", at=NOW):
        self.intake([Observation("mailbox_read", Subject(mailbox=name), at, value, reason)], at)

    def put(self, *rows):
        with self.store.session() as session:
            session.add_all(rows)

    def verdicts(self, now=NOW):
        verdicts = [judge_feed(RULE, feed) for feed in self.feeds.feeds(LOOPS, now)]
        return {verdict.group[0][1]: verdict for verdict in verdicts}

    def word(self, now=NOW):
        verdict = self.verdicts(now)["yahoo"]
        return f"unknown {verdict.reason}" if verdict.reason else str(verdict.answer)


@pytest.fixture
def loop(store):
    made = Loop(store)
    made.put(mailbox("fbl"))
    made.read()
    return made


def mailbox(name, provider=None):
    return ReportMailbox(name=name, provider=provider, host="127.0.0.1", username="u", secret="s")


def enrolment(state):
    return FblEnrolment(provider="yahoo", kind="domain", subject="bolt.example.net", state=state, updated_at=NOW)


def test_a_loop_that_reported_for_weeks_and_stops_is_silent(loop):
    loop.days(20, 4, 10_000, 40)
    loop.days(2, 0, 10_000, None)
    verdict = loop.verdicts()["yahoo"]
    assert (verdict.answer, verdict.evidence.expected) == ("breach", 120)
    assert verdict.summary == "no reports in 3 days, expected 40 a day; the last came 2026-01-26 12:00 UTC"


def test_a_loop_that_goes_on_is_clear(loop):
    loop.days(20, 0, 10_000, 40)
    assert loop.word() == "clear"


def test_days_before_the_first_report_are_not_measured_and_later_ones_without_are_zero(loop):
    loop.days(24, 15, 10_000, None)
    loop.days(14, 4, 10_000, 40)
    loop.days(2, 0, 10_000, None)
    (fact,) = loop.feeds.feeds(LOOPS, NOW)
    assert len(fact.history) == 11
    loop.days(13, 13, 10_000, None, ACME)
    assert loop.word() == "breach"


def test_nothing_sent_and_nothing_heard_is_unknown(loop):
    loop.days(20, 4, 10_000, 40)
    assert loop.word() == "unknown no_data"


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda loop: loop.read(0.0), "unknown stale"),
        (lambda loop: loop.read(None, "internal"), "unknown stale"),
        (lambda loop: loop.put(mailbox("never-read")), "unknown stale"),
        (lambda loop: loop.put(mailbox("elsewhere", "microsoft")), "breach"),
        (lambda loop: (loop.put(mailbox("own", "aol")), loop.read(name="own"), loop.read(0.0)), "breach"),
        (lambda loop: (loop.put(mailbox("own", "aol")), loop.read(0.0, None, "own")), "unknown stale"),
    ],
)
def test_what_may_lie_unread_is_not_silence(loop, spoil, word):
    loop.days(20, 4, 10_000, 40)
    loop.days(2, 0, 10_000, None)
    spoil(loop)
    assert loop.word() == word


def test_a_mailbox_last_read_long_ago_counts_as_unread(loop):
    loop.days(20, 4, 10_000, 40)
    loop.days(2, 0, 10_000, None)
    assert loop.word(NOW + timedelta(hours=2)) == "unknown stale"


def test_what_our_own_hold_stops_is_not_expected(loop):
    loop.days(20, 4, 10_000, 0, ACME)
    loop.days(20, 4, 10_000, 40, BOLT)
    loop.days(2, 0, 10_000, None, ACME)
    loop.days(2, 0, 5_000, None, BOLT)
    with loop.store.session() as session:
        suspension = hold(session, scope={"customer": "bolt"}, effect="hold", actor="ann", reason="x", now=NOW - 4 * DAY)
    (fact,) = loop.feeds.feeds(LOOPS, NOW)
    assert (fact.expected_of, fact.history[-1].reports) == (30_000, 0)  # the day of the hold counts without Bolt
    with loop.store.session() as session:
        lift(session, suspension.id, actor="ann", reason="x", now=NOW - 3 * DAY - timedelta(minutes=1))
    (fact,) = loop.feeds.feeds(LOOPS, NOW)
    assert fact.expected_of == 45_000


@pytest.mark.parametrize(
    ("scope", "delivered"),
    [({"provider": "yahoo"}, 0), ({"provider": "gmail"}, 30_000), ({"customer": "acme"}, 30_000), ({"ip": "192.0.2.1"}, 30_000)],
)
def test_only_a_hold_on_this_mail_is_left_out(loop, scope, delivered):
    loop.days(20, 4, 10_000, 40)
    loop.days(2, 0, 10_000, None)
    with loop.store.session() as session:
        hold(session, scope=scope, effect="hold", actor="ann", reason="x", now=NOW - DAY)
    (fact,) = loop.feeds.feeds(LOOPS, NOW)
    assert fact.expected_of == delivered


def test_an_enrolled_loop_that_was_never_heard_is_unknown_and_one_that_ended_is_not_watched(loop):
    loop.days(20, 0, 10_000, None)
    assert loop.verdicts() == {}
    loop.put(enrolment("active"))
    assert loop.verdicts()["yahoo"].summary.startswith("it was never heard")


@pytest.mark.parametrize(("state", "watched"), [("active", True), ("lapsed", False), ("refused", False), ("requested", True)])
def test_the_silence_of_a_loop_that_ended_is_known(loop, state, watched):
    loop.days(20, 0, 10_000, 40)
    loop.put(enrolment(state))
    assert bool(loop.verdicts()) is watched


def test_silence_opens_an_incident_that_ends_when_reports_come_again(loop):
    def states():
        with loop.store.reading_session() as session:
            return [(row.state, row.subject) for row in session.exec(select(Incident))]

    judge = Judge(loop.store, [RULE])
    loop.days(20, 4, 10_000, 40)
    loop.days(2, 0, 10_000, None)
    judge.judge_all(NOW)
    assert states() == [("firing", {"provider": "yahoo"})]
    loop.intake([Observation("report", BOLT, NOW, 40.0)])
    judge.judge_all(NOW + timedelta(minutes=6))
    assert states() == [("ok", {"provider": "yahoo"})]


def test_the_rule_is_shipped():
    assert any(source.data["condition"] == "shortfall" for source in read_rules(SHIPPED))
