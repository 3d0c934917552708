import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from collectors.observation import Batch, Observation, Subject
from monitor.cli import cli
from monitor.judging.run import Judge
from monitor.rules.conditions.table import RULE
from monitor.rules.load import SHIPPED

NOW = datetime.now(UTC)
RATE = {"id": "rate", "condition": "ratio", "signal": "complaints", "above": "0.3%", "clear": {"below": "0.1%"}}


@pytest.fixture
def vigie(tmp_path, database_url):
    """Run `vigie rules …` against a configuration of its own."""
    path = tmp_path / "vigie.yaml"
    path.write_text(json.dumps({"engine": {"url": database_url}}))

    def call(*arguments, code=0):
        result = CliRunner(env={"VIGIE_CONFIG": str(path)}).invoke(cli, ["rules", *map(str, arguments)])
        assert result.exit_code == code, result.output
        return result

    return call


# ── check ──


def test_the_shipped_rules_are_right():
    result = CliRunner().invoke(cli, ["rules", "check", str(SHIPPED)])
    assert (result.exit_code, result.stdout.startswith("ok: ")) == (0, True), result.output


def test_every_mistake_of_every_file_is_named_with_its_line(tmp_path):
    (tmp_path / "a.yaml").write_text("- {id: a, condition: listing, lists: [spamhaus-zn]}\n- {id: b, condition: ratio, signal: complains}\n")
    (tmp_path / "b.yaml").write_text("- {id: a, condition: listing}\n")
    alone = CliRunner().invoke(cli, ["rules", "check", str(tmp_path / "a.yaml")])
    assert (alone.exit_code, alone.stdout) == (2, "")
    assert f"{tmp_path}/a.yaml:2: [1].signal: no signal 'complains' — did you mean 'complaints'?" in alone.stderr
    both = CliRunner().invoke(cli, ["rules", "check", "--json", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")])
    mistakes = [json.loads(line) for line in both.stdout.splitlines()]
    assert (both.exit_code, {each["line"] for each in mistakes}) == (2, {1, 2})
    assert any("is taken by the rule at" in each["message"] for each in mistakes)


@pytest.mark.parametrize("text", ["", "rules: 3\n", "- 3\n", "{}\n", "- {id: a}\n", "- {id: a, condition: [1]}\n", "- {id: a, condition: ratio, signal: [2]}\n"])
def test_a_file_that_holds_no_rules_is_refused_without_a_trace(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    result = CliRunner().invoke(cli, ["rules", "check", str(tmp_path / "a.yaml")])
    assert (result.exit_code, result.exception.__class__) == (2, SystemExit)
    assert "a.yaml" in result.stderr


# ── runbook ──


def test_the_runbook_of_a_shipped_rule_is_printed():
    result = CliRunner().invoke(cli, ["rules", "runbook", "blocks"])
    assert (result.exit_code, result.stdout.startswith("# blocks: ")) == (0, True)
    wrong = CliRunner().invoke(cli, ["rules", "runbook", "block"])
    assert (wrong.exit_code, "no runbook of 'block' — did you mean 'blocks'?" in wrong.stderr) == (2, True)


# ── show ──


def test_what_the_rules_say_is_shown_as_it_was_judged(vigie, store):
    assert "no rule has been judged yet" in vigie("show", code=3).stderr
    seen = [Observation(measure, Subject(customer, "news", provider="gmail"), NOW, value) for measure, customer, value in
            (("delivered", "acme", 20_000.0), ("complaint", "acme", 90.0), ("delivered", "bolt", 10.0))]
    store.intake([Batch("test", "k", NOW, tuple(seen))], NOW)
    Judge(store, [RULE.validate_python({**RATE, "mode": "shadow"})]).judge_all(NOW)
    assert vigie("show").stdout == "rate (in shadow): 1 firing, 1 insufficient\n"
    (row,) = map(json.loads, vigie("show", "--json").stdout.splitlines())
    assert (row["id"], row["states"], row["mode"]) == ("rate", {"firing": 1, "insufficient": 1}, "shadow")
    (row,) = map(json.loads, vigie("show", "rate", "--state", "firing", "--json").stdout.splitlines())
    assert (row["subject"], row["verdict"]) == ({"customer": "acme", "stream": "news", "provider": "gmail"}, "breach")
    assert "customer bolt, stream news, provider gmail: insufficient since" in vigie("show", "rate", "--customer", "bolt").stdout
    assert "no rule 'rates' was judged — did you mean 'rate'?" in vigie("show", "rates", code=2).stderr
