"""How commands print JSON: wire models, one per line, and nothing else. Imports no database, so that start-up stays fast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import orjson

from monitor.wire import Wire

json_option = click.option("--json", "as_json", is_flag=True, help="JSON lines on standard output.")


def json_line(record: Mapping[str, Any]) -> bytes:
    """One line of what is no wire model: an event of a simulation or a backtest, whose names the contract fixes."""
    return orjson.dumps(record) + b"\n"


def print_json(shown: Wire) -> None:
    """One line of JSON on standard output: the one way a command prints JSON."""
    click.echo(orjson.dumps(shown.model_dump(), option=orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS))
