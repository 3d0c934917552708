"""`vigie events ingest`: delivery records from a file or standard input."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import click

from collectors.delivery import generic
from monitor.commands.failing import Failure
from monitor.commands.printing import json_option, print_json
from monitor.commands.stored import config_option, stored, utc_now
from monitor.facts import Store
from monitor.facts.too_old import too_old
from monitor.intake.wire import EventCounts, OutcomeCount
from monitor.inventory.providers import read_providers

_LINES_AT_ONCE = 10_000
_LONGEST_LINE = 64 * 1024
_COMMAND = "vigie events ingest"
_LATER = ("kumomta", "powermta", "postfix")


@click.group()
def events() -> None:
    """Delivery records of MTAs and senders."""


@events.command()
@click.option("--format", "shape", required=True, type=click.Choice(("generic", *_LATER)))
@click.argument("file", type=click.File("rb"), default="-")
@config_option
@json_option
def ingest(shape: str, file: BinaryIO, config_file: Path, *, as_json: bool) -> None:
    """Take records from FILE (standard input without one); the same file twice counts once."""
    if shape in _LATER:
        raise Failure(2, f"not supported yet: {', '.join(_LATER)}; supported: generic")
    with stored(config_file) as store:
        counts, messages = _ingest(store, file)
    if as_json:
        for outcome, count in sorted(messages.items()):
            print_json(OutcomeCount(outcome=outcome, messages=count))
        print_json(EventCounts(**counts))
    else:
        for outcome, count in sorted(messages.items()):
            click.echo(f"{outcome:12} {count:>14,}")
        click.echo(", ".join(f"{count:,} {what}" for what, count in counts.items()))
    if counts["rejected"] and not counts["accepted"]:
        sys.exit(1)


def _ingest(store: Store, file: BinaryIO) -> tuple[Counter[str], Counter[str]]:
    counts, messages = Counter({"accepted": 0, "rejected": 0, "repeated": 0}), Counter[str]()
    first = 1
    with store.reading_session() as session:
        providers = read_providers(session)
    for lines in _chunks(file):
        key = hashlib.sha256(b"%d\n" % first + b"".join(lines)).hexdigest()
        decoded = generic.decode(lines, key=key, now=utc_now(), providers=providers, first_line=first, brought_by=_COMMAND)
        (taken,) = store.intake([decoded.batch], utc_now())
        decoded = decoded.without(taken.refused)
        counts["accepted"] += decoded.accepted
        counts["rejected"] += len(decoded.errors)
        messages.update(decoded.messages)
        if not taken.new:
            counts["repeated"] += decoded.accepted
        for text in too_old(taken.batch):
            click.echo(f"parked: {text}", err=True)
        for error in decoded.errors[:10]:
            click.echo(f"line {error.line}: {error.error}", err=True)
        first += len(lines)
        click.echo(f"{first - 1:,} lines", err=True)
    return counts, messages


def _chunks(file: BinaryIO) -> Iterator[list[bytes]]:
    lines = iter(lambda: file.readline(_LONGEST_LINE), b"")
    while chunk := list(islice(lines, _LINES_AT_ONCE)):
        yield chunk
