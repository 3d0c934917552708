"""`vigie check-config`: is everything the operator wrote right? Nothing is started and nothing is asked."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from monitor.config.load import load_config
from monitor.config.yaml_file import ConfigError, ConfigErrors
from monitor.inventory.faults import notes
from monitor.inventory.file import load_inventory
from monitor.judging.configured_rules import configured_rules


@click.command("check-config")
@click.argument("file", type=click.Path(path_type=Path), default="vigie.yaml", envvar="VIGIE_CONFIG")
@click.option("--json", "as_json", is_flag=True, help="One JSON line per mistake, or one that says ok.")
def check_config(file: Path, as_json: bool) -> None:
    """Check the configuration FILE (vigie.yaml), its rules and its inventory; every mistake is told."""
    try:
        counts = _checked(file)
    except ConfigError as error:
        for one in error.errors:
            told = {"file": one.file, "line": one.line, "message": one.message}
            click.echo(json.dumps(told, ensure_ascii=False) if as_json else str(one), err=not as_json)
        sys.exit(2)
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    click.echo(json.dumps({"ok": True, **counts}) if as_json else f"ok: {said}")


def _checked(file: Path) -> dict[str, int]:
    config = load_config(file, os.environ)
    errors: list[ConfigError] = []
    try:
        rules = configured_rules(config)
    except ConfigError as error:
        errors += error.errors
    try:
        inventory = load_inventory(*config.inventory, secrets=config.secrets)
    except ConfigError as error:
        errors += error.errors
    if errors:
        raise ConfigErrors(errors)
    for note in notes(inventory):
        click.echo(f"note: {note}", err=True)
    return {"collectors": len(config.collectors), "rules": len(rules), "receivers": len(config.receivers)}
