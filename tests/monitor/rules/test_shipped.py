"""The rules Vigie comes with, and the ones a person writes, fit the catalogue and say what people do next."""

import re

import pytest

from collectors.dnsbl.catalogue import load_catalogue
from monitor.config.load import load_config
from monitor.config.yaml_file import ConfigErrors
from monitor.judging.configured_rules import configured_rules
from monitor.rules.conditions.table import CONDITIONS
from monitor.rules.load import RUNBOOKS


def rules(tmp_path, text):
    path = tmp_path / "vigie.yaml"
    path.write_text(text)
    return {rule.id: rule for rule in configured_rules(load_config(path, {}))}


@pytest.fixture
def shipped(tmp_path):
    return rules(tmp_path, "collectors: {dnsbl: {resolvers: ['127.0.0.1:53']}}\n")


def test_every_shipped_rule_says_what_to_do(shipped):
    assert [rule.id for rule in shipped.values() if not rule.runbook.strip()] == []


def test_every_shipped_rule_says_where_its_thresholds_come_from(shipped):
    assert [rule.id for rule in shipped.values() if not rule.source.strip()] == []


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_every_runbook_says_what_it_means_who_acts_three_steps_and_whom_to_ask(page):
    text = page.read_text("utf-8")
    parts = dict(re.findall(r"^## (.+)\n\n((?:(?!^## ).*\n?)+)", text, re.MULTILINE))
    assert list(parts) == ["What it means", "Who acts", "First three steps", "Asking for delisting or mitigation"]
    assert text.startswith(f"# {page.stem}: ")
    assert [line[:3] for line in parts["First three steps"].splitlines() if line] == ["1. ", "2. ", "3. "]
    assert all(part.strip() for part in parts.values())


def test_every_shipped_rule_has_its_runbook_and_every_runbook_its_rule(shipped):
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == shipped.keys()


def test_every_rate_is_shipped(shipped):
    assert {rule.signal.name for rule in shipped.values()} >= {
        "complaints", "blocks", "deferrals", "invalid_addresses", "dmarc_failures", "tls_failures", "unsubscribes",
    }


def test_every_condition_is_shipped_once_at_least(shipped):
    assert {rule.condition for rule in shipped.values()} == set(CONDITIONS)


def test_shipped_rules_name_lists_of_the_catalogue(shipped):
    lists = load_catalogue().lists
    named = {name for rule in shipped.values() for name in getattr(rule, "lists", None) or ()}
    named |= {name for rule in shipped.values() if "dnsbl" in rule.where for name in rule.where["dnsbl"].values}
    assert named <= set(lists)
    assert {name for name, entry in lists.items() if entry.collateral} == set(shipped["neighbours-listed"].lists)


def test_only_heavy_lists_and_complaints_hold(shipped):
    assert {rule.id for rule in shipped.values() if rule.effect} == {
        "ip-listed", "complaint-campaign", "complaint-mailing", "complaint-rate", "complaint-line",
    }


def test_no_weight_falls_between_two_shipped_rules(shipped):
    assert shipped["listed-elsewhere"].below_weight == shipped["ip-listed"].min_weight


@pytest.mark.parametrize(("rule", "words"), [
    ("{id: a, condition: listing, lists: [spamhaus-zn]}", "lists[0]: no list 'spamhaus-zn' — did you mean 'spamhaus-zen'?"),
    ("{id: a, condition: listing, lists: [dnswl-list]}", "lists[0]: 'dnswl-list' is no block list"),
    ("{id: a, condition: change, signal: allow_listings, where: {dnsbl: spamhaus-zen}}", "where.dnsbl: 'spamhaus-zen' is no allow list"),
    ("{id: a, condition: value, signal: list_scores, where: {dnsbl: spamhaus-zen}, below: 3}",
     "where.dnsbl: 'spamhaus-zen' is no list with a score"),
])
def test_a_rule_about_a_list_it_can_never_hear_of_is_refused(tmp_path, rule, words):
    with pytest.raises(ConfigErrors) as refused:
        rules(tmp_path, f"collectors: {{dnsbl: {{resolvers: ['127.0.0.1:53']}}}}\nrules:\n  - {rule}\n")
    assert str(refused.value).endswith(f"vigie.yaml:3: rules[0].{words}")


def test_a_list_of_ones_own_may_be_named(tmp_path):
    (tmp_path / "own.yaml").write_text(
        "meta: {schema: dnsbl-catalog/1}\nlists:\n  - {id: mine, zone: bl.example.net, positive_test: 127.0.0.2}\n"
    )
    loaded = rules(tmp_path, "collectors: {dnsbl: {own_lists: own.yaml, resolvers: ['127.0.0.1:53']}}\n"
                           "rules: [{id: a, condition: listing, lists: [mine]}]\n")
    assert loaded["a"].lists == ("mine",)
