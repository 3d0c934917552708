"""Every mistake in a configuration is reported with file, line and what to do; secrets are shown to nobody."""

import contextlib
import os
import tempfile
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr

import collectors
from collectors.contract import CollectorSettings
from monitor.app import hooks_of
from monitor.config.load import load_config, read_rules
from monitor.config.quantities import duration_text, parse_duration, parse_share
from monitor.config.yaml_file import MAX_BYTES, ConfigError, ConfigErrors
from monitor.inventory.file import load_inventory
from monitor.judging.configured_rules import configured_rules, labels_of_rules
from monitor.notify.receivers import configured_routing
from tests.places import ROOT

HERE = Path(__file__).parent
EXAMPLE = ROOT / "vigie.example.yaml"
ENVIRON = {"TOKEN": "opensesame", "PORT": "8081", "EMPTY": ""}
INVALID = sorted(HERE.glob("invalid/invalid-*.yaml"))


class Lookout:
    """A collector to be configured."""

    name: ClassVar[str] = "lookout"

    class Settings(CollectorSettings):
        token: SecretStr | None = None
        ports: tuple[int, ...] = ()
        patience: timedelta | None = Field(None, le=timedelta(hours=1))
        own: Path | None = None
        batch: int = Field(default=10, ge=1)


@pytest.fixture(autouse=True)
def _known_collectors(monkeypatch):
    monkeypatch.setattr(collectors, "discover", lambda: {"lookout": Lookout}, raising=False)


def written(tmp_path, text):
    path = tmp_path / "vigie.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def load(tmp_path, text, environ=ENVIRON):
    return load_config(written(tmp_path, text), environ)


def mistakes(tmp_path, text):
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path, text)
    return [f"{error.line}: {error.message}" for error in caught.value.errors]


def found_in(path):
    try:
        if path.name.startswith("invalid-inventory-"):
            load_inventory(path, secrets={"fbl", "seed"})
        else:
            config = load_config(path, ENVIRON)
            configured_routing(config, (), labels_of_rules(configured_rules(config)))
    except ConfigErrors as errors:
        return str(errors).replace(f"{path.parent}{os.sep}", "") + "\n"
    return "accepted\n"


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem.removeprefix("invalid-"))
def test_each_mistake_is_reported_in_exactly_these_words(path):
    """Beside invalid-x.yaml, invalid-x.txt holds what a person reads."""
    assert found_in(path) == path.with_suffix(".txt").read_text(encoding="utf-8")


def test_a_route_takes_every_spelling_of_an_address_and_a_provider(tmp_path):
    file = tmp_path / "vigie.yaml"
    file.write_text("""
receivers: [{name: cell, url: json://127.0.0.1}]
notify: {receiver: cell, routes: [{matchers: ['ip="2001:DB8::25"', provider=Gmail], receiver: cell}]}
""", encoding="utf-8")
    (route,) = configured_routing(load_config(file, ENVIRON), ()).root.routes
    assert [each.value for each in route.matchers] == ["2001:db8::25", "gmail"]


def test_no_message_about_a_mistake_shows_a_secret():
    assert INVALID
    for path in INVALID:
        assert "opensesame" not in found_in(path), path


# ── what is accepted ──


def test_an_empty_section_and_a_missing_one_are_the_same(tmp_path):
    assert load(tmp_path, "api:\n").api == load(tmp_path, "engine: {}\n").api


def test_defaults_hold_on_loopback_in_one_file_beside_the_configuration(tmp_path):
    config = load(tmp_path, "api:\n")
    assert config.engine.url.get_secret_value() == f"sqlite:///{tmp_path}/vigie.sqlite"
    assert (config.api.host, config.api.port, config.api.console_is_open) == ("127.0.0.1", 8080, False)
    assert config.engine.max_held_share == 0.25
    assert config.engine.retention.hourly == timedelta(days=400)
    assert (config.rules, config.collectors, config.receivers, config.inventory) == (None, {}, (), ())


@pytest.mark.parametrize("listen", ["127.0.0.1:80", "localhost:80", "'[::1]:80'", "0.0.0.0:80", "vigie.example.com:80"])
def test_the_console_asks_for_a_key_unless_open_is_written(tmp_path, listen):
    for console, is_open in (("", False), ("console: keyed", False), ("console: open", True)):
        assert load(tmp_path, f"api:\n  listen: {listen}\n  {console}\n").api.console_is_open is is_open


@pytest.mark.parametrize(("text", "names"), [
    ("{}", {"127.0.0.1", "localhost"}),
    ("{listen: '[::1]:80'}", {"::1", "localhost"}),
    ("{hosts: Vigie.example.com., public_url: 'https://ops.example.com:8443/x'}",
     {"127.0.0.1", "localhost", "vigie.example.com", "ops.example.com"}),
    ("{hosts: [a.example.com, '[2001:db8::1]', vigie]}", {"127.0.0.1", "localhost", "a.example.com", "2001:db8::1", "vigie"}),
])
def test_the_names_answered_to_are_those_listed_the_address_loopback_and_the_public_one(tmp_path, text, names):
    assert load(tmp_path, f"api: {text}").api.host_names == names


@pytest.mark.parametrize("host", ["https://vigie.example.com", "vigie.example.com:8080", "*", "''", "a b"])
def test_a_host_is_a_name_without_scheme_and_port(tmp_path, host):
    (mistake,) = mistakes(tmp_path, f"api: {{hosts: ['{host}']}}" if host != "''" else "api: {hosts: ['']}")
    assert "is no host name" in mistake


def test_chat_messages_link_to_the_public_address_when_there_is_one(tmp_path):
    public = load(tmp_path, "api: {public_url: 'https://vigie.example.com/'}")
    assert public.api.address == "https://vigie.example.com"
    assert load(tmp_path, "api: {}").api.address == "http://127.0.0.1:8080"


def test_values_come_from_the_environment_with_defaults_and_a_dollar_escape(tmp_path):
    config = load(tmp_path, "api:\n  listen: 127.0.0.1:${PORT}\nsecrets:\n  a: x${TOKEN}y\n"
                            "  b: ${NONE:-spare}\n  c: ${EMPTY:-spare}\n  d: pa$$${PORT}$\n")
    assert config.api.port == 8081
    secrets = {name: value.get_secret_value() for name, value in config.secrets.items()}
    assert secrets == {"a": "xopensesamey", "b": "spare", "c": "spare", "d": "pa$8081$"}


def test_what_the_environment_holds_is_not_read_a_second_time(tmp_path):
    config = load(tmp_path, "secrets:\n  a: ${NESTED}\n", {"NESTED": "${TOKEN} $$ *x: [", "TOKEN": "no"})
    assert config.secrets["a"].get_secret_value() == "${TOKEN} $$ *x: ["


def test_secrets_may_stand_in_files_of_their_own(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "key").write_text("0123456789abcdef\n")
    (tmp_path / "run" / "chat").write_text("slack://a/b\r\n")
    (tmp_path / "run" / "token").write_text("kept as it is \n")
    config = load(tmp_path, "engine: {hash_key_file: run/key}\nsecrets:\n  fbl: {file: run/key}\n"
                            "receivers: [{name: chat, url_file: run/chat}]\n"
                            "collectors: {lookout: {token_file: run/token}}\n")
    assert config.engine.hash_key.get_secret_value() == "0123456789abcdef"
    assert config.secrets["fbl"].get_secret_value() == "0123456789abcdef"
    assert config.receivers[0].url.get_secret_value() == "slack://a/b"
    assert config.collectors["lookout"].token.get_secret_value() == "kept as it is "


def test_no_repr_of_a_configuration_shows_a_secret(tmp_path):
    config = load(tmp_path, "engine: {url: 'postgresql://me:opensesame@db/me', hash_key: opensesame-sesame}\n"
                            "secrets: {a: opensesame}\nreceivers: [{name: a, url: 'slack://opensesame'}]\n"
                            "collectors: {lookout: {token: opensesame}}\n"
                            "rules: [{id: x, runbook: '${TOKEN}'}]\n")
    assert "opensesame" not in repr(config)
    assert "opensesame" not in config.engine.model_dump_json()


def test_only_the_collectors_named_and_enabled_run(tmp_path):
    config = load(tmp_path, "collectors:\n  lookout:\n    every: 1h30m\n    patience: 90s\n"
                            "    ports: [80, '443']\n    own: own.yaml\n")
    assert config.collectors["lookout"].every == timedelta(minutes=90)
    assert config.collectors["lookout"].patience == timedelta(seconds=90)
    assert config.collectors["lookout"].ports == (80, 443)
    assert config.collectors["lookout"].own == tmp_path / "own.yaml"
    assert set(load(tmp_path, "collectors:\n  lookout:\n").collectors) == {"lookout"}
    assert load(tmp_path, "collectors:\n  lookout: {enabled: false}\n").collectors == {}


def test_words_and_numbers_that_look_like_something_else_stay_as_written(tmp_path):
    config = load(tmp_path, "receivers:\n- name: no\n  url: slack://a/b\n"
                            "  customers: [007, 4711, on, 1:30, 1e3, 1.50, 2026-01-02]\n")
    assert config.receivers[0].name == "no"
    assert config.receivers[0].customers == ("007", "4711", "on", "1:30", "1e3", "1.50", "2026-01-02")


def test_an_alias_stands_for_what_was_anchored(tmp_path):
    config = load(tmp_path, "receivers:\n- {name: a, url: slack://a/b, customers: &ours [acme]}\n"
                            "- {name: b, url: slack://a/b, customers: *ours}\n")
    assert config.receivers[1].customers == ("acme",)


def test_rules_in_place_and_in_files_know_their_lines(tmp_path):
    ours = "# ours\nrules:\n- id: first\n  window:\n    length: 24h\n- id: second\n"
    (tmp_path / "ours.yaml").write_text(ours)
    inline, first, second = load(tmp_path, "rules:\n- id: inline\n  for: 15m\n- ours.yaml\n").rules
    assert (inline.data["id"], inline.line, inline.line_of(("for",))) == ("inline", 2, 3)
    assert str(inline.error(("for",), "too short")) == f"{tmp_path}/vigie.yaml:3: rules[0].for: too short"
    assert (first.line_of(("window", "length")), first.line_of(("window", "nothing"))) == (5, 4)
    assert second.line == 6
    assert str(second.error(("id",), "bad")) == f"{tmp_path}/ours.yaml:6: rules[1].id: bad"


def test_a_bare_list_is_a_file_of_rules_too(tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text("- id: first\n")
    assert str(read_rules(path)[0].error(("id",), "bad")) == f"{path}:1: [0].id: bad"


@pytest.mark.parametrize(("text", "message"), [
    ("rules: {}\n", "1: rules: must be a list of rules — begin each with '- id: …'"),
    ("rules: []\nrule: []\n", "2: rule: unknown key — did you mean 'rules'?"),
    ("- first\n", "1: [0]: must be a mapping — begin each rule with '- id: …'"),
])
def test_mistakes_in_a_file_of_rules_are_reported_in_that_file(tmp_path, text, message):
    (tmp_path / "ours.yaml").write_text(text)
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path, "rules: [ours.yaml]\n")
    assert str(caught.value) == f"{tmp_path}/ours.yaml:{message}"


def test_the_example_is_accepted_as_it_stands():
    config = load_config(EXAMPLE, {})
    assert config.inventory == (EXAMPLE.parent / "inventory.example.yaml",)
    assert load_inventory(*config.inventory, secrets=config.secrets).customers.keys() == {"acme", "bolt"}


# ── files that cannot be read ──


def test_a_missing_file_a_directory_and_a_file_too_large_are_named(tmp_path):
    for path, message in (
        (tmp_path / "none.yaml", "does not exist — check the path"),
        (tmp_path, "is a directory — name a file in it"),
        (written(tmp_path, "#" * (MAX_BYTES + 1)), f"is larger than {MAX_BYTES:,} bytes — split it"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            load_config(path, {})
        assert (caught.value.file, caught.value.line) == (str(path), None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_reported(tmp_path):
    path = written(tmp_path, "api: {}\n")
    path.chmod(0)
    with pytest.raises(ConfigError, match="may not be read"):
        load_config(path, {})


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    assert load(tmp_path, "\ufeffapi: {listen: 127.0.0.1:1}\n").api.port == 1


def test_all_mistakes_are_reported_at_once_sorted_by_line(tmp_path):
    lines = mistakes(tmp_path, "api: {listen: 1}\ncollectors: {x: {}}\nrules: [1]\n"
                              "engine: {urll: a}\nsecrets: {a: '${Z}'}\n")
    assert [line.partition(":")[0] for line in lines] == ["1", "2", "3", "4", "5"]


def test_a_value_that_could_not_be_looked_up_is_one_mistake(tmp_path):
    lines = mistakes(tmp_path, "api:\n  listen: ${Z}\nreceivers:\n- {name: a, name: b, url: slack://a/b}\n")
    assert lines == [
        "2: api.listen: the environment has no Z — set it, or write ${Z:-default}",
        "4: receivers[0]: the key 'name' stands in line 4 already — remove one",
    ]


_PIECES = st.sampled_from(
    ["api", "engine", "url", "rules", "receivers", "secrets", "file", "key_file", ": ", "\n", "\n  ", "- ",
     "[", "]", "{", "}", ",", "'", '"', "&a ", "*a", "<<: ", "!!str ", "${TOKEN}", "${", "$$", "---\n", "...",
     "|\n", "> ", "?", "%", "#", "\t", "\0", "\u2028", "127.0.0.1:1", "15m", "null", "~", "é", "\U0001f4a5"])


@given(st.lists(_PIECES, max_size=30).map("".join) | st.text(max_size=60))
def test_whatever_is_written_is_a_configuration_or_a_list_of_mistakes(text):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "vigie.yaml")
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        for load_it in (partial(load_config, environ=ENVIRON), load_inventory, read_rules):
            with contextlib.suppress(ConfigError):
                load_it(path)


# ── durations and shares ──


@pytest.mark.parametrize(("text", "seconds"), [
    ("90s", 90), ("15m", 900), ("24h", 86400), ("7d", 604800), ("2w", 1209600), ("1h30m", 5400), ("0s", 0),
])
def test_durations_are_a_number_and_a_unit_and_are_written_back_shortest(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert parse_duration(duration_text(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", [
    "", "15", 15, 1.5, True, None, "m", "-5m", "30m1h", "1h 30m", "PT1H", "999999999w",
])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(ValueError, match=r"—"):
        parse_duration(value)


@pytest.mark.parametrize(("value", "share"), [
    ("0.3%", 0.003), (0.003, 0.003), ("0.003", 0.003), ("100%", 1), (1, 1), ("0%", 0), ("25 %", 0.25),
])
def test_a_share_is_a_percentage_or_a_number_up_to_one(value, share):
    assert parse_share(value) == pytest.approx(share)


@pytest.mark.parametrize("value", [25, "25", "101%", "-1%", "nan", "inf", "", None, True, "0,3%", []])
def test_what_is_no_share_is_refused(value):
    with pytest.raises(ValueError, match="is no share"):
        parse_share(value)


def test_webhooks_name_a_relay_and_a_secret_there_is(tmp_path):
    text = "secrets: {sg: x}\nwebhooks:\n  ours: {relay: sendgrid, secret: sg, customer: acme}\n  aws: {relay: ses, topics: ['arn:aws:sns:eu:1:t']}\n"
    assert set(load(tmp_path, text).webhooks) == {"ours", "aws"}
    hooks = hooks_of(load(tmp_path, text))
    assert (hooks["ours"].secret, hooks["ours"].customer, hooks["aws"].topics) == ("x", "acme", frozenset({"arn:aws:sns:eu:1:t"}))
    assert "secret" not in repr(hooks["ours"])
    for hook, words in (("{relay: sendgrd, secret: sg}", "no such relay"), ("{relay: sendgrid}", "needs `secret`"), ("{relay: mailgun, secret: no}", "no secret 'no'"),
                        ("{relay: mailgun, secret: sg, topics: [x]}", "those of SES only")):
        (mistake,) = mistakes(tmp_path, f"secrets: {{sg: x}}\nwebhooks:\n  ours: {hook}\n")
        assert mistake.startswith("3: ")
        assert words in mistake
