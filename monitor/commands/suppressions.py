"""`vigie suppressions`: who must not be mailed again. Addresses go in; only references are kept."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from monitor.commands.failing import Failure
from monitor.commands.printing import json_option, print_json
from monitor.commands.stored import actor, config_option, paging_options, print_page, stored, utc_now
from monitor.database.paging import Page
from monitor.database.tables import Suppression as SuppressionRow
from monitor.facts import Store
from monitor.inventory.rows import has_customer, streams_of_customers
from monitor.suppressions import rows as suppression_rows
from monitor.suppressions.export import exported
from monitor.suppressions.lines import (
    MOST_AT_ONCE,
    MOST_NAMED,
    Given,
    LinesError,
    read_lines,
    refs_of,
    write,
)
from monitor.suppressions.reasons import SuppressionReason
from monitor.suppressions.rows import Wanted
from monitor.suppressions.stream import Piece, read_stream
from monitor.suppressions.wire import AddedCounts, CheckedAddress, Suppression

PROGRESS_EVERY = 100_000
_REASONS = list(map(str, SuppressionReason))
_customer = click.option("--customer", required=True)
_any_customer = click.option("--customer")
_stream = click.option("--stream", help="Only this stream.")
_reason = click.option("--reason", type=click.Choice(_REASONS), default=SuppressionReason.MANUAL.value, show_default=True)


@click.group("suppressions")
def group() -> None:
    """Who must not be mailed again, by customer."""


@group.command("list")
@_any_customer
@click.option("--recipient", metavar="ADDRESS", help="Looked up by its reference; kept nowhere.")
@_stream
@click.option("--reason", type=click.Choice(_REASONS))
@click.option("--lifted", is_flag=True, help="Also those lifted.")
@paging_options
@config_option
@json_option
def list_(recipient: str | None, config_file: Path, *, as_json: bool, page: Page, **those: Any) -> None:
    """Those in force, newest first."""
    with stored(config_file) as store, store.reading_session() as session:
        refs = refs_of(store, session, those["customer"], recipient)
        rows = suppression_rows.find(session, Wanted(refs=refs, **those), page)
    print_page(rows, Suppression, _line, as_json=as_json, none="nobody is suppressed")


@group.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS…")
@_customer
@_stream
@_reason
@click.option("--text", help="What to remember about it.")
@config_option
@json_option
def add(
    addresses: tuple[str, ...], customer: str, stream: str | None, reason: str, text: str | None,
    config_file: Path, *, as_json: bool,
) -> None:
    """Never mail these addresses again for this customer."""
    options = {"customer": customer, "stream": stream, "reason": reason, "text": text}
    stated = {name: value for name, value in options.items() if value}
    objects = [stated | {"address": each} for each in addresses]
    with stored(config_file) as store:
        given = _given(store, customer, reason)
        _add(store, given, (read_lines(part, given, MOST_AT_ONCE) for part in [objects]), as_json=as_json)


@group.command("import")
@click.argument("file", type=click.File("rb"), default="-")
@_customer
@_reason
@config_option
@json_option
def import_(file: BinaryIO, customer: str, reason: str, config_file: Path, *, as_json: bool) -> None:
    """Take over a list: CSV, NDJSON or one address per line, however long; `-` is standard input.

    What was written stays when it is interrupted; the same list again adds the rest.
    """
    with stored(config_file) as store:
        given = _given(store, customer, reason)
        _add(store, given, read_stream(file, given), as_json=as_json)


@group.command()
@_any_customer
@click.option("--format", "layout", type=click.Choice(("csv", "ndjson")), default="csv", show_default=True)
@config_option
def export(customer: str | None, layout: str, config_file: Path) -> None:
    """All in force: references, no addresses."""
    with stored(config_file) as store:
        for piece in exported(store, customer, layout):
            sys.stdout.buffer.write(piece)


@group.command()
@click.argument("address")
@_customer
@_stream
@click.option("--reason", required=True, help="Why; whoever reads this later must know.")
@config_option
@json_option
def remove(
    address: str, customer: str, stream: str | None, reason: str, config_file: Path, *, as_json: bool
) -> None:
    """Allow an address again; the rows stay, with who lifted them and why."""
    with stored(config_file) as store, store.session() as session:
        refs = {customer: store.recipient_ref(customer, address)}
        standing = suppression_rows.find(session, Wanted(customer, refs), Page(MOST_AT_ONCE))
        rows = [row for row in standing.rows if stream in {None, row.stream}]
        for row in rows:
            suppression_rows.lift(session, int(row.id or 0), customer, actor=actor(), reason=reason, now=utc_now())
    if not rows:
        raise Failure(2, f"nothing holds that address back for customer {customer}")
    for row in rows:
        if as_json:
            print_json(Suppression.from_row(row))
        else:
            click.echo(_line(row))


@group.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS…")
@_customer
@_stream
@config_option
@json_option
def check(
    addresses: tuple[str, ...], customer: str, stream: str | None, config_file: Path, *, as_json: bool
) -> None:
    """May these be mailed? Exit 1 where one of them must not."""
    with stored(config_file) as store, store.reading_session() as session:
        if not has_customer(session, customer):
            raise Failure(2, f"the inventory has no customer {customer}: nothing is known of whom it may mail")
        refs = {each: store.recipient_ref(customer, each) for each in addresses}
        forbidden = suppression_rows.forbidden(session, customer, refs.values(), stream)
    for address, ref in refs.items():
        reasons = sorted({row.reason for row in forbidden.get(ref, ())})
        if as_json:
            print_json(CheckedAddress(address=address, ref=ref, suppressed=bool(reasons), reasons=reasons))
        else:
            click.echo(f"{address}: {', '.join(reasons) or 'may be mailed'}")
    sys.exit(1 if forbidden else 0)


def _given(store: Store, customer: str, reason: str) -> Given:
    with store.reading_session() as session:
        streams = streams_of_customers(session)
    return Given(f"command: {actor()}", utc_now(), streams, store.recipient_ref, customer, SuppressionReason(reason))


def _add(store: Store, given: Given, pieces: Iterator[Piece], *, as_json: bool) -> None:
    added = taken = rejected = 0
    try:
        for suppressed, refused in pieces:
            for each in refused[: max(0, MOST_NAMED - rejected)]:
                click.echo(f"line {each.line}: {each.error}", err=True)
            added += write(store, suppressed, given.now)
            before = taken + rejected
            taken, rejected = taken + len(suppressed), rejected + len(refused)
            if (taken + rejected) // PROGRESS_EVERY > before // PROGRESS_EVERY:
                click.echo(f"{taken + rejected:,} lines", err=True)
    except LinesError as error:
        known = f"; {taken:,} lines before it are written" if taken else ""
        raise Failure(2, f"{error}{known}") from None
    counts = AddedCounts(added=added, already=taken - added, rejected=rejected)
    if as_json:
        print_json(counts)
    else:
        click.echo(", ".join(f"{count} {what}" for what, count in counts))
    if not taken:
        sys.exit(2)


def _line(row: SuppressionRow) -> str:
    where = f"{row.customer}/{row.stream}" if row.stream else row.customer
    lifted = f"  lifted by {row.lifted_by}: {row.lift_reason}" if row.lifted_at else ""
    about = " ".join(filter(None, (row.source, row.how, row.text)))
    since = f"{row.since:%Y-%m-%d %H:%M UTC}"
    return "  ".join((str(row.id), since, where, row.recipient_ref, row.reason, about)) + lifted
