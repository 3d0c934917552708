"""`vigie gate explain` and `simulate`: why one mail is held, and what would have been held."""

import json
import shutil

import pytest
from click.testing import CliRunner

from monitor.cli import cli


@pytest.fixture
def vigie(tmp_path, migrated_file):
    path = tmp_path / "vigie.yaml"
    database = shutil.copy(migrated_file, tmp_path / "vigie.sqlite")
    path.write_text(json.dumps({"engine": {"url": f"sqlite:///{database}"}}))

    def call(*arguments, stdin=None, code=0):
        result = CliRunner(env={"VIGIE_CONFIG": str(path)}).invoke(cli, [str(each) for each in arguments], input=stdin)
        assert result.exit_code == code, result.output
        return result

    return call


def rows(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def event(**fields):
    return json.dumps({"at": "2026-01-02T03:04:05Z", "outcome": "delivered", **fields})


KUMOMTA = json.dumps({
    "type": "Delivery", "id": "1d98076abbbc11ed940250ebf67f93bd", "sender": "news@acme.example", "recipient": "ann@gmail.com",
    "queue": "acme@gmail.com", "site": "mx1->gmail.com@smtp_client", "size": 1047,
    "response": {"code": 250, "enhanced_code": None, "content": "OK", "command": None},
    "peer_address": {"name": "mx.gmail.com", "addr": "192.0.2.1"}, "timestamp": 1767323045, "created": 1767323044,
    "num_attempts": 0, "bounce_classification": "Uncategorized", "egress_pool": "shared", "egress_source": "mx1",
    "feedback_report": None, "meta": {}, "headers": {}, "nodeid": "557f3ad4-2c8c-11ee-976e-782d7e12e173",
})
RECORDS = "\n".join([
    event(customer="acme", stream="news", recipient_domain="gmail.com", count=100),
    event(customer="acme", stream="news", recipient_domain="orange.fr", count=10),
    event(customer="bolt", ip="192.0.2.7", recipient_domain="gmail.com", outcome="blocked", count=7),
    event(customer="acme", recipient_domain="gmail.com", outcome="complaint"),
])


def test_explain_says_what_applies_why_the_rest_does_not_and_who_lifts_it(vigie):
    (held,) = rows(vigie("hold", "--customer", "acme", "--provider", "gmail", "--reason", "a bought list", "--json"))
    vigie("hold", "--customer", "bolt", "--reason", "unpaid")
    command = ("gate", "explain", "--customer", "acme", "--recipient-domain", "gmail.com")
    (answer,) = rows(vigie(*command, "--json"))
    assert (answer["decision"], answer["considered"], answer["applying"], answer["left_out"]) == ("hold", 2, 1, 0)
    first, second = answer["restrictions"]
    assert (first["id"], first["applies"], first["text"]) == (held["id"], True, "a bought list")
    assert f"vigie lift {held['id']}" in first["who_lifts"][0]
    assert (second["applies"], second["why"]) == (False, "the mail is of another customer than bolt")
    text = vigie(*command).stdout
    assert text.startswith("hold: 1 of 2 restrictions in force apply")
    assert "a bought list" in text
    assert "who" not in vigie("gate", "explain", "--customer", "carl").stdout
    vigie("gate", "explain", "--customer", "acme", "--ip", "192.0.2.999", code=2)


def test_simulate_counts_what_would_have_been_held_by_what_is_in_force_and_what_is_tried(vigie):
    vigie("slow", "--customer", "bolt", "--rate-per-hour", 5, "--reason", "gently")
    command = ("gate", "simulate", "-", "--format", "generic")
    *_, total = rows(vigie(*command, "--json", stdin=RECORDS))
    assert total == {"messages": 117, "send": 110, "slow": 7, "hold": 0, "rejected": 0}
    tried, slowed, total = rows(vigie(*command, "--hold", "customer=acme,provider=gmail.com", "--json", stdin=RECORDS))
    assert (tried["messages"], tried["alone"], tried["tried"]) == (100, 100, True)
    assert (slowed["messages"], slowed["tried"]) == (7, False)
    assert (total["hold"], total["slow"], total["send"]) == (100, 7, 10)
    both = vigie(*command, "--hold", "customer=acme", "--hold", "provider=gmail", "--only-tried", stdin=RECORDS).stdout
    assert "of 117 messages 117 would have been held, 0 slowed, 0 sent" in both
    assert "10 by this alone" in both
    assert vigie("gate", "ask", "--customer", "acme").stdout.startswith("send"), "nothing is held for being tried"


def test_simulate_says_which_lines_it_cannot_read_and_which_scopes(vigie):
    command = ("gate", "simulate", "-", "--format", "generic")
    result = vigie(*command, "--json", stdin=RECORDS + "\nrubbish\n", code=2)
    assert "line 5" in result.stderr
    assert rows(result)[-1]["messages"] == 117
    assert "customer" in vigie(*command, "--hold", "planet=mars", stdin="", code=2).stderr
    assert "192.0.2.999" in vigie(*command, "--hold", "ip=192.0.2.999", stdin="", code=2).stderr
    (total,) = rows(vigie("gate", "simulate", "-", "--format", "kumomta", "--json", stdin=KUMOMTA))
    assert (total["messages"], total["send"], total["rejected"]) == (1, 1, 0)
    held, total = rows(vigie("gate", "simulate", "-", "--format", "kumomta", "--hold", "customer=acme", "--json", stdin=KUMOMTA))
    assert (held["messages"], total["hold"]) == (1, 1)
