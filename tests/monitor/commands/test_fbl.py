import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from collectors.observation import Batch, Observation, Subject
from monitor.cli import cli
from monitor.database.tables import ReportMailbox, SendingDomain
from monitor.judging.run import Judge
from monitor.rules.conditions.table import RULE

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
LOOPS = RULE.validate_python({"id": "fbl-silence", "condition": "shortfall", "signal": "feedback_reports"})


@pytest.fixture
def vigie(tmp_path, database_url):
    """Run `vigie fbl …` against a configuration of its own."""
    path = tmp_path / "vigie.yaml"
    path.write_text(json.dumps({"engine": {"url": database_url}}))

    def call(*arguments, code=0):
        result = CliRunner(env={"VIGIE_CONFIG": str(path)}).invoke(cli, ["fbl", *map(str, arguments)])
        assert result.exit_code == code, result.output
        return result

    return call


def rows(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def count(store, *counts):
    """Of (measure, days ago, value) at Yahoo."""
    about = Subject("acme", "news", domain="acme.example.com", provider="yahoo")
    seen = [Observation(measure, about, NOW - ago * DAY, float(value)) for measure, ago, value in counts]
    seen.append(Observation("mailbox_read", Subject(mailbox="fbl"), NOW, 1.0))
    store.intake([Batch("test", "k", NOW, tuple(seen))], NOW)
    store.roll_up()


def test_an_enrolment_is_set_listed_and_forgotten(vigie):
    (row,) = rows(vigie("set", "hotmail", "ip", "192.0.2.0/24", "requested", "--note", "ticket 4711", "--reason", "new range",
                        "--json"))
    assert (row["provider"], row["state"], row["note"], row["active_at"]) == ("microsoft", "requested", "ticket 4711", None)
    vigie("set", "microsoft", "ip", "192.0.2.0/24", "active", "--ends-at", "365d", "--reason", "they agreed")
    vigie("set", "zoho", "account", "account", "wanted", "--reason", "asked for by Acme")
    assert [each["provider"] for each in rows(vigie("list", "--json"))] == ["microsoft", "zoho"]
    assert [each["provider"] for each in rows(vigie("list", "--state", "active", "--json"))] == ["microsoft"]
    text = vigie("list", "--provider", "microsoft").stdout
    assert text.startswith("microsoft  ip 192.0.2.0/24: active, until ")
    assert "forgotten" in vigie("set", "zoho", "account", "account", "none", "--reason", "a mistake").stdout
    assert len(rows(vigie("list", "--json"))) == 1


def test_what_nobody_could_mean_is_refused_with_its_cause(vigie):
    assert "cannot become lapsed" in vigie("set", "yahoo", "domain", "a.example", "lapsed", "--reason", "x", code=2).stderr
    assert "enrols by domain" in vigie("set", "yahoo", "ip", "192.0.2.1", "wanted", "--reason", "x", code=2).stderr
    assert "no enrolment" in vigie("set", "yahoo", "domain", "a.example", "none", "--reason", "x", code=2).stderr
    assert "--reason" in vigie("set", "yahoo", "domain", "a.example", "wanted", code=2).stderr
    vigie("set", "yahoo", "planet", "mars", "wanted", "--reason", "x", code=2)


def test_gaps_are_a_finding_until_they_are_closed(vigie, store):
    with store.session() as session:
        session.add(SendingDomain(domain="acme.example.com"))
    count(store, ("delivered", 1, 1_200_000))
    text = vigie("gaps", code=1).stdout
    assert text.startswith("1 domain sends to Yahoo, AOL (1,200,000 a week) without its feedback loop\n  enrol these domains at")
    assert "nobody's: acme.example.com" in text
    (gap,) = rows(vigie("gaps", "--json", code=1))
    assert (gap["gap"], gap["keyed_by"], gap["groups"][0]["subjects"]) == (True, "domain", ["acme.example.com"])
    vigie("set", "yahoo", "domain", "acme.example.com", "active", "--reason", "done")
    assert vigie("gaps").stdout == ""


def test_a_silent_loop_is_a_finding(vigie, store):
    with store.session() as session:
        session.add(ReportMailbox(name="fbl", host="127.0.0.1", username="u", secret="s"))
    assert "no rule about feedback loops has been judged yet" in vigie("silence", code=3).stderr
    Judge(store, [LOOPS]).judge_all(NOW - DAY)
    assert vigie("silence").stdout == ""
    count(store, *(("delivered", ago, 10_000) for ago in range(20)), *(("report", ago, 40) for ago in range(5, 20)))
    Judge(store, [LOOPS]).judge_all(NOW + timedelta(seconds=1))
    assert "no reports in 3 days, expected 40 a day" in vigie("silence", code=1).stdout
    (row,) = rows(vigie("silence", "--json", code=1))
    assert (row["provider"], row["verdict"], row["reports"], row["expected_a_day"]) == ("yahoo", "breach", 0, 40)
