"""`vigie events ingest`: delivery records from a file or standard input."""

from __future__ import annotations

import hashlib
import secrets
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import click
import orjson

from collectors.delivery import counting, generic
from collectors.delivery.formats import FORMATS, one_a_line
from collectors.delivery.webhooks import RELAYS
from collectors.delivery.webhooks.relay import lines_in_file
from monitor.commands.printing import json_option, print_json
from monitor.commands.record_files import records_in, written_at
from monitor.commands.stored import config_option, configured_and_stored, stored, utc_now
from monitor.config.mta import KumoMta
from monitor.facts import Store
from monitor.facts.too_old import too_old
from monitor.intake.records import PREFIX, Attribution, take_records, trusted
from monitor.intake.wire import EventCounts, OutcomeCount, RecordCounts
from monitor.inventory.known import read_names
from monitor.inventory.owners import read_owners
from monitor.inventory.providers import read_providers

LINES_AT_ONCE = 10_000
_LONGEST_LINE = 64 * 1024
_COMMAND = "vigie events ingest"
Chunks = Iterator[tuple[int, list[counting.Line]]]  # the number of the last line, and what was read
Reader = Callable[[BinaryIO], Chunks]


@click.group()
def events() -> None:
    """Delivery records of MTAs and senders."""


@events.command()
@click.option("--format", "shape", required=True, type=click.Choice(("generic", *FORMATS, *RELAYS)))
@click.argument("files", type=click.File("rb"), nargs=-1, metavar="[FILES]...")
@config_option
@json_option
def ingest(shape: str, files: tuple[BinaryIO, ...], config_file: Path, *, as_json: bool) -> None:
    """Take records from FILES (standard input without one); the same file twice counts once."""
    files = files or (sys.stdin.buffer,)
    if shape in FORMATS or shape in RELAYS:
        _print_records(_ingest_records(config_file, files, shape), as_json=as_json)
        return
    counts, messages = Counter({"accepted": 0, "rejected": 0, "repeated": 0}), Counter[str]()
    with stored(config_file) as store:
        for file in files:
            more, outcomes = _ingest(store, file)
            counts.update(more)
            messages.update(outcomes)
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


def _ingest_records(config_file: Path, files: Sequence[BinaryIO], shape: str) -> RecordCounts:
    source, ignored, outcomes, categories = PREFIX + shape, Counter[str](), Counter[str](), Counter[str]()
    read = unreadable = 0
    with configured_and_stored(config_file) as (config, store):
        settings = config.mta.kumomta or KumoMta()
        with store.reading_session() as session:
            providers = read_providers(session)
            whose = Attribution(settings, read_names(session), read_owners(session))
        reader = _relay_reader(shape, source) if shape in RELAYS else _reader(shape, source)
        for file in files:
            for last, lines in reader(file):
                counted, taken = take_records(
                    lambda batches: store.intake(batches, utc_now()), lines,
                    source=source, key=secrets.token_hex(16), now=utc_now(), providers=providers, whose=whose,
                    trust=trusted(settings), brought_by=_COMMAND,
                )  # fmt: skip
                read, unreadable = read + counted.read, unreadable + len(counted.unreadable)
                for total, more in ((ignored, counted.ignored), (outcomes, counted.outcomes), (categories, counted.categories)):
                    total.update(more)
                _say(getattr(file, "name", "-"), last, counted.unreadable, too_old(taken.batch))
    return RecordCounts(
        read=read, ignored=dict(sorted(ignored.items())), unreadable=unreadable, outcomes=dict(sorted(outcomes.items())),
        categories=dict(sorted(categories.items())),
    )  # fmt: skip


def _reader(shape: str, source: str) -> Reader:
    """Records of MTAs: one reader for all the files, for a log goes on in the next."""
    reading = FORMATS[shape].opened()

    def chunks(file: BinaryIO) -> Chunks:
        reading.begin(written_at(file))
        for records in records_in(file, FORMATS[shape].records, LINES_AT_ONCE):
            yield records[-1][0], counting.records_of(records, reading, source)

    return chunks


def _relay_reader(shape: str, source: str) -> Reader:
    """Posts of a relay, one a line; or one JSON text over several lines."""

    def chunks(file: BinaryIO) -> Chunks:
        posts = [post for chunk in records_in(file, one_a_line, LINES_AT_ONCE) for post in chunk]
        whole = b"".join(body for _, body in posts)
        if len(posts) > 1 and posts[0][1].strip() in (b"[", b"{") and _is_json(whole):
            posts = [(1, whole)]
        for start in range(0, len(posts), LINES_AT_ONCE):
            some = posts[start : start + LINES_AT_ONCE]
            yield some[-1][0], lines_in_file(RELAYS[shape], some, source, utc_now())

    return chunks


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _say(name: str, lines: int, unreadable: Sequence[tuple[int, str]], parked: Iterable[str]) -> None:
    for line, reason in unreadable[:10]:
        click.echo(f"{name}:{line}: {reason}", err=True)
    for text in parked:
        click.echo(f"parked: {text}", err=True)
    click.echo(f"{name}: {lines:,} lines", err=True)


def _print_records(counts: RecordCounts, *, as_json: bool) -> None:
    if as_json:
        print_json(counts)
    else:
        for outcome, count in counts.outcomes.items():
            click.echo(f"{outcome:16} {count:>12,}")
        for category, count in counts.categories.items():
            click.echo(f"  {category:14} {count:>12,}")
        ignored = "".join(f"; ignored {kind}: {count:,}" for kind, count in counts.ignored.items())
        click.echo(f"{counts.read:,} records read, {counts.unreadable:,} unreadable (parked){ignored}")
    if counts.unreadable and not counts.read:
        sys.exit(1)


def _chunks(file: BinaryIO) -> Iterator[list[bytes]]:
    lines = iter(lambda: file.readline(_LONGEST_LINE), b"")
    while chunk := list(islice(lines, LINES_AT_ONCE)):
        yield chunk
