"""The page of warm-ups: what is left, what the last day did, a picture of the days, and nothing of a stranger's in it."""

from datetime import timedelta

import pytest

from monitor.console import Console, build_pages
from monitor.database.tables import WarmUp, WarmUpDay
from monitor.warmup.plans import shipped
from tests.monitor.api.running import NOW, running

DAYS = (("good", "advance"), ("good", "advance"), ("short", "hold"), ("good", "advance"), ("bad", "step_back"), ("unknown", "hold"), ("good", "advance"))


def put(store, **more):
    per_day = list(shipped()["conservative"].per_day)
    given = {
        "id": "alw-1", "ip": "192.0.2.7", "provider": "gmail", "open_key": "ip=192.0.2.7|provider=gmail", "plan": "conservative",
        "per_day": per_day, "zone": "UTC", "standing": "warming", "step": 5, "day": NOW.date().isoformat(), "returned": 120,
        "judged_day": "2026-01-01", "sent_day": "2026-01-01", "evidence_since": NOW, "actor": "ann", "reason": "new", "started_at": NOW,
        "changed_at": NOW,
    }  # fmt: skip
    row = WarmUp(**(given | more))
    with store.session() as session:
        session.add(row)
        step = 1
        for number, (was, move) in enumerate(DAYS):
            cap = per_day[step - 1]
            session.add(WarmUpDay(
                warm_up=row.id, day=(NOW.date() - timedelta(days=len(DAYS) - number)).isoformat(), standing="warming", step=step,
                cap=cap, recorded=cap // 2 if was == "short" else cap, delivered=None if was == "unknown" else cap, was=was, move=move,
                why="<b>as it was</b>", judged_at=NOW,
            ))  # fmt: skip
            step += {"advance": 1, "step_back": -1}.get(move, 0)


@pytest.fixture
def vigie(sqlite_store):
    with running(sqlite_store, pages=build_pages(Console(sqlite_store, lambda: NOW))) as started:
        yield started


def test_a_warm_up_is_shown_with_what_is_left_and_drawn_against_its_plan(vigie):
    put(vigie.store, overflow="old")
    put(vigie.store, id="alw-2", ip=None, domain="news.example", open_key="2", standing="warm", step=31, needs=None)
    page = vigie.client("read").get("/warmup").text
    assert "192.0.2.7 at gmail" in page
    assert "80 left of 200" in page
    assert "goes to old" in page
    assert "&lt;b&gt;as it was&lt;/b&gt;" in page
    assert "none: it is warm" in page
    assert page.count('class="ramp"') == 2
    assert page.count('<rect class="bar') == 2 * len(DAYS)
    assert "step 3, 50 of 100" in page
    assert "<script" not in page


def test_one_that_needs_a_person_comes_first_and_says_why(vigie):
    put(vigie.store)
    put(vigie.store, id="alw-2", ip="192.0.2.8", open_key="2", needs="no step forward on 5 sending days in a row", needs_at=NOW)
    page = vigie.client("read").get("/warmup").text
    assert page.index("192.0.2.8 at gmail") < page.index("192.0.2.7 at gmail")
    assert "A person is needed: no step forward on 5 sending days" in page


def test_without_any_the_page_says_how_to_begin(vigie):
    assert "vigie warmup start" in vigie.client("read").get("/warmup").text


def test_metrics_count_by_provider_and_name_no_ip(vigie):
    put(vigie.store)
    text = vigie.client().get("/metrics").text
    assert 'vigie_warm_ups{provider="gmail",standing="warming"} 1' in text
    assert 'vigie_warm_up_left_messages{provider="gmail"} 80' in text
    assert "192.0.2.7" not in text
