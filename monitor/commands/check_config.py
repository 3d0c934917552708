"""`vigie check-config`: is everything the operator wrote right? Nothing is started and nothing is asked."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

import collectors
from collectors.clients.dns_resolvers import system_servers
from collectors.contract import CollectorError
from collectors.dnsbl.collector import DnsblSettings
from monitor.commands.printing import print_json
from monitor.config.load import Config, load_config
from monitor.config.wire import Checked, Mistake
from monitor.config.yaml_file import ConfigError, ConfigErrors
from monitor.inventory.faults import notes
from monitor.inventory.file import configured_inventory
from monitor.inventory.known import names_of
from monitor.inventory.named_in_config import unknown_names
from monitor.judging.configured_rules import configured_rules, labels_of_rules
from monitor.notify.receivers import configured_heartbeats, configured_receivers, configured_routing
from monitor.rules.model import Rule


@click.command("check-config")
@click.argument("file", type=click.Path(path_type=Path), default="vigie.yaml", envvar="VIGIE_CONFIG")
@click.option("--json", "as_json", is_flag=True, help="One JSON line per mistake, or one that says ok.")
def check_config(file: Path, as_json: bool) -> None:
    """Check the configuration FILE (vigie.yaml), its rules and its inventory; every mistake is named."""
    try:
        counts = _checked(file)
    except ConfigError as error:
        for each in error.errors:
            if as_json:
                print_json(Mistake(file=each.file, line=each.line, message=each.message))
            else:
                click.echo(str(each), err=True)
        sys.exit(2)
    if as_json:
        print_json(counts)
    else:
        click.echo("ok: " + ", ".join(f"{count} {name}" for name, count in counts if name != "ok"))


def _checked(file: Path) -> Checked:
    config = load_config(file, os.environ)
    errors: list[ConfigError] = []
    rules: tuple[Rule, ...] = ()
    try:
        rules = configured_rules(config)
    except ConfigError as error:
        errors += error.errors
    try:
        configured_receivers(config)
    except ConfigError as error:
        errors += error.errors
    try:
        configured_routing(config, (), labels_of_rules(rules))
    except ConfigError as error:
        errors += error.errors
    try:
        configured_heartbeats(config, labels_of_rules(rules))
    except ConfigError as error:
        errors += error.errors
    known = collectors.discover()
    for name, settings in config.collectors.items():
        try:
            known[name](settings)
        except (CollectorError, ValueError) as error:
            errors.append(config.source.error(("collectors", name), str(error)))
    try:
        inventory = configured_inventory(config)
    except ConfigError as error:
        errors += error.errors
    if errors:
        raise ConfigErrors(errors)
    for note in (*notes(inventory), *_resolver_notes(config), *unknown_names(config, names_of(inventory), {rule.id for rule in rules})):
        click.echo(f"note: {note}", err=True)
    return Checked(collectors=len(config.collectors), rules=len(rules), receivers=len(config.receivers))


def _resolver_notes(config: Config) -> list[str]:
    """What a run on this machine would say of its resolvers; no name is looked up."""
    dnsbl = config.collectors.get("dnsbl")
    if not isinstance(dnsbl, DnsblSettings) or dnsbl.resolvers:
        return []
    try:
        system_servers()
    except CollectorError as error:
        return [f"{config.path}:{config.source.line_of(('collectors', 'dnsbl'))}: collectors.dnsbl: {error.text}"]
    return []
