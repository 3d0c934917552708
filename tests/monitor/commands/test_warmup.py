"""`vigie warmup`: plans are shown and drawn, warm-ups begun, shown and stopped; what is wrong is named."""

import json

import pytest
from click.testing import CliRunner

from monitor.cli import cli

CONFIG = """\
engine: {url: 'sqlite:///vigie.sqlite'}
warmup: {overflow: shared, plans: {ours: {per_day: [50, 100, 200]}}}
inventory: inventory.yaml
"""
INVENTORY = """\
pools: [shared, new]
ips: [{address: 192.0.2.7, pool: new}, {address: 192.0.2.8, pool: shared}]
domains: [news.example]
"""
KEYS = ["ip", "domain", "provider", "plan", "step", "standing", "cap", "used", "granted", "left", "resets_at"]


@pytest.fixture
def vigie(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vigie.yaml").write_text(CONFIG)
    (tmp_path / "inventory.yaml").write_text(INVENTORY)

    def call(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(cli, list(arguments))
        assert result.exit_code == code, result.output
        return result.output

    call("apply", "inventory.yaml")
    return call


def start(vigie, *arguments: str, code: int = 0) -> str:
    return vigie("warmup", "start", *arguments, "--provider", "google", "--plan", "ours", "--reason", "a new IP", code=code)


def test_plans_are_listed_with_the_operators_own_and_one_is_drawn(vigie, tmp_path):
    listed = vigie("warmup", "plan")
    assert "sparkpost: 29 steps" in listed
    assert "ours: 3 steps, 50 to 200 messages a day" in listed
    drawn = vigie("warmup", "plan", "ours", "--target", "150", "--svg", "ours.svg")
    assert drawn.count("█") > 20
    assert "150 a day: on step 3" in drawn
    assert (tmp_path / "ours.svg").read_text().startswith("<svg")
    assert json.loads(vigie("warmup", "plan", "ours", "--json"))["per_day"] == [50, 100, 200]
    assert "did you mean 'sparkpost'" in vigie("warmup", "plan", "sparkpst", code=2)


def test_shipped_plans_need_no_configuration(vigie, tmp_path):
    (tmp_path / "vigie.yaml").unlink()
    assert "conservative" in vigie("warmup", "plan")


def test_a_warm_up_is_begun_shown_and_stopped(vigie):
    started = start(vigie, "--ip", "192.0.2.7")
    assert "192.0.2.7 at gmail: cold, ours step 1 of 3; today 50: used 0, granted 0, left 50" in started
    assert "the rest to shared" in started
    [line] = vigie("warmup", "show", "--json").splitlines()
    shown = json.loads(line)
    assert list(shown) == KEYS
    assert (shown["provider"], shown["cap"], shown["left"], shown["standing"]) == ("gmail", 50, 50, "cold")
    assert shown["resets_at"][11:] in {"08:00:00Z", "07:00:00Z"}
    stopped = vigie("warmup", "stop", "--ip", "192.0.2.7", "--provider", "gmail", "--reason", "sold")
    assert "stopped: 192.0.2.7 at gmail, on step 1 of 3 (ours)" in stopped
    assert "no warm-up goes on" in vigie("warmup", "show")


def test_a_domain_is_warmed_up_as_an_ip_is(vigie):
    assert "news.example at gmail" in start(vigie, "--domain", "News.Example.")


@pytest.mark.parametrize(("arguments", "words"), [
    (["--ip", "192.0.2.7", "--domain", "news.example"], "one of --ip and --domain"),
    ([], "one of --ip and --domain"),
    (["--ip", "192.0.2.99"], "the inventory has no ip 192.0.2.99"),
    (["--ip", "nonsense"], "no IP address"),
    (["--ip", "192.0.2.7", "--overflow", "nowhere"], "no other IP"),
    (["--ip", "192.0.2.8", "--overflow", "shared"], "no other IP"),
])  # fmt: skip
def test_what_cannot_be_warmed_up_is_named(vigie, arguments, words):
    assert words in start(vigie, *arguments, code=2)


def test_a_warm_up_is_not_begun_twice_and_none_that_is_not_there_is_stopped(vigie):
    start(vigie, "--ip", "192.0.2.7")
    assert "goes on already" in start(vigie, "--ip", "192.0.2.7", code=2)
    stop = ("warmup", "stop", "--provider", "gmail", "--reason", "x", "--ip")
    assert "no warm-up of 192.0.2.8 at gmail goes on" in vigie(*stop, "192.0.2.8", code=2)
    assert "by the plan ours, not by sparkpost" in vigie(*stop, "192.0.2.7", "--plan", "sparkpost", code=2)


@pytest.mark.parametrize(("section", "words"), [
    ("plans: {a: {per_day: []}}", "warmup.plans.a.per_day: a plan has 1 to 366 steps"),
    ("plans: {a: {per_day: [5, 4]}}", "4 comes after 5"),
    ("plans: {a: {per_day: [x]}}", "warmup.plans.a.per_day[0]: must be"),
    ("plans: {a: {per_days: [5]}}", "did you mean 'per_day'?"),
    ("zones: {gmail: Mars/Olympus}", "no time zone"),
    ("rests_after: 3h", "is counted in days"),
    ("stuck_after: 0", "must be at least 1"),
    ("overflw: shared", "did you mean 'overflow'?"),
])  # fmt: skip
def test_check_config_names_what_is_wrong(vigie, tmp_path, section, words):
    (tmp_path / "vigie.yaml").write_text(f"engine: {{url: 'sqlite:///vigie.sqlite'}}\nwarmup: {{{section}}}\n")
    output = vigie("check-config", code=2)
    assert words in output
    assert "vigie.yaml:2" in output


def test_check_config_notes_a_pool_and_a_provider_that_nothing_has(vigie, tmp_path):
    (tmp_path / "vigie.yaml").write_text(CONFIG.replace("overflow: shared", "overflow: sharde, zones: {gmial: UTC}"))
    output = vigie("check-config")
    assert "vigie.yaml:2: warmup.overflow: pool: the inventory has no pool sharde" in output
    assert "warmup.zones.gmial: provider: the inventory has no provider gmial — did you mean 'gmail'?" in output
