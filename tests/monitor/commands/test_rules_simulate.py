"""`vigie rules simulate`: the rules on a file of facts, without a database."""

import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from monitor.cli import cli
from tests.monitor.rules.detectors.worlds import DAY, Complaints, Stream, slots

START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
LABELS = {"customer": "acme", "stream": "news", "recipient_domain": "gmail.com"}


def at(seconds):
    return datetime.fromtimestamp(START + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def facts(*, bad_from=None, days=10, lag=False, **labels):
    rng = random.Random(4)
    complaints = Complaints(rng, lag=lag)
    mean = lambda when: 0.006 if bad_from is not None and when >= bad_from else 0.0008  # noqa: E731
    for slot in slots(Stream(10_000, 0, mean, lag=lag), rng, days):
        for known_at, sent_at, campaign in complaints.known(slot.at):
            yield {"known_at": at(known_at), "at": at(sent_at), "outcome": "complaint", "campaign": campaign, **LABELS, **labels}
        yield {"at": at(slot.at), "outcome": "delivered", "count": slot.count, "campaign": slot.campaign, **LABELS, **labels}
        complaints.sent(slot.at, slot.campaign, slot.count, slot.rate)


@pytest.fixture
def simulate(tmp_path):
    def run(lines, *options):
        file = tmp_path / "facts.jsonl"
        file.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in lines))
        result = CliRunner().invoke(cli, ["rules", "simulate", str(file), "--json", *options])
        return [json.loads(line) for line in result.stdout.splitlines()], result

    return run


def of(events, rule, event="incident"):
    return [each for each in events if each["rule"] == rule and each["event"] == event]


def test_a_healthy_stream_raises_nothing(simulate):
    events, result = simulate(facts())
    assert (events, result.exit_code) == ([], 0)


def test_a_stream_that_turns_bad_is_found_within_hours_and_held_with_a_probe(simulate):
    events, _ = simulate(facts(bad_from=9 * DAY))
    first = of(events, "complaint-rate")[0]
    assert first["state"] == "firing"
    assert at(9 * DAY) < first["at"] < at(9.4 * DAY)
    assert first["scope"] == {"customer": "acme", "stream": "news", "provider": "gmail"}
    assert first["evidence"]["numerator"] >= 6
    hold = of(events, "complaint-rate", "suspension")[0]
    assert {name: hold[name] for name in ("effect", "scope", "severity", "rate_per_hour", "probe", "lifted")} == {
        "effect": "hold", "scope": first["scope"], "severity": "critical", "rate_per_hour": None, "probe": 0.05, "lifted": False,
    }  # fmt: skip
    assert first["at"] == hold["at"] < hold["until"]


def test_the_same_facts_give_the_same_answer_byte_for_byte(simulate):
    lines = list(facts(bad_from=8 * DAY, lag=True))
    assert simulate(lines)[1].stdout == simulate(lines)[1].stdout != ""


def test_what_is_known_later_changes_nothing_before(simulate):
    lines = list(facts(bad_from=8 * DAY))
    whole, part = simulate(lines)[1].stdout, simulate(lines[:-200])[1].stdout
    cut = json.loads(json.dumps(lines[-200]))["at"]
    before = [line for line in part.splitlines() if json.loads(line)["at"] < cut]
    assert before == whole.splitlines()[: len(before)]
    assert before


def test_lines_that_cannot_be_read_are_named_and_the_others_count(simulate):
    lines = [*facts(bad_from=9 * DAY), "{", {"at": "yesterday", "outcome": "delivered"}, {"at": at(0), "outcome": "opened"},
             {"at": at(9), "known_at": at(1), "outcome": "delivered"}]
    number = len(lines) - 3
    events, result = simulate(lines)
    assert result.exit_code == 2
    assert of(events, "complaint-rate")
    assert f"line {number}: not JSON" in result.stderr
    assert f"line {number + 1}: at: ISO 8601 with a zone" in result.stderr
    assert f"line {number + 2}: outcome: one of" in result.stderr
    assert f"line {number + 3}: known_at: earlier than at" in result.stderr
    assert "4 lines could not be read" in result.stderr


def test_transactional_streams_of_an_inventory_are_not_held(simulate, tmp_path):
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text("customers: [{id: acme, name: Acme, streams: [{name: news, kind: transactional}]}]\n")
    events, _ = simulate(facts(bad_from=9 * DAY), "--inventory", str(inventory))
    assert of(events, "complaint-rate")[0]["state"] == "firing"
    assert not of(events, "complaint-rate", "suspension")


def test_rules_of_ones_own_are_judged_by_the_same_conditions(simulate, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(
        "- {id: complaint-share, condition: ratio, signal: complaints, above: 0.3%, clear: {below: 0.1%}}\n"
        "- {id: dead, condition: ratio, signal: invalid_addresses, by: [customer], above: 5%, clear: {below: 2%}}\n"
    )
    events, _ = simulate(facts(bad_from=8 * DAY), "--rules", str(own))
    assert {each["rule"] for each in events} == {"complaint-share"}
    assert events[0]["summary"].startswith("complaint rate 0.")


def test_a_rule_that_is_wrong_names_file_and_line(simulate, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("- {id: a, condition: excess, signal: complaints, healthy: 1%}\n")
    _, result = simulate([], "--rules", str(own))
    assert result.exit_code == 2
    assert "own.yaml:1:" in result.stderr
    assert "healthy must be lower than above" in result.stderr


def test_whoever_plays_the_world_through_a_pipe_is_answered_before_the_next_line():
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    with subprocess.Popen([sys.executable, "-m", "monitor", "rules", "simulate", "-", "--json"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, env=environment, text=True) as player:
        for line in facts(bad_from=9 * DAY):
            player.stdin.write(json.dumps(line) + "\n")
        player.stdin.write(json.dumps({"known_at": at(10 * DAY), "judge": True}) + "\n")
        player.stdin.flush()
        events = [json.loads(player.stdout.readline())]
        while events[-1]["event"] != "judged":
            events.append(json.loads(player.stdout.readline()))
        assert events[-1] == {"event": "judged", "at": at(10 * DAY)}
        assert any(each["event"] == "suspension" for each in events)
        player.stdin.close()
        assert player.wait() == 0


def test_facts_that_know_no_campaign_or_stream_hold_no_wrong_stream(simulate):
    lines = list(facts(bad_from=9 * DAY))
    for line in lines:
        if line["outcome"] == "complaint":
            del line["stream"]
    events, _ = simulate(lines)
    assert of(events, "complaint-rate")[0]["scope"] == {"customer": "acme", "provider": "gmail"}
    assert not [each for each in events if each["event"] == "suspension"]


def test_a_hold_ends_in_time_though_all_facts_come_on_the_step(simulate):
    lines = list(facts(bad_from=9 * DAY))
    held = of(simulate(lines)[0], "complaint-rate", "suspension")[0]
    quiet = [line for line in lines if line.get("known_at", line["at"]) <= held["at"]]
    quiet += [{"at": at(DAY * 9 + 600 * number), "outcome": "delivered", "count": 5, **LABELS} for number in range(144, 300)]
    ended = next(each for each in simulate(quiet)[0] if each.get("id") == held["id"] and each["lifted"])
    assert ended["at"] == held["until"]
