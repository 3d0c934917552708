"""`vigie dnsbl` as it is used: rows, exit codes, what goes where."""

import json
import socket

import pytest
from click.testing import CliRunner

from collectors.dnsbl.sweep import Sweep
from monitor.cli import cli
from tests.servers.dns import DnsblServer
from tests.servers.dns_hostile import Hostile, clean, listed

CODES = {"127.0.0.2": {"meaning": "spam", "severity": "high"}, "127.0.0.10": {"meaning": "no mail from here", "severity": "policy"}}
USUAL = {"positive_test": "127.0.0.2", "negative_test": "127.0.0.1", "codes": CODES, "default_enabled": True}
LISTS = [
    {"id": "bl", "zone": "bl.example.net", "delist_url": "https://example.net/?q={target}", **USUAL},
    {"id": "dbl", "zone": "dbl.example.net", **USUAL, "targets": ["domain"], "positive_test": "TEST", "negative_test": "INVALID"},
    {"id": "wl", "zone": "wl.example.net", "kind": "allow", **USUAL, "default_enabled": False},
    {"id": "keyed", "zone": "dqs.example.net", "needs_key": True, **USUAL, "default_enabled": False},
    {"id": "gone", "zone": "gone.example.net", "status": "dead", "default_enabled": False,
     "dead": {"error": "gone.example.net is dead (2020): its owner left"}, "replaced_by": "bl"},
]
KEYS = {"target", "list", "zone", "verdict", "reason", "codes", "meanings", "severity", "text", "delist_url", "ttl_seconds", "elapsed_ms"}


@pytest.fixture
def catalogue(tmp_path):
    path = tmp_path / "lists.json"
    path.write_text(json.dumps({"lists": LISTS}))
    return str(path)


@pytest.fixture
def world(catalogue):
    zones = {
        "bl.example.net": {"192.0.2.7": ["127.0.0.2"], "192.0.2.10": ["127.0.0.10"]},
        "dbl.example.net": {"xn--exmple-cua.com": ["127.0.0.2"]},
        "wl.example.net": {"192.0.2.7": ["127.0.0.2"]},
        "sesame.dqs.example.net": {"192.0.2.7": ["127.0.0.2"]},
    }
    with DnsblServer(zones) as server:
        resolver = f"127.0.0.1:{server.start()}"
        yield lambda *words, **env: run("check", "--resolver", resolver, "--catalogue", catalogue, *words, **env)


def run(*words, **env):
    return CliRunner().invoke(cli, ["dnsbl", *words], env=env)


def rows(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_there_is_one_row_per_target_and_list_in_the_order_given(world):
    result = world("192.0.2.8", "192.0.2.7", "Exämple.COM.", "--json")
    assert [(row["target"], row["list"], row["verdict"]) for row in rows(result)] == [
        ("192.0.2.8", "bl", "not_listed"), ("192.0.2.8", "dbl", "unknown"),
        ("192.0.2.7", "bl", "listed"), ("192.0.2.7", "dbl", "unknown"),
        ("Exämple.COM.", "bl", "unknown"), ("Exämple.COM.", "dbl", "listed"),
    ]
    assert all(row.keys() >= KEYS for row in rows(result))
    assert {row["reason"] for row in rows(result)} == {None, "unsupported_target"}
    assert result.exit_code == 1


def test_a_row_says_what_was_found(world):
    (row,) = rows(world("192.0.2.7", "--lists", "bl", "--json"))
    expected = {
        "zone": "bl.example.net", "codes": ["127.0.0.2"], "meanings": ["spam"], "severity": "high", "reason": None,
        "ttl_seconds": 300, "delist_url": "https://example.net/?q=192.0.2.7",
    }
    assert expected.items() <= row.items()
    assert row["elapsed_ms"] > 0


def test_nothing_listed_is_exit_0_and_an_allow_listing_is_no_finding(world):
    assert world("192.0.2.8", "--lists", "bl", "--json").exit_code == 0
    result = world("192.0.2.7", "--lists", "wl", "--json")
    assert (rows(result)[0]["verdict"], result.exit_code) == ("listed", 0)


def test_a_policy_listing_depends_on_the_role(world):
    as_mta, as_web = world("192.0.2.10", "--lists", "bl", "--json"), world("192.0.2.10", "--lists", "bl", "--role", "web", "--json")
    assert (rows(as_mta)[0]["severity"], as_mta.exit_code) == ("high", 1)
    assert (rows(as_web)[0]["severity"], as_web.exit_code) == ("info", 0)


def test_the_same_target_twice_is_one_row(world):
    assert len(rows(world("192.0.2.8", "192.0.2.8", "--lists", "bl", "--json"))) == 1


def test_a_target_no_list_can_hold_is_reported_and_has_its_rows(world):
    result = world("1.2.3", "192.0.2.8", "--lists", "bl", "--json")
    assert [row["reason"] for row in rows(result)] == ["unsupported_target", None]
    assert "1.2.3: looks like an IP address and is none" in result.stderr
    assert result.exit_code == 0
    assert world("1.2.3", "--lists", "bl").exit_code == 2


def test_a_dead_list_is_reported_with_the_reason(world):
    result = world("192.0.2.7", "--lists", "gone", "--json")
    assert [(row["verdict"], row["reason"]) for row in rows(result)] == [("unknown", "dead")]
    assert "gone.example.net is dead (2020): its owner left; use bl instead" in result.stderr
    assert result.exit_code == 2
    assert world("192.0.2.7", "--lists", "gone,bl").exit_code == 1


def test_keys_come_from_the_environment_and_are_never_shown(world):
    without, with_key = world("192.0.2.7", "--lists", "keyed", "--json"), world(
        "192.0.2.7", "--lists", "keyed", "--json", VIGIE_DNSBL_KEYS="bl=x, key*=Sesame")
    assert rows(without)[0]["reason"] == "key_missing"
    assert rows(with_key)[0]["verdict"] == "listed"
    assert rows(with_key)[0]["zone"] == "dqs.example.net"
    assert "sesame" not in with_key.output.lower()


def test_without_canaries_a_list_is_believed_at_once(catalogue):
    with Hostile({"bl.example.net": listed}) as everything:
        words = ("check", "192.0.2.7", "--lists", "bl", "--json", "--catalogue", catalogue, "--resolver", f"127.0.0.1:{everything.port}")
        assert rows(run(*words))[0]["reason"] == "canary_failed"
        assert rows(run(*words, "--no-canary"))[0]["verdict"] == "listed"
        assert any(query.rdtype == 16 for query in everything.asked)


def test_a_resolver_that_is_not_there_is_exit_3(catalogue):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        result = run("check", "192.0.2.7", "--lists", "bl", "--json", "--catalogue", catalogue, "--resolver", f"127.0.0.1:{port}", "--timeout", "0.1")
    assert (rows(result)[0]["reason"], result.exit_code) == ("timeout", 3)
    result = run("check", "192.0.2.7", "--lists", "bl", "--json", "--catalogue", catalogue, "--resolver", f"127.0.0.1:{port}")
    assert (rows(result)[0]["reason"], result.exit_code) == ("network", 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--lists", "bll"), "no list has the id 'bll'; did you mean bl"),
        (("--resolver", "nonsense:port"), "is no resolver"),
        (("--catalogue", "missing.json"), "missing.json: No such file"),
    ],
)
def test_wrong_words_are_exit_2_with_the_reason(world, words, message):
    result = world("192.0.2.7", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_the_catalogue_is_shown_with_states_keys_and_budgets():
    result = run("lists", "--json")
    shown = {row["id"]: row for row in rows(result)}
    assert len(shown) == 184
    assert shown["spamhaus-dqs-zen"]["key"] == "missing"
    assert shown["spamhaus-zen"]["daily_queries"] == 300000
    assert "SORBS" in shown["sorbs"]["dead"]
    assert "sorbs" not in run("lists").stdout


def test_the_catalogue_is_shown_with_canaries_where_a_resolver_is_named(catalogue):
    healthy = {"bl.example.net": lambda q: listed(q) if q.name.startswith("2.0.0.127.") else clean(q)}
    with Hostile(healthy) as server:
        words = ("lists", "--catalogue", catalogue, "--resolver", f"127.0.0.1:{server.port}")
        canaries = {row["id"]: [canary["reason"] for canary in row["canary"].values()] for row in rows(run(*words, "--json"))}
        assert canaries == {"bl": [None], "dbl": ["refused"], "wl": ["refused"], "keyed": [], "gone": []}
        assert "healthy" in run(*words).stdout


def test_people_get_a_line_per_row(world):
    result = world("192.0.2.7", "192.0.2.8", "--lists", "bl")
    header, first, second, summary = result.stdout.splitlines()
    assert header.split()[:3] == ["TARGET", "LIST", "VERDICT"]
    assert "listed" in first
    assert "spam" in first
    assert second.split() == ["192.0.2.8", "bl", "not_listed"]
    assert summary == "1 listed, 1 not listed, 0 unknown; block lists list 1 of 2 targets"


def test_people_see_only_lists_that_can_hold_a_target_and_one_line_for_what_is_none(world):
    result = world("192.0.2.8", "example.org", "1.2.3", "2001:db8::1")
    lines = [line.split()[:3] for line in result.stdout.splitlines()[1:-1]]
    assert lines == [
        ["192.0.2.8", "bl", "not_listed"], ["example.org", "dbl", "not_listed"],
        ["1.2.3", "-", "unknown"], ["2001:db8::1", "-", "unknown"],
    ]
    assert result.output.count("looks like an IP address and is none") == 1
    assert "none of these lists holds ipv6" in result.stdout


@pytest.mark.parametrize("role", ["mat", "MX"])
def test_a_role_nobody_knows_is_refused(world, role):
    result = world("192.0.2.10", "--role", role)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the role is one of mta, web, dns, nat, other" in result.stderr
    assert ("did you mean mta?" in result.stderr) == (role == "mat")
    assert world("192.0.2.10", "--role", "MTA").exit_code == 1


def test_a_key_without_its_list_is_refused_and_not_shown(world):
    result = world("192.0.2.7", VIGIE_DNSBL_KEYS="bl=x,sesame")
    assert result.exit_code == 2
    assert "VIGIE_DNSBL_KEYS: its part 2 names no list: write LIST=KEY" in result.stderr
    assert "sesame" not in result.output
    assert "no list has the id of its part 1" in world("192.0.2.7", VIGIE_DNSBL_KEYS="sesame=x").stderr


def test_an_interruption_shows_what_is_known_and_exits_130(world, monkeypatch):
    original = Sweep.run

    def interrupted(self, *arguments):
        for chunk in original(self, *arguments):
            if any(result.entry.id == "bl" and result.verdict.listed is not None for result in chunk):
                yield chunk
                raise KeyboardInterrupt
            yield chunk

    monkeypatch.setattr(Sweep, "run", interrupted)
    result = world("192.0.2.7", "192.0.2.8", "--lists", "bl", "--json")
    assert result.exit_code == 130
    assert {row["verdict"] for row in rows(result)} <= {"listed", "not_listed"}
    assert rows(result)
    assert "interrupted: 2 of 2 answers are known" in result.stderr


def test_nothing_known_is_exit_3_and_names_why(catalogue):
    with Hostile({"bl.example.net": lambda q: listed(q, "127.255.255.254")}) as refusing:
        result = run("check", "192.0.2.7", "--lists", "bl", "--catalogue", catalogue, "--resolver", f"127.0.0.1:{refusing.port}")
    assert result.exit_code == 3
    assert "nothing could be known: 1 refused" in result.stderr


def test_no_resolver_that_answers_names_what_to_set(catalogue):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        result = run("check", "192.0.2.7", "--lists", "bl", "--catalogue", catalogue, "--resolver", where, "--timeout", "0.1")
    assert f"no resolver answers ({where})" in result.stderr
    assert "collectors.dnsbl.resolvers" in result.stderr
