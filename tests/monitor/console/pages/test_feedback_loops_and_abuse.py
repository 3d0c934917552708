import re
import shutil
import subprocess
from datetime import timedelta

import pytest
from sqlmodel import select

from collectors.observation import Batch, Evidence, Observation, Subject, Trace
from monitor.abuse.rows import Assignment, assign, close, open_cases
from monitor.console import Console, build_pages
from monitor.database.tables import AbuseCase, Customer, Pool, ReportMailbox, SendingDomain, SendingIp
from monitor.feedback_loops.enrolments import State
from monitor.feedback_loops.rows import Wish, set_enrolment
from monitor.judging.run import Judge
from tests.monitor.api.running import NOW, running
from tests.monitor.api.test_fbl import LOOPS
from tests.waiting import PATIENCE_SECONDS

NASTY = """<script>alert(1)</script>"'&<img src=x onerror=alert(1)>"""
DAY = timedelta(days=1)
WHO = {"actor": "ann", "reason": "a test"}


@pytest.fixture
def vigie(store):
    with running(store, pages=build_pages(Console(store, lambda: NOW))) as started:
        yield started


def words(vigie, path, status=200):
    answer = vigie.client().get(path)
    assert answer.status_code == status
    text = re.sub(r"<style>.*?</style>", "", answer.text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def mail_goes_out(store):
    """Three weeks to Microsoft, Yahoo, whose loop reports no more, and Gmail; an enrolment in every state."""
    with store.session() as session:
        session.add_all([Pool(name="shared"), ReportMailbox(name="fbl", host="127.0.0.1", username="u", secret="s")])
        session.flush()
        session.add_all([SendingIp(address=f"192.0.2.{i}", pool="shared") for i in range(1, 13)])
        session.add(SendingDomain(domain="acme.example.com"))
        for number, state in enumerate(("wanted", "requested", "active", "refused"), 1):
            wish = Wish("microsoft", "ip", f"192.0.2.{number}", State(state), "postmaster@example.com", f"ticket {number}")
            set_enrolment(session, wish, **WHO, now=NOW - 9 * DAY)
        yahoo = Wish("yahoo", "domain", "acme.example.com", State.ACTIVE, ends_at=NOW + 20 * DAY)
        set_enrolment(session, yahoo, **WHO, now=NOW - 9 * DAY)
    seen = [Observation("mailbox_read", Subject(mailbox="fbl"), NOW, 1.0)]
    for ago in range(21):
        for provider, reports in (("microsoft", 30), ("yahoo", 0 if ago < 4 else 40), ("gmail", 0)):
            seen += [Observation("delivered", Subject("acme", "news", None, f"192.0.2.{i}", "acme.example.com", provider),
                                 NOW - ago * DAY, 14_286.0) for i in range(1, 13)]
            if reports:
                seen.append(Observation("report", Subject("acme", "news", provider=provider), NOW - ago * DAY, float(reports)))
    store.intake([Batch("test", "k", NOW, tuple(seen))], NOW)
    store.roll_up()


def letters_arrive(store):
    """Ids of a phishing case past its deadline, one that waits, and one that is closed."""
    with store.session() as session:
        session.add_all([Customer(id=name, name=name) for name in ("acme", "bolt")])
    letters = [("Phishing page linked from your mail", Subject("bolt", ip="192.0.2.9"), 30),
               (f"Spam {NASTY}", Subject(domain="acme.example.com"), 20), ("A question", Subject(), 10)]
    for text, about, hours in letters:
        at = NOW - timedelta(hours=hours)
        mail = Evidence("mail", at, b"From: abuse@csirt.example\n\nhello\n")
        store.intake([Batch("mail", text, at, (), (Trace("abuse_letter", at, about, text=text),), (mail,))], at)
        open_cases(store, at)
    with store.session() as session:
        phishing, spam, question = [row.id for row in session.exec(select(AbuseCase).order_by(AbuseCase.opened_at))]
        assign(session, spam, Assignment("customer", "acme", "kim"), **WHO, now=NOW)
        close(session, question, actor="ann", reason="answered", now=NOW)
    return phishing, spam, question


def test_the_page_of_feedback_loops_says_who_is_silent_where_gaps_are_and_what_is_enrolled(vigie):
    mail_goes_out(vigie.store)
    Judge(vigie.store, [LOOPS]).judge_all(NOW)
    text = words(vigie, "/fbl")
    for piece in (
        "Yahoo, AOL silent no reports in 3 days", "Outlook.com and Hotmail reports",
        "11 IPs send to Outlook.com and Hotmail (1,257,168 a week) without its feedback loop", "pool shared",
        "and 3 more", "enrol these IPs at", "1 asked for already",
        "vigie fbl set microsoft ip 192.0.2.1 requested",
        "Gmail: counts only, no reports", "5 enrolments", "ip 192.0.2.2", "ticket 3", "refused", "in 20 d",
    ):
        assert piece in text, piece
    assert "Yahoo, AOL (" not in text.partition("Gaps")[2].partition("no enrolment would close")[0]


def test_the_page_of_abuse_cases_puts_first_what_presses_most(vigie):
    phishing, spam, question = letters_arrive(vigie.store)
    text = words(vigie, "/abuse")
    assert "2 open cases, 1 overdue" in text
    assert text.index(phishing) < text.index(spam) < text.index("Closed") < text.index(question)
    for piece in ("overdue", "customer bolt", "from 192.0.2.9", "waiting customer", "with kim", "by csirt.example"):
        assert piece in text, piece


def test_a_case_says_what_was_done_and_escapes_what_strangers_wrote(vigie):
    _, spam, _ = letters_arrive(vigie.store)
    text = words(vigie, f"/abuse/{spam}")
    for piece in ("waiting customer", "customer acme", "a test", "by ann", f"vigie abuse close {spam}"):
        assert piece in text, piece
    for path in ("/abuse", f"/abuse/{spam}"):
        assert "<script>alert" not in vigie.client().get(path).text
    words(vigie, "/abuse/abu-nope", 404)


def test_nothing_enrolled_and_nothing_reported_is_said_so(vigie):
    assert "Nothing is enrolled yet" in words(vigie, "/fbl")
    assert "No case is open." in words(vigie, "/abuse")


def test_every_link_of_these_pages_works(vigie):
    mail_goes_out(vigie.store)
    letters_arrive(vigie.store)
    browser, seen, due = vigie.client(), set(), {"/fbl", "/abuse"}
    while due:
        path = due.pop()
        answer = browser.get(path)
        assert answer.status_code == 200, path
        seen.add(path)
        if answer.headers["content-type"].startswith("text/html"):
            due |= set(re.findall(r'href="(/[^"]*)"', answer.text)) - seen
    assert len([path for path in seen if path.startswith("/abuse/")]) == 3


@pytest.mark.real("chromium")
@pytest.mark.parametrize("path", ["fbl", "abuse"])
def test_a_browser_shows_the_page_without_complaint(vigie, tmp_path, path):
    mail_goes_out(vigie.store)
    letters_arrive(vigie.store)
    shot = tmp_path / "page.png"
    done = subprocess.run(
        [shutil.which("chromium"), "--headless", "--no-sandbox", "--enable-logging=stderr", f"--screenshot={shot}",
         f"--user-data-dir={tmp_path}/profile", "--window-size=1280,1400", f"{vigie.url}/{path}"],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True,
    )
    assert shot.stat().st_size > 30_000
    assert "Content Security Policy" not in done.stderr
