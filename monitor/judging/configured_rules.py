"""The rules of a configuration, checked against what its collectors can answer."""

from __future__ import annotations

from collectors.dnsbl.collector import DnsblSettings
from monitor.config.load import Config
from monitor.rules.load import load_rules
from monitor.rules.model import AnyRule


def configured_rules(config: Config) -> tuple[AnyRule, ...]:
    """Raises ConfigErrors with file and line of all that is wrong."""
    dnsbl = config.collectors.get("dnsbl")
    return load_rules(config, dnsbl.known().lists if isinstance(dnsbl, DnsblSettings) else None)
