"""Restrictions as commands of PowerMTA: printed, run one by one without a shell, and lifted again."""

import json
import sys

import pytest
from click.testing import CliRunner

from collectors.providers import shipped
from monitor.cli import cli
from monitor.config.mta import PowerMta
from monitor.mta.powermta import difference, plan
from tests.monitor.mta.conftest import Platform, now
from tests.monitor.mta.test_kumomta_translate import NOW, restriction

SETTINGS = PowerMta(command=("pmta",), customers={"acme": ("acme-1", "acme-2")})


@pytest.mark.parametrize(
    ("scope", "effect", "commands"),
    [
        ({"customer": "acme"}, "hold", ["pause queue */acme-1", "pause queue */acme-2"]),
        ({"customer": "acme", "provider": "gmail"}, "hold", ["pause queue gmail.com/acme-1", "pause queue gmail.com/acme-2",
                                                             "pause queue googlemail.com/acme-1", "pause queue googlemail.com/acme-2"]),
        ({"provider": "tiny.example"}, "slow", ["set queue --mode=backoff tiny.example/*"]),
        ({"ip": "192.0.2.7"}, "hold", ["disable source 192.0.2.7 */*"]),
        ({"customer": "acme", "campaign": "nl-1"}, "hold", ["pause job nl-1"]),
    ],
)
def test_a_restriction_is_these_commands(scope, effect, commands):
    row = restriction(scope, effect, rate_per_hour=10 if effect == "slow" else None)
    assert [" ".join(command) for command in plan([row], SETTINGS, shipped(), NOW).commands] == commands


@pytest.mark.parametrize(
    "scope",
    [{"customer": "bolt"}, {"domain": "acme.example"}, {"customer": "acme", "ip": "192.0.2.7"}, {"provider": "other"}, {"campaign": "--help"},
     {"campaign": "a b"}, {"customer": "acme", "stream": "news"}, {"customer": "acme", "campaign": "nl-1", "provider": "gmail"}],
)  # fmt: skip
def test_what_powermta_cannot_be_given_is_never_widened(scope):
    planned = plan([restriction(scope)], SETTINGS, shipped(), NOW)
    assert (planned.commands, len(planned.unspoken)) == ((), 1)


def test_what_is_gone_is_lifted_first_each_by_its_own_word():
    before = [("pause", "queue", "*/acme-1"), ("disable", "source", "192.0.2.7", "*/*"), ("set", "queue", "--mode=backoff", "x.example/*")]
    assert difference([("pause", "job", "nl-1")], before) == [
        ("enable", "source", "192.0.2.7", "*/*"), ("resume", "queue", "*/acme-1"), ("set", "queue", "--mode=normal", "x.example/*"),
        ("pause", "job", "nl-1"),
    ]


def test_commands_are_printed_run_once_and_lifted(kumo_store, tmp_path):
    from monitor.restrictions.follow import GateIndex

    gate = GateIndex()
    gate.refresh(kumo_store, now(), everything=True)
    platform = Platform(kumo_store, gate, None, "")
    ran, program = tmp_path / "ran", tmp_path / "pmta.py"
    program.write_text(f"import sys\nif 'fails' in sys.argv[-1]: sys.exit('no such job')\nopen({str(ran)!r}, 'a').write(' '.join(sys.argv[1:]) + chr(10))\n")
    path = tmp_path / "vigie.yaml"
    url = f"sqlite:///{tmp_path / 'vigie.sqlite'}"
    path.write_text(json.dumps({"engine": {"url": url}, "mta": {"powermta": {"command": [sys.executable, str(program)], "customers": {"acme": ["acme-1"]}}}}))

    def vigie(*options, code=0):
        done = CliRunner(env={"VIGIE_CONFIG": str(path)}).invoke(cli, ["mta", "powermta", *options])
        assert done.exit_code == code, done.output
        return done

    held = platform.hold({"customer": "acme"})
    assert vigie().stdout.endswith("pause queue '*/acme-1'\n")
    assert not ran.exists()
    vigie("--run")
    assert "nothing changed" in vigie("--run").stderr
    assert "pause queue" in vigie("--again").stdout
    platform.lift(held)
    vigie("--run")
    assert ran.read_text().splitlines() == ["pause queue */acme-1", "resume queue */acme-1"]
    platform.hold({"campaign": "fails"})
    assert "no such job" in vigie("--run", code=3).stderr
    assert "pause job fails" in vigie("--run", code=3).stdout  # it is tried again
