"""The rules of a configuration, checked against what its collectors can answer."""

from __future__ import annotations

from collections.abc import Iterable

from collectors.dnsbl.collector import DnsblSettings
from collectors.dnsbl.pacers import operator_of
from monitor.config.load import Config
from monitor.incidents.causes import causes
from monitor.incidents.silences import RULE_LABELS
from monitor.listings.catalogue import known_lists
from monitor.rules.lists import KnownLists
from monitor.rules.load import load_rules
from monitor.rules.model import Rule


def lists_asked(config: Config) -> frozenset[str]:
    """The ids of the DNS lists that are asked; none without that collector."""
    dnsbl = config.collectors.get("dnsbl")
    if not isinstance(dnsbl, DnsblSettings):
        return frozenset()
    return frozenset(entry.id for entry in dnsbl.chosen(dnsbl.known()))


def lists_known(config: Config) -> KnownLists:
    """What the catalogue in use says of its lists, those that are not asked too."""
    dnsbl = config.collectors.get("dnsbl")
    return known_lists((dnsbl if isinstance(dnsbl, DnsblSettings) else DnsblSettings()).known().lists.values())


def configured_names(config: Config) -> dict[str, frozenset[str]]:
    """What a silence may name besides the inventory: the rules with their labels, causes, and the lists and operators of the catalogue."""
    dnsbl = config.collectors.get("dnsbl")
    known = (dnsbl if isinstance(dnsbl, DnsblSettings) else DnsblSettings()).known().lists.values()
    rules = configured_rules(config)
    return {
        RULE_LABELS: labels_of_rules(rules),
        "rule": frozenset(rule.id for rule in rules) | causes().keys(),
        "dnsbl": frozenset(entry.id for entry in known),
        "operator": frozenset(operator_of(entry) for entry in known),
    }


def labels_of_rules(rules: Iterable[Rule]) -> frozenset[str]:
    """The names of the labels that rules give their incidents."""
    return frozenset(name for rule in rules for name in rule.labels)


def configured_rules(config: Config) -> tuple[Rule, ...]:
    """Raises ConfigErrors with file and line of all that is wrong."""
    dnsbl = config.collectors.get("dnsbl")
    return load_rules(config, dnsbl.known().lists if isinstance(dnsbl, DnsblSettings) else None)
