"""The demo shows its whole story within a minute, the same way each time, and ends by itself."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from tests.waiting import PATIENCE_SECONDS, free_port

SECONDS = 58
pytestmark = pytest.mark.xdist_group("demo")  # one pair of runs serves all


def play(hash_seed):
    """What `vigie demo --json` prints, line by line decoded. As fast as the machine goes: the story owns the clock."""
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "demo", "--seconds", str(SECONDS), "--seed", "3", "--speed", "1000", "--json",
         "--port", str(free_port())],
        capture_output=True, text=True, timeout=3 * PATIENCE_SECONDS, check=False, env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.fixture(scope="module")
def stories():
    """Two runs of one seed, side by side."""
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(play, ("1", "2")))


def facts(story, event, *names):
    return [tuple(each[name] for name in names) for each in story if each["event"] == event]


def test_every_kind_of_thing_happens_and_says_when(stories):
    for story, errors in stories:
        assert {each["event"] for each in story} == {
            "listing", "complaint", "incident", "transition", "notification", "decision",
        }
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", each["at"]) for each in story)
        assert "Traceback" not in errors


def test_both_rules_fire_and_resolve_and_the_chat_hears_of_each(stories):
    for story, _ in stories:
        for rule in ("ip-listed", "complaint-rate"):
            states = [state for name, state in facts(story, "incident", "rule", "state") if name == rule]
            assert states[0] == "firing"
            assert states[-1] == "resolved"
        kinds = [kind for (kind,) in facts(story, "notification", "kind")]
        assert (kinds.count("firing"), kinds.count("resolved")) == (2, 2)


def test_the_sender_is_held_where_it_should_be_and_nowhere_else(stories):
    for story, _ in stories:
        decisions = facts(story, "decision", "customer", "stream", "ip", "decision")
        held = {(customer, stream) for customer, stream, _, decision in decisions if decision == "hold"}
        assert held == {("acme", "receipts"), ("acme", "newsletter"), ("bolt", "newsletter")}
        assert len({ip for customer, _, ip, decision in decisions if customer == "acme" and decision == "hold"}) == 1
        last = {(customer, stream, ip): decision for customer, stream, ip, decision in decisions}
        assert set(last.values()) == {"send"}


def test_every_change_is_shown_before_what_follows_from_it(stories):
    for story, _ in stories:
        fired = [each["event"] for each in story
                 if (each.get("state") == "firing" and each["old"] != "recovering") or each.get("kind") == "firing"]
        assert fired == ["incident", "notification"] * 2


CHANCE = ("of", "incident", "key")  # ids drawn anew in each run
# and what names the day, the port, or an id in a text
CLOCK = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC|http://\S+|\b(?:sus|inc)-[0-9a-z]{10}\b")


def retold(story):
    """The story without what must differ: when it began, the ids drawn, the ports."""
    began = datetime.fromisoformat(story[0]["at"])
    names = {}
    for each in story:
        seconds = (datetime.fromisoformat(each["at"]) - began).total_seconds()
        ids = {key: names.setdefault(each[key], len(names)) for key in CHANCE if key in each}
        yield {key: CLOCK.sub("", value) if isinstance(value, str) else value for key, value in each.items()} | ids | {"at": seconds}


def test_the_same_seed_gives_the_same_story_event_by_event_and_second_by_second(stories):
    (first, _), (second, _) = stories
    assert list(retold(first)) == list(retold(second))
