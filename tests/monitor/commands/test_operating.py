import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from monitor.cli import cli
from monitor.database.tables import Incident
from tests.monitor.api.running import running

NOW = datetime.now(UTC)


@pytest.fixture
def vigie(tmp_path, database_url):
    """Run `vigie …` against a configuration of its own."""
    path = tmp_path / "vigie.yaml"
    path.write_text(json.dumps({"engine": {"url": database_url}}))

    def call(*arguments, stdin=None, code=0):
        result = CliRunner(env={"VIGIE_CONFIG": str(path)}).invoke(cli, [str(each) for each in arguments], input=stdin)
        assert result.exit_code == code, result.output
        return result

    return call


def rows(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_gate_is_asked_held_slowed_and_released_from_the_command_line(vigie):
    command = ("gate", "ask", "--customer", "acme", "--recipient-domain", "gmail.com")
    assert rows(vigie(*command, "--json"))[0]["decision"] == "send"
    (suspension,) = rows(vigie("hold", "--customer", "acme", "--provider", "Gmail", "--reason", "a test", "--until", "2h", "--json"))
    (decision,) = rows(vigie(*command, "--json", code=1))
    assert (decision["decision"], decision["reasons"][0]["text"]) == ("hold", "a test")
    assert suspension["scope"] == {"customer": "acme", "provider": "gmail"}
    text = vigie(*command, code=1).stdout
    assert text.startswith("hold; ask again in")
    assert "a test" in text
    vigie("lift", suspension["id"], "--reason", "repaired")
    assert "was lifted already, by" in vigie("lift", suspension["id"], "--reason", "repaired").stdout
    vigie("slow", "--customer", "acme", "--rate-per-hour", 100, "--reason", "gently")
    assert vigie(*command, code=1).stdout.startswith("slow, at most 100 an hour")


def test_a_change_needs_a_reason_and_a_scope_somebody_could_mean(vigie):
    assert "--reason" in vigie("hold", "--customer", "acme", code=2).stderr
    assert "empty scope" in vigie("hold", "--reason", "x", code=2).stderr
    assert "192.0.2.999" in vigie("hold", "--ip", "192.0.2.999", "--reason", "x", code=2).stderr
    assert "stream" in vigie("hold", "--stream", "news", "--reason", "x", code=2).stderr
    assert "no suspension" in vigie("lift", "sus-nope", "--reason", "x", code=2).stderr
    assert "no incident" in vigie("ack", "inc-nope", "--reason", "x", code=2).stderr
    vigie("slow", "--customer", "acme", "--reason", "x", code=2)
    vigie("hold", "--customer", "acme", "--reason", "x", "--until", "soon", code=2)
    vigie("gate", "ask", "--customer", "a", "--provider", "x", "--recipient-domain", "y", code=2)


def test_an_incident_is_acknowledged(vigie, store):
    with store.session() as session:
        session.add(Incident(id="inc-1", rule="r", subject_key="s", open_key="s", state="firing", severity="info",
                             started_at=NOW, judged_at=NOW))
    (row,) = rows(vigie("ack", "inc-1", "--reason", "on it", "--json"))
    assert row["ack_reason"] == "on it"
    assert row["acked_by"]


def test_a_silence_is_made_and_ended(vigie):
    (row,) = rows(vigie("silence", "--match", "rule=ip-listed", "--match", "customer=acme", "--until", "1h",
                        "--reason", "move", "--json"))
    assert row["matchers"] == {"rule": "ip-listed", "customer": "acme"}
    assert datetime.fromisoformat(row["until"]) - NOW > timedelta(minutes=55)
    assert "has ended" in vigie("silence", "--end", row["id"], "--reason", "done").stdout
    nothing = vigie("silence", "--match", "rule=~x|y", "--preview", "--reason", "x")
    assert (nothing.stdout, nothing.stderr) == ("", "no open incident matches\n")
    assert "look-around" in vigie("silence", "--match", "rule=~(?=x)", "--until", "1h", "--reason", "x", code=2).stderr
    vigie("silence", "--match", "rule", "--until", "1h", "--reason", "x", code=2)
    vigie("silence", "--until", "1h", "--reason", "x", code=2)


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(vigie, tmp_path):
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text("customers: [{id: acme, name: Acme}]")
    vigie("apply", inventory)
    key = vigie("keys", "create", "--name", "mta", "--scope", "gate", "--customer", "acme").stdout.strip()
    _, key_id, secret = key.split("_")
    listed = vigie("keys", "list")
    assert key_id in listed.stdout
    assert secret not in listed.output
    assert "sha256" not in vigie("keys", "list", "--json").output
    assert vigie("keys", "rotate", key_id, "--overlap", "2h").stdout.startswith("vigie_")
    assert ", ends 20" in vigie("keys", "list").stdout
    vigie("keys", "rotate", "nope", code=2)
    vigie("keys", "revoke", key_id)
    assert rows(vigie("keys", "list", "--json"))[0]["revoked_at"]
    vigie("keys", "revoke", "nope", code=2)
    vigie("keys", "create", "--name", "x", "--scope", "everything", code=2)
    assert "empty" in vigie("keys", "create", "--name", "x", "--scope", "gate", "--customer", "", code=2).stderr
    assert "no customer bolt" in vigie("keys", "create", "--name", "x", "--scope", "gate", "--customer", "bolt", code=2).stderr
    vigie("keys", "create", "--name", "x", "--scope", "admin", "--customer", "acme", code=2)


def test_a_key_may_be_made_for_a_customer_the_configured_inventory_will_bring_in(tmp_path):
    (tmp_path / "inventory.yaml").write_text("customers: [{id: acme}]")
    path = tmp_path / "vigie.yaml"
    path.write_text(json.dumps({"inventory": "inventory.yaml"}))

    def made(customer):
        arguments = ["keys", "create", "--name", "x", "--scope", "gate", "--customer", customer, "--config", str(path)]
        return CliRunner().invoke(cli, arguments).exit_code

    assert (made("acme"), made("bolt")) == (0, 2)


def test_events_of_a_file_count_once_and_can_be_traced(vigie, tmp_path):
    lines = [{"at": NOW.isoformat(), "outcome": "sent", "customer": "acme", "recipient": "ann@gmail.com"}] * 3
    lines += [{"at": NOW.isoformat(), "outcome": "bounced", "customer": "acme", "recipient": "Bob@example.org",
               "campaign": "spring", "ip": "2001:db8::7"}, {"x": 1}]
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(map(json.dumps, lines)))
    first = vigie("events", "ingest", "--format", "generic", path, "--json")
    assert rows(first) == [
        {"outcome": "delivered", "messages": 3},
        {"outcome": "hard_bounce", "messages": 1},
        {"accepted": 4, "rejected": 1, "repeated": 0},
    ]
    assert "line 5: at: missing" in first.stderr
    again = vigie("events", "ingest", "--format", "generic", stdin=path.read_text())
    assert "4 accepted, 1 rejected, 4 repeated" in again.stdout
    (trace,) = rows(vigie("trace", "--recipient", "bob@example.org", "--since", "1h", "--json"))
    assert (trace["kind"], trace["customer"], trace["provider"]) == ("bounce", "acme", "other")
    for named in (("--customer", "acme"), ("--campaign", "spring"), ("--ip", "2001:DB8:0::7")):
        assert "bounce" in vigie("trace", *named).stdout
    for named in (("--customer", "bolt"), ("--campaign", "autumn"), ("--ip", "192.0.2.1"), ("--customer", "bolt", "--campaign", "spring")):
        assert "nothing is known" in vigie("trace", *named).stderr
    vigie("trace", code=2)
    assert "--ip: 'nowhere'" in vigie("trace", "--ip", "nowhere", code=2).stderr


def test_a_file_of_nothing_but_rubbish_is_a_finding(vigie):
    vigie("events", "ingest", "--format", "generic", stdin="rubbish\n", code=1)


def test_a_running_service_is_asked_over_http(vigie, store):
    with running(store) as service:
        key = service.client("gate").headers["Authorization"].removeprefix("Bearer ")
        command = ("gate", "ask", "--customer", "acme", "--url", service.url)
        assert rows(vigie(*command, "--key", key, "--json"))[0]["decision"] == "send"
        assert "refuses" in vigie(*command, "--key", "vigie_no_body", code=2).stderr
        vigie(*command, code=2)
    assert "does not answer" in vigie(*command, "--key", key, code=3).stderr


def test_a_configuration_that_is_not_there_or_a_database_that_is_away_is_said_plainly(tmp_path):
    away = tmp_path / "away.yaml"
    away.write_text("engine: {url: 'postgresql://nobody@127.0.0.1:1/none'}")
    runner = CliRunner()
    assert runner.invoke(cli, ["keys", "list", "--config", str(tmp_path / "none.yaml")]).exit_code == 2
    result = runner.invoke(cli, ["keys", "list", "--config", str(away)])
    assert (result.exit_code, "database" in result.stderr) == (3, True)


def test_a_key_may_be_made_for_a_customer_the_configured_inventory_brings_in(tmp_path, database_url):
    (tmp_path / "inventory.yaml").write_text("customers: [{id: acme, name: Acme}]\n")
    config = tmp_path / "own.yaml"
    config.write_text(json.dumps({"engine": {"url": database_url}, "inventory": ["inventory.yaml"]}))

    def create(customer):
        command = ["keys", "create", "--name", "x", "--scope", "gate", "--customer", customer, "--config", str(config)]
        return CliRunner().invoke(cli, command)

    assert create("acme").exit_code == 0
    assert (create("acmee").exit_code, create("").exit_code) == (2, 2)
