from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from collectors.observation import Batch, Evidence, Subject, Trace
from monitor.abuse import rows as abuse_rows
from monitor.abuse.rows import Assignment, assign, cases, close, history, note, open_cases
from monitor.database.paging import Page
from monitor.database.tables import AbuseCase, Customer, Transition

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ACME, NOBODY = Subject("acme", ip="192.0.2.1"), Subject()
WHO = {"actor": "ann", "reason": "a test"}


class AbuseMail:
    """A store at whose abuse address mail arrives."""

    def __init__(self, store):
        self.store, self.serial = store, 0

    def arrives(self, text="You send spam", about=ACME, category=None, at=NOW, kind="abuse_letter", sender="x@example.org"):
        self.serial += 1
        trace = Trace(kind, at, about, text=text, category=category)
        mail = (Evidence("mail", at, f"From: Ann <{sender}>\nSubject: {text}\n\nhello\n".encode()),) if sender else ()
        self.store.intake([Batch("mail", f"k{self.serial}", at, (), (trace,), mail)], at)
        return open_cases(self.store, at)

    def rows(self, shown="all", now=NOW, **given):
        with self.store.reading_session() as session:
            return cases(session, now, shown, **given).rows

    def change(self, what, case_id, *more, at=NOW, **fields):
        with self.store.session() as session:
            return what(session, case_id, *more, **(WHO | fields), now=at)

    def history(self, case_id):
        with self.store.reading_session() as session:
            return [(row.old, row.new, row.actor, row.why) for row in history(session, case_id)]


@pytest.fixture
def abuse_mail(store):
    with store.session() as session:
        session.add_all([Customer(id="acme", name="Acme"), Customer(id="bolt", name="Bolt")])
    return AbuseMail(store)


def test_a_letter_opens_a_case_with_its_customer_source_reporter_and_deadline(abuse_mail):
    (case_id,) = abuse_mail.arrives("Phishing in your mail")
    (row,) = abuse_mail.rows()
    assert (row.id, row.state, row.kind, row.customer, row.source, row.reporter, row.subject) == (
        case_id, "open", "phishing", "acme", "192.0.2.1", "example.org", "Phishing in your mail")
    assert (row.opened_at, row.deadline_at, row.reports, len(row.batches)) == (NOW, NOW + DAY, 1, 1)
    assert abuse_mail.history(case_id) == [
        ("none", "open", "abuse-cases", "phishing reported by example.org: Phishing in your mail")]


@pytest.mark.parametrize(
    ("category", "text", "kind", "hours"),
    [("fraud", None, "phishing", 24), ("virus", None, "malware", 24), ("abuse", "hi", "spam", 72),
     (None, "DMCA notice", "copyright", 72), (None, "hello", "other", 120)],
)
def test_the_deadline_follows_the_kind(abuse_mail, category, text, kind, hours):
    abuse_mail.arrives(text, category=category, kind="abuse_report")
    (row,) = abuse_mail.rows()
    assert (row.kind, row.deadline_at) == (kind, NOW + hours * HOUR)


def test_the_job_repeated_makes_nothing_twice(abuse_mail):
    abuse_mail.arrives()
    assert open_cases(abuse_mail.store, NOW) == open_cases(abuse_mail.store, NOW + DAY) == []
    assert [row.reports for row in abuse_mail.rows()] == [1]


def test_a_job_that_dies_in_its_middle_is_done_whole_by_the_next(abuse_mail, monkeypatch):
    class Dies(Exception):
        pass

    def dies(*_given, **_more):
        raise Dies

    with monkeypatch.context() as broken:
        broken.setattr(abuse_rows, "_reporter", dies)
        with pytest.raises(Dies):
            abuse_mail.arrives()
    assert abuse_mail.rows() == []
    assert len(open_cases(abuse_mail.store, NOW)) == 1


def test_more_than_fits_one_transaction_is_taken_in_several(abuse_mail, monkeypatch):
    monkeypatch.setattr(abuse_rows, "MOST_AT_ONCE", 2)
    traces = tuple(Trace("abuse_letter", NOW, Subject("acme", ip=f"192.0.2.{i}"), text="spam") for i in range(5))
    abuse_mail.store.intake([Batch("mail", "k", NOW, (), traces)], NOW)
    assert len(open_cases(abuse_mail.store, NOW)) == 5


@pytest.mark.parametrize(
    ("later", "about", "text", "joins"),
    [
        (7 * DAY, ACME, "More spam", True),
        (7 * DAY + HOUR, ACME, "More spam", False),
        (DAY, ACME, "Phishing", False),
        (DAY, Subject("bolt", ip="192.0.2.1"), "More spam", False),
        (DAY, Subject("acme", ip="192.0.2.2"), "More spam", False),
        (DAY, NOBODY, "More spam", False),
    ],
)
def test_a_report_on_the_same_matter_within_seven_days_joins_the_open_case(abuse_mail, later, about, text, joins):
    abuse_mail.arrives("Spam from you")
    assert bool(abuse_mail.arrives(text, about, at=NOW + later)) is not joins
    first = abuse_mail.rows(now=NOW + later)[-1]
    assert (first.reports, len(first.batches), first.newest_at) == ((2, 2, NOW + later) if joins else (1, 1, NOW))


def test_letters_that_name_nothing_of_ours_are_one_matter_only_as_one_correspondence(abuse_mail):
    abuse_mail.arrives("A question", NOBODY)
    assert abuse_mail.arrives("Re: A question", NOBODY) == []
    assert len(abuse_mail.arrives("Another question", NOBODY)) == 1
    assert len(abuse_mail.arrives("A question", NOBODY, sender="y@example.net")) == 1


def test_a_case_that_was_closed_is_not_joined(abuse_mail):
    (case_id,) = abuse_mail.arrives()
    abuse_mail.change(close, case_id)
    assert len(abuse_mail.arrives(at=NOW + HOUR)) == 1


def test_complaints_of_feedback_loops_open_no_cases(abuse_mail):
    assert abuse_mail.arrives(category="fraud", kind="complaint") == []


def test_a_mail_that_was_not_kept_has_no_known_reporter(abuse_mail):
    abuse_mail.arrives(sender=None)
    assert abuse_mail.rows()[0].reporter is None


def test_a_case_is_assigned_noted_closed_and_opened_again_with_every_step_remembered(abuse_mail):
    (case_id,) = abuse_mail.arrives("hello", NOBODY)
    row = abuse_mail.change(assign, case_id, Assignment("customer", "acme", "kim", "malware"), reason="asked Acme")
    assert (row.state, row.customer, row.assignee, row.kind, row.deadline_at) == (
        "waiting_customer", "acme", "kim", "malware", NOW + DAY)
    abuse_mail.change(note, case_id, reason="they answered")
    assert abuse_mail.change(close, case_id, reason="list removed", at=NOW + HOUR).closed_at == NOW + HOUR
    assert abuse_mail.change(close, case_id, reason="again", at=NOW + DAY).closed_at == NOW + HOUR
    assert abuse_mail.change(assign, case_id, Assignment("ours"), reason="it goes on").closed_at is None
    assert [step[:2] for step in abuse_mail.history(case_id)] == [
        ("none", "open"), ("open", "waiting_customer"), ("waiting_customer", "waiting_customer"),
        ("waiting_customer", "closed"), ("closed", "open")]
    assert abuse_mail.history(case_id)[2][2:] == ("ann", "they answered")


@pytest.mark.parametrize(
    ("what", "more", "message"),
    [
        (assign, (Assignment(),), "say what to change"),
        (assign, (Assignment(kind="rudeness"),), "no kind"),
        (assign, (Assignment(customer="nobody"),), "no customer"),
        (note, (), None), (close, (), None), (assign, (Assignment("ours"),), None),
    ],
)
def test_what_nobody_could_mean_changes_nothing(abuse_mail, what, more, message):
    (case_id,) = abuse_mail.arrives()
    if message:
        with pytest.raises(ValueError, match=message):
            abuse_mail.change(what, case_id, *more)
    with pytest.raises(ValueError, match="reason"):
        abuse_mail.change(what, case_id, *more, reason=" ")
    with pytest.raises(LookupError, match="no abuse case"):
        abuse_mail.change(what, "abu-nope", *more)
    assert len(abuse_mail.history(case_id)) == 1


def test_cases_are_listed_by_what_presses_and_whose_they_are(abuse_mail):
    (spam,) = abuse_mail.arrives("spam")
    (phishing,) = abuse_mail.arrives("phishing")
    (other,) = abuse_mail.arrives("hello", Subject("bolt", ip="192.0.2.9"))
    assert [row.id for row in abuse_mail.rows("open")] == [phishing, spam, other]
    assert [row.id for row in abuse_mail.rows("overdue", NOW + DAY + HOUR)] == [phishing]
    assert [row.id for row in abuse_mail.rows("open", customer="bolt")] == [other]
    abuse_mail.change(close, phishing)
    assert [row.id for row in abuse_mail.rows("closed")] == [phishing]
    assert abuse_mail.rows("overdue", NOW + DAY + HOUR) == []
    assert len(abuse_mail.rows("all", page=Page(2))) == 2
    with abuse_mail.store.reading_session() as session:
        assert len(session.exec(select(AbuseCase)).all()) == 3
        assert {row.kind for row in session.exec(select(Transition))} == {"abuse_case"}
