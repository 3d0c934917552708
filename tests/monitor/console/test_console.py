import base64
import hashlib
import re
from datetime import timedelta
from html.parser import HTMLParser

import httpx
import pytest

from monitor.config.settings import Api
from monitor.console import Console, build_pages
from monitor.database.tables import Incident, Listing, Outbox, Run, Suspension
from monitor.facts import Store
from monitor.incidents import changes as incident_changes
from monitor.restrictions import suspensions
from monitor.rules.conditions.table import RULE
from monitor.rules.lists import KnownList, KnownLists
from tests.monitor.api.running import NOW, running
from tests.waiting import PATIENCE_SECONDS

NASTY = """<script>alert(1)</script>"'&<img src=x onerror=alert(1)>"""
RULES = [
    RULE.validate_python({
        "id": "complaint-rate", "condition": "ratio", "signal": "complaints", "above": "0.3%", "clear": {"below": "0.1%"},
        "runbook": "ask where the addresses come from",
    })
]
LISTS = KnownLists({"zen": KnownList("zen", "Spamhaus ZEN")})
EVERY = {"dnsbl": timedelta(minutes=15), "feedback_loop": timedelta(minutes=5)}


@pytest.fixture
def vigie(store: Store):
    with running(store, pages=build_pages(Console(store, lambda: NOW, RULES, EVERY, lists=LISTS))) as started:
        yield started


def ago(minutes):
    return NOW - timedelta(minutes=minutes)


def incident(name="inc-1", **other):
    given = {
        "id": name, "rule": "complaint-rate", "subject_key": name, "open_key": name, "state": "firing",
        "severity": "critical", "subject": {"customer": "bolt", "stream": "news", "provider": "yahoo"},
        "summary": "complaint rate 0.41 %", "started_at": ago(12), "judged_at": NOW,
        "evidence": {"words": "complaint rate", "numerator": 82, "denominator": 20_000, "line": 0.003, "since": NOW.isoformat(), "rate": 0.0041, "lower": 0.0033, "upper": 0.0051,
                     "confidence": 0.975},
    }
    return Incident(**(given | other))


def run(name, outcome, minutes, **other):
    return Run(collector=name, started_at=ago(minutes), ended_at=ago(minutes), outcome=outcome, **other)


def put(vigie, *rows):
    with vigie.store.session() as session:
        for row in rows:
            session.add(row)
            session.flush()


def page(vigie, path="/"):
    answer = vigie.client().get(path)
    assert answer.status_code == 200
    return answer.text


def words(vigie, path="/"):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page(vigie, path), flags=re.DOTALL)))


def test_an_open_incident_says_what_where_how_much_since_when_what_was_done_and_what_to_do(vigie):
    put(vigie, incident())
    with vigie.store.session() as session:
        suspensions.put_on(session, Suspension(
            id="sus-1", scope={"customer": "bolt"}, scope_key="x", effect="hold", rule="complaint-rate",
            incident_id="inc-1", actor="complaint-rate", text="too many", since=ago(12), until=NOW + timedelta(hours=2),
        ), why="too many")
    text = words(vigie)
    for piece in (
        "Something is wrong now", "critical", "complaint-rate", "customer bolt", "0.41 %", "82 of 20,000 delivered",
        "limit 0.30 %", "at least 0.33 %, at most 0.51 % (97.5 % sure)", "12 min ago", "hold customer bolt until", "in 2 h",
        "ask where the addresses come from", "vigie ack inc-1",
    ):
        assert piece in text, piece


def test_the_worst_comes_first_and_what_merely_waits_is_set_apart(vigie):
    put(vigie, incident("inc-i", rule="b", severity="info"), incident("inc-c", rule="a"),
        incident("inc-p", rule="waiting-rule", state="pending"), incident("inc-e", rule="gone", state="ok", ended_at=NOW))
    text = words(vigie)
    assert text.index("vigie ack inc-c") < text.index("vigie ack inc-i") < text.index("waiting-rule")
    assert "vigie ack inc-p" not in text
    assert "gone" not in text


def test_nothing_wrong_is_said_only_when_every_collector_has_looked(vigie):
    assert "Nothing is known to be wrong, but not everything is seen" in words(vigie)
    put(vigie, run("dnsbl", "ok", 1), run("feedback_loop", "ok", 1))
    assert "Nothing is wrong" in words(vigie)


@pytest.mark.parametrize(
    ("runs", "states"),
    [
        ([], ["waiting", "waiting"]),
        ([("dnsbl", "ok", 44), ("feedback_loop", "partial", 1)], ["ok", "partial"]),
        ([("dnsbl", "ok", 46), ("feedback_loop", "ok", 16)], ["stale", "stale"]),
        ([("dnsbl", "ok", 20), ("dnsbl", "failed", 1), ("feedback_loop", "running", 1)], ["failed", "running"]),
    ],
)
def test_a_collector_is_fresh_stale_failed_or_has_not_run(vigie, runs, states):
    put(vigie, *(run(*arguments) for arguments in runs))
    collectors = page(vigie).partition("<h2>Collectors</h2>")[2].partition("</table>")[0]
    assert re.findall(r'class="mark (\w+)"', collectors) == states


def test_a_failed_run_says_why(vigie):
    put(vigie, run("dnsbl", "failed", 1, reason="timeout", text="no resolver answers"))
    assert "timeout: no resolver answers" in words(vigie)
    assert "timeout: no resolver answers" in words(vigie, "/runs")


def test_listings_and_messages_stand_on_the_page(vigie):
    put(vigie, incident(), Listing(
        target="192.0.2.7", dnsbl="zen", phase="listed", codes=["127.0.0.2"], first_seen_at=ago(9), last_seen_at=ago(1),
        checked_at=ago(1), confirmed_at=ago(8), detail={"meanings": ["SBL"]},
    ), Outbox(
        key="k", incident_id="inc-1", receiver="ops", event="firing", severity="critical", title="[FIRING] it burns",
        body="What: it burns", created_at=ago(2), next_attempt_at=NOW, state="waiting", last_error="timeout",
    ))
    text = words(vigie)
    for piece in ("192.0.2.7", "Spamhaus ZEN", "SBL", "[FIRING] it burns", "ops", "waiting", "timeout"):
        assert piece in text
    assert "What: it burns" in words(vigie, "/incidents/inc-1")


def test_of_very_many_suspensions_the_newest_are_shown_and_all_are_counted(vigie):
    put(vigie, *(Suspension(id=f"sus-{n}", scope={"ip": f"192.0.2.{n}"}, scope_key=str(n), effect="hold", actor="dana",
                            text="x", since=ago(n)) for n in range(120)))
    text = words(vigie)
    assert "120 suspensions in force" in text
    assert "the newest 100 of 120" in text
    assert "192.0.2.99 " in text
    assert "192.0.2.100 " not in text


def test_a_bad_listing_that_no_incident_is_about_is_not_green(vigie):
    listing = {"target": "192.0.2.7", "dnsbl": "big", "phase": "listed", "baseline": True, "first_seen_at": ago(5),
               "last_seen_at": ago(5), "checked_at": ago(5), "confirmed_at": ago(5)}
    put(vigie, Listing(**listing, detail={"weight": 1.0, "severity": "critical"}))
    assert "No incident is open, but bad listings stand" in words(vigie)
    assert "Nothing is wrong" not in words(vigie)


def test_the_page_of_an_incident_shows_its_whole_history(vigie):
    put(vigie, incident())
    with vigie.store.session() as session:
        incident_changes.acknowledge(session, "inc-1", actor="dana", reason="calling the customer", now=NOW)
    text = words(vigie, "/incidents/inc-1")
    for piece in ("acknowledged", "calling the customer", "by dana", "&#34;numerator&#34;: 82"):
        assert piece in text.replace('"', "&#34;"), piece
    assert vigie.client().get("/incidents/inc-none").status_code == 404


def test_what_comes_from_outside_can_do_nothing_on_the_page(vigie):
    put(vigie, incident("inc-x", summary=NASTY, subject={"customer": NASTY}, acked_by=NASTY, acked_at=NOW, ack_reason=NASTY,
                        evidence={"listed": [{"target": NASTY, "dnsbl": "x", "name": NASTY, "meaning": NASTY, "codes": [NASTY],
                                              "delist_url": "javascript:alert(1)"}]}),
        run(NASTY, "failed", 1, text=NASTY))
    with vigie.store.session() as session:
        suspensions.hold(session, scope={"customer": NASTY}, effect="hold", actor=NASTY, reason=NASTY, now=NOW)
    for path in ("/", "/incidents", "/incidents/inc-x", "/runs"):
        text = page(vigie, path)
        assert "<script" not in text
        assert "<img" not in text
        assert 'href="javascript' not in text


def test_the_headers_allow_one_style_sheet_and_nothing_else(vigie):
    answer = vigie.client().get("/")
    css = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert " style=" not in answer.text


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = set()

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.found.add(dict(attrs)["href"])


def test_every_link_of_every_page_works(vigie):
    put(vigie, incident(), incident("inc-2", rule="b", state="ok", ended_at=NOW), run("dnsbl", "ok", 1))
    browser, seen, due = vigie.client(), set(), {"/"}
    while due:
        path = due.pop()
        answer = browser.get(path)
        assert answer.status_code == 200, path
        seen.add(path)
        if answer.headers["content-type"].startswith("text/html"):
            links = _Links()
            links.feed(answer.text)
            due |= links.found - seen
    assert {"/", "/incidents", "/incidents/inc-1", "/incidents/inc-2", "/runs", "/healthz", "/openapi.json"} <= seen


def test_a_keyed_console_asks_for_a_read_key_as_password(store):
    pages = build_pages(Console(store, lambda: NOW))
    with running(store, pages=pages, settings=Api(console="keyed")) as vigie:
        key = vigie.client("read").headers["Authorization"].removeprefix("Bearer ")
        gates_key = vigie.client("gate").headers["Authorization"].removeprefix("Bearer ")
        bolts_key = vigie.client("read", customer="bolt").headers["Authorization"].removeprefix("Bearer ")
        nobody = vigie.client().get("/")
        assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, 'Basic realm="vigie"')
        for password, status in ((key, 200), (gates_key, 403), (bolts_key, 403), ("wrong", 401)):
            assert httpx.get(f"{vigie.url}/", auth=("anyone", password)).status_code == status
        assert vigie.client().get("/healthz").status_code == 200
        # a browser sends the password again by itself: another site must not call the API with it
        assert httpx.get(f"{vigie.url}/v1/incidents", auth=("anyone", key)).status_code == 401


@pytest.mark.real("chromium")
def test_a_browser_shows_the_page_without_complaint(vigie, tmp_path):
    import shutil
    import subprocess

    put(vigie, incident())
    shot = tmp_path / "page.png"
    done = subprocess.run(
        [shutil.which("chromium"), "--headless", "--no-sandbox", "--enable-logging=stderr", f"--screenshot={shot}",
         f"--user-data-dir={tmp_path}/profile", "--window-size=1280,1600", f"{vigie.url}/"],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True,
    )
    assert shot.stat().st_size > 50_000
    assert "Content Security Policy" not in done.stderr


def test_a_database_that_cannot_be_written_is_said_on_every_page_and_by_readyz(store):
    fault = "the database cannot be written: disk is full"
    pages = build_pages(Console(store, lambda: NOW, RULES, EVERY, lambda: fault))
    with running(store, pages=pages, fault=fault) as started:
        anybody = started.client()
        assert all(fault in anybody.get(path).text for path in ("/", "/incidents", "/runs", "/fbl", "/abuse"))
        ready = anybody.get("/readyz")
        assert (ready.status_code, ready.json()["detail"]) == (503, fault)
        assert anybody.get("/healthz").status_code == 200
