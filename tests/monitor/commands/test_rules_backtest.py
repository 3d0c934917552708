"""`vigie rules backtest`: the rules on what a database holds, on every engine."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from collectors.observation import Batch, Observation, Subject
from monitor.cli import cli
from monitor.config.settings import Retention
from monitor.database.tables import Silence
from monitor.intake.consequences import open_store

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
SINCE, UNTIL = ("--since", "2026-01-05T12:00Z"), ("--until", "2026-01-07T12:00Z")
NEWS = Subject(customer="bolt", stream="news", provider="yahoo")
RATE = {
    "id": "rate", "condition": "ratio", "signal": "complaints", "by": ["customer", "stream"], "window": "6h", "above": "0.3%",
    "clear": {"below": "0.1%"}, "effect": {"action": "hold", "scope": ["customer", "stream"], "at_most": "2h"},
}
LISTED = {"id": "listed", "condition": "listing"}
SHADOW = {**RATE, "id": "shadowed", "mode": "shadow"}
CAMPAIGN = {
    "id": "campaign", "condition": "excess", "of": "campaign", "signal": "complaints",
    "effect": {"action": "hold", "scope": ["customer", "campaign"], "at_most": "6h"},
}


@pytest.fixture
def store(database_url):
    with closing(open_store(database_url)) as opened:
        yield opened


@pytest.fixture
def vigie(tmp_path, database_url):
    """Run `vigie rules backtest` against a configuration of its own."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps([RATE, LISTED, SHADOW, CAMPAIGN]))
    path = tmp_path / "vigie.yaml"
    path.write_text(json.dumps({
        "engine": {"url": database_url}, "rules": [str(rules)],
        "receivers": [{"name": "chat", "url": "json://127.0.0.1:9/"}, {"name": "acme", "url": "json://127.0.0.1:9/", "customers": ["acme"]}],
    }))

    def call(*arguments, code=0):
        result = CliRunner(env={"VIGIE_CONFIG": str(path)}).invoke(cli, ["rules", "backtest", *map(str, arguments)])
        assert result.exit_code == code, result.output
        return result

    return call


def records(result, event):
    return [each for each in map(json.loads, result.stdout.splitlines()) if each["event"] == event]


def mail(store, *hourly, subject=NEWS):
    """So many complaints of 5,000 mails, each hour from the beginning on."""
    for hour, complaints in enumerate(hourly):
        at = START + timedelta(hours=hour, minutes=5)
        observations = [Observation("delivered", subject, at, 5000.0)]
        if complaints:
            observations.append(Observation("complaint", subject, at, float(complaints)))
        store.intake([Batch("mta", f"{subject.stream}-{hour}", at, observations=tuple(observations))], at)


def test_episodes_messages_and_mail_held(vigie, store):
    mail(store, 0, 60, *[0] * 12, 60)
    result = vigie(*SINCE, *UNTIL, "--rule", "rate", "--json")
    first, second = records(result, "episode")
    assert (first["rule"], first["scope"], first["from"]) == ("rate", {"customer": "bolt", "stream": "news"}, "2026-01-05T13:05:00Z")
    assert first["until"] is not None
    assert first["peak"] == pytest.approx(60 / 10_000)
    # 60 of six hours' mail are no breach; mail has ended by then, and they are once that is out of the window
    assert (second["from"], second["until"], second["peak"]) == ("2026-01-06T05:10:00Z", None, pytest.approx(60 / 15_000))
    (rule,) = records(result, "rule")
    assert (rule["episodes"], rule["messages"], rule["holds"]) == (2, 3, 2)
    assert rule["mail_held"] == 5_000  # of 14:05: the first hold is from 13:05 to 15:05, and what it is put on for had gone


def test_nothing_fires_where_nothing_was_wrong(vigie, store):
    mail(store, *[1] * 12)
    result = vigie(*SINCE, *UNTIL)
    assert result.stdout.startswith("configured, all: 0 episodes, 0 messages, 0 holds, mail held 0")
    assert "not judged (configured), of condition listing, which counts alone do not say: listed" in result.stderr
    assert "not judged (configured), in shadow: nobody is notified and nothing held: shadowed" in result.stderr
    assert "24 facts; not modelled: acknowledgements" in result.stderr


def test_a_silence_of_then_keeps_messages_back_until_it_ends_and_whoever_hears_of_others_gets_none(vigie, store):
    mail(store, 0, 60, *[0] * 12)
    loud = records(vigie(*SINCE, *UNTIL, "--rule", "rate", "--json"), "total")[0]
    assert (loud["episodes"], loud["messages"]) == (1, 2)  # that it fires and that it ended, to chat; none to acme's
    with store.session() as session:
        session.add(Silence(id="sil-1", matchers={"customer": "bolt"}, patterns=[], actor="olga", reason="known",
                            since=START, until=START + timedelta(days=3)))
    silent = records(vigie(*SINCE, *UNTIL, "--rule", "rate", "--json"), "total")[0]
    assert (silent["episodes"], silent["messages"]) == (1, 0)


def test_other_rules_are_compared_episode_by_episode(vigie, store, tmp_path):
    mail(store, 0, 60, 0, 0)
    other = tmp_path / "other.yaml"
    other.write_text(json.dumps([{**RATE, "above": "5%", "clear": {"below": "4%"}}, {**RATE, "id": "wider", "keep_firing_for": "3h"}]))
    result = vigie(*SINCE, *UNTIL, "--against", other, "--json")
    changes = {(each["change"], (each["configured"] or each["against"])["rule"]) for each in records(result, "difference")}
    assert {("gone", "rate"), ("added", "wider")} <= changes
    totals = {each["rules"]: each for each in records(result, "total")}
    assert set(totals) == {"configured", "against"}
    shown = vigie(*SINCE, *UNTIL, "--against", other, "--rule", "wider").stdout
    assert "added    by " in shown
    assert "configured, all: 0 episodes" in shown


def test_false_holds_are_expected_where_the_rule_says_how_often(vigie, store):
    mail(store, *[250] * 12, subject=NEWS._replace(campaign="spring"))
    rules = {each["rule"]: each for each in records(vigie(*SINCE, *UNTIL, "--json"), "rule")}
    assert rules["campaign"]["false_holds_a_month"] == 0.02  # of one stream
    assert rules["rate"]["false_holds_a_month"] is None
    assert "false holds expected a month not known" in vigie(*SINCE, *UNTIL, "--rule", "rate").stdout


@pytest.mark.parametrize(("arguments", "words"), [
    (("--since", "2026-01-07T12:00Z", "--until", "2026-01-06T12:00Z"), "--since 2026-01-07T12:00:00Z is not before --until 2026-01-06T12:00:00Z"),
    ((*SINCE, "--rule", "rat"), "--rule: no rule 'rat' — did you mean 'rate'?"),
    ((*SINCE, "--rule", "listed"), "--rule: listed cannot be judged by a backtest: it is of condition listing"),
    ((*SINCE, "--against", "nowhere.yaml"), "nowhere.yaml"),
    ((), "--since"),
])  # fmt: skip
def test_bad_usage_ends_with_2_and_says_what_to_do(vigie, arguments, words):
    result = vigie(*arguments, code=2)
    assert words in result.stderr
    assert result.stdout == ""


def test_a_wrong_file_to_compare_with_is_named_with_its_line(vigie, tmp_path):
    (tmp_path / "other.yaml").write_text("- {id: a, condition: ratio, signal: complains}\n")
    result = vigie(*SINCE, "--against", tmp_path / "other.yaml", code=2)
    assert "other.yaml:1:" in result.stderr


def test_history_of_which_only_hours_and_days_are_left_is_refused(vigie, store):
    mail(store, 0, 60)
    store.prune(START + timedelta(days=120), Retention(readings=timedelta(days=30)))
    result = vigie(*SINCE, *UNTIL, code=2)
    assert "are gone (retention.readings)" in result.stderr
    assert "begin later: --since 2026-0" in result.stderr


def test_the_picture_is_a_page_of_both_rule_files(vigie, store, tmp_path):
    mail(store, 1, 1, 60, 60, 60, 0, 0, 0, 0, 0, 0, 0, 0)
    other = tmp_path / "other.yaml"
    other.write_text(json.dumps([{**RATE, "above": "0.1%", "clear": {"below": "0.05%"}}]))
    page = tmp_path / "backtest.html"
    vigie(*SINCE, *UNTIL, "--against", other, "--picture", page)
    text = page.read_text("utf-8")
    assert "rate: customer bolt, stream news" in text
    assert "configured: 2026-01-05" in text
    assert "against: 2026-01-05" in text
    assert "there is no folder" in vigie(*SINCE, "--picture", tmp_path / "none" / "x.html", code=2).output
