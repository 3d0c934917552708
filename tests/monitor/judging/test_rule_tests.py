"""Rule tests say what rules do; what promtool knows of their form means the same there."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor.cli import cli
from monitor.judging import series_notation

HERE = Path(__file__).parent / "rule_tests"
SHARED = (HERE / "shared.yaml").read_text("utf-8")
# what is wrong about it → what is to be changed in the shared file for both to say so
MISTAKES = {
    "the firing one is left out": ("alertname: mailbox-unread\n        exp_alerts: [{exp_labels: {mailbox: loop, severity: warning}}]",
                                   "alertname: mailbox-unread\n        exp_alerts: []"),
    "one that does not fire": ("{eval_time: 13m, alertname: mailbox-unread, exp_alerts: []}",
                               "{eval_time: 13m, alertname: mailbox-unread, exp_alerts: [{exp_labels: {mailbox: loop, severity: warning}}]}"),
    "another label": ("{customer: acme, severity: critical}", "{customer: acme, severity: warning}"),
    "another text": ("{summary: 192.0.2.2 has a low score", "{summary: 192.0.2.2 has a high score"),
    "other values": ("'0 5x3 0x10'", "'0 1x3 0x10'"),
}


def run(path, *more):
    return CliRunner().invoke(cli, ["rules", "test", *more, str(path)])


def put(folder, rules, tests):
    folder.mkdir()
    (folder / "rules.yaml").write_text((HERE / rules).read_text("utf-8"))
    (folder / "tests.yaml").write_text(tests)
    return folder / "tests.yaml"


def test_the_shared_form_is_run_by_vigie(tmp_path):
    result = run(put(tmp_path / "vigie", "vigie.yaml", SHARED))
    assert (result.exit_code, "SUCCESS (10 of 10 as expected)" in result.stdout) == (0, True), result.output


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_expectation_fails(tmp_path, mistake):
    before, after = MISTAKES[mistake]
    assert before in SHARED
    result = run(put(tmp_path / "vigie", "vigie.yaml", SHARED.replace(before, after)))
    assert (result.exit_code, "exp:" in result.stdout, "got:" in result.stdout) == (1, True, True), result.output


@pytest.mark.real("promtool")
@pytest.mark.parametrize("mistake", [None, *MISTAKES])
def test_promtool_says_of_the_same_file_what_vigie_says(tmp_path, mistake):
    before, after = MISTAKES[mistake] if mistake else ("", "")
    tests = SHARED.replace(before, after) if mistake else SHARED
    ours = run(put(tmp_path / "vigie", "vigie.yaml", tests))
    theirs = subprocess.run(["promtool", "test", "rules", put(tmp_path / "prometheus", "prometheus.yaml", tests)],
                            capture_output=True, text=True, check=False)
    assert (ours.exit_code, theirs.returncode) == ((1, 1) if mistake else (0, 0)), ours.output + theirs.stdout + theirs.stderr


def test_states_reasons_and_effects_of_the_shipped_rules_can_be_expected():
    result = run(HERE / "shipped.yaml", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row for row in rows if not row["passed"]] == []
    assert (result.exit_code, len(rows)) == (0, 7)


@pytest.mark.parametrize(("text", "words"), [
    ("tests: 3\n", "tests: must be a list"),
    ("rule_files: [none.yaml]\ntests: []\n", "none.yaml: does not exist"),
    ("tests: [{input_series: [{series: 'complaintz{}', values: '1'}]}]\n", "no measure 'complaintz' — did you mean 'complaint'?"),
    ("tests: [{input_series: [{series: 'complaint{customr=\"a\"}', values: '1'}]}]\n", "no dimension 'customr' — did you mean 'customer'?"),
    ("tests: [{input_series: [{series: 'complaint', values: '1 two'}]}]\n", "'two' is no value"),
    ("tests: [{input_series: [{series: 'complaint', values: '1x999999999'}]}]\n", "more than 100,000 values"),
    ("tests: [{alert_rule_test: [{eval_time: 1m, alertname: complaint-rat}]}]\n", "no rule 'complaint-rat' — did you mean 'complaint-rate'?"),
    ("tests: [{alert_rule_test: [{eval_time: 52w, alertname: complaint-rate}]}]\n", "more than 10,000 evaluations"),
    ("tests: [{promql_expr_test: []}]\n", "unknown key"),
])
def test_a_test_file_that_makes_no_sense_is_refused_with_its_line(tmp_path, text, words):
    (tmp_path / "tests.yaml").write_text(text)
    result = run(tmp_path / "tests.yaml")
    assert (result.exit_code, words in result.stderr) == (2, True), result.output


@pytest.mark.parametrize(("text", "values"), [
    ("1 2.5 -3", [1, 2.5, -3]), ("0+10x3", [0, 10, 20, 30]), ("5-1x2", [5, 4, 3]), ("3x2", [3, 3, 3]), ("1 _ _x2 2", [1, None, None, None, 2]),
    ("", []), ("1e3", [1000]),
])
def test_values_are_read_as_promtool_does(text, values):
    assert series_notation.values(text) == values


def test_labels_may_hold_whatever_a_text_can():
    assert series_notation.series(r'complaint{ customer="a,\"b\"}", stream="x" }') == ("complaint", {"customer": 'a,"b"}', "stream": "x"})
