"""`vigie mail parked`: mails that could not be used, until somebody has looked."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from sqlmodel import Session

from collectors.contract import Reason
from collectors.observation import Batch
from collectors.report_mail.facts import SOURCE
from monitor.app import Application
from monitor.commands.failing import Failure
from monitor.commands.printing import json_option, print_json
from monitor.commands.service import prepared_application
from monitor.commands.stored import actor, config_option, paging_options, print_page, stored, utc_now
from monitor.database.paging import Page
from monitor.facts.parked import ParkedInput, body_of, find_parked, parked_among, settle
from monitor.facts.series_limit import read_refused
from monitor.facts.wire import Parked
from monitor.intake.wire import ReadAgain

SHOWN_BYTES = 2_000
# of these there is not enough to be read again
INCOMPLETE = {Reason.TOO_LARGE: "only its beginning was kept", Reason.REFUSED: "nothing of it was kept",
              Reason.TOO_OLD: "what it says is older than anything that is kept"}
ids_argument = click.argument("ids", metavar="ID…", nargs=-1, type=int)


@click.group()
def parked() -> None:
    """Mails that could not be used: look, read them again, settle them."""


@parked.command("list")
@click.option("--reason", type=click.Choice([reason.value for reason in Reason]))
@click.option("--settled", is_flag=True, help="Also those already settled.")
@paging_options
@config_option
@json_option
def list_parked(reason: str | None, settled: bool, config_file: Path, *, as_json: bool, page: Page) -> None:
    """Those that wait, the oldest first."""
    with stored(config_file) as store, store.reading_session() as session:
        mails = find_parked(session, SOURCE, page, reason=reason, settled=settled)
    print_page(mails, Parked, _line, as_json=as_json, none="nothing is parked")


@parked.command()
@click.argument("parked_id", metavar="ID", type=int)
@click.option("--raw", is_flag=True, help="The mail itself, as it was received, and nothing else.")
@config_option
@json_option
def show(parked_id: int, raw: bool, config_file: Path, *, as_json: bool) -> None:
    """One of them, with the beginning of the mail."""
    with stored(config_file) as store, store.reading_session() as session:
        mails = parked_among(session, SOURCE, [parked_id])
        if not mails:
            raise Failure(2, f"no parked mail {parked_id}")
        body = body_of(session, parked_id, None if raw else SHOWN_BYTES)
    if raw:
        sys.stdout.buffer.write(body)
        return
    if as_json:
        print_json(Parked.from_row(mails[0]))
    else:
        click.echo(_line(mails[0]))
        # control characters of a stranger's mail must not reach the terminal
        text = body.decode("utf-8", "replace").replace("\r\n", "\n")
        click.echo("".join(char if char.isprintable() or char == "\n" else "·" for char in text))


@parked.command()
@ids_argument
@click.option("--all", "everything", is_flag=True, help="All that wait.")
@click.option("--reason", type=click.Choice([reason.value for reason in Reason]), help="All that wait for this reason.")
@click.option("--source", help="Read them as mails of this source, where their own is gone.")
@config_option
@json_option
def retry(ids: tuple[int, ...], everything: bool, reason: str | None, source: str | None, config_file: Path, *,
          as_json: bool) -> None:
    """Read them again with what is known today; those that are understood now are counted and settled."""
    if not ids and not everything and reason is None:
        raise click.UsageError("name IDs, --reason or --all")
    still = 0
    with prepared_application(config_file) as application:
        with application.store.reading_session() as session:
            mails = parked_among(session, SOURCE, ids) if ids else _waiting(session, reason)
        for each in mails:
            became = _read_again(application, each, source) if each.settled_at is None else "settled before"
            still += became.startswith("parked")
            if as_json:
                print_json(ReadAgain(id=each.id, became=became))
            else:
                click.echo(f"{each.id}: {became}")
        application.judge_once()
    if still or not mails:
        sys.exit(1)


@parked.command("settle")
@ids_argument
@click.option("--reason", required=True, help="Why nobody needs to look any more.")
@config_option
def settle_parked(ids: tuple[int, ...], reason: str, config_file: Path) -> None:
    """Say that they need no more looking at; they are kept for a while, with the reason."""
    with stored(config_file) as store, store.session() as session:
        try:
            count = settle(session, ids, by=actor(), why=reason, now=utc_now())
        except ValueError as error:
            raise Failure(2, str(error)) from None
    click.echo(f"{count} settled")
    if count < len(set(ids)):
        sys.exit(1)


def _read_again(application: Application, each: ParkedInput, source: str | None) -> str:
    """What it became. Its facts are committed before it is settled: a crash between makes a harmless repeat."""
    if missing := INCOMPLETE.get(Reason(each.reason)):
        return f"parked: {missing}"
    with application.store.reading_session() as session:
        body = body_of(session, each.id)
    if each.reason == Reason.SERIES_LIMIT:
        return _counted_again(application, each, body)
    named, _, where = each.place.partition("/")
    try:
        report, batches = application.mail.read(body, source or named, where, each.received_at)
    except LookupError as error:
        return f"parked: {error}; name another with --source"
    taken = application.take([batch for batch in batches if not batch.parked])
    unused = (*(each.batch for each in taken), *batches)
    if still := next((parked for batch in unused for parked in batch.parked), None):
        return f"parked: {still.text}"
    became = f"{report.kind}{'' if any(each.new for each in taken) else ', counted before'}"
    with application.store.session() as session:
        settle(session, [each.id], by=actor(), why=f"read again: {became}", now=application.clock())
    return became


def _counted_again(application: Application, each: ParkedInput, body: bytes) -> str:
    """Readings that were one new series too many on their day. What is still too much is parked anew."""
    readings = tuple(reading for reading, _ in read_refused(body))
    (taken,) = application.take([Batch(SOURCE, f"parked:{each.id}", each.received_at, readings)])
    still = sum((reading.measure, reading.subject) in taken.refused for reading in readings)
    became = f"{len(readings) - still} of {len(readings)} readings counted" + (", the others are parked anew" if still else "")
    with application.store.session() as session:
        settle(session, [each.id], by=actor(), why=f"read again: {became}", now=application.clock())
    return f"parked: {became}" if still else became


def _waiting(session: Session, reason: str | None) -> list[ParkedInput]:
    """All of them, page by page."""
    rows, page = [], Page()
    while True:
        mails = find_parked(session, SOURCE, page, reason=reason)
        rows += mails.rows
        if mails.next is None:
            return rows
        page = Page(after=mails.next)


def _line(each: ParkedInput) -> str:
    settled = f"  settled by {each.settled_by}: {each.settled_why}" if each.settled_at else ""
    return (f"{each.id}  {each.received_at:%Y-%m-%d %H:%M}  {each.place}  {each.size:,} bytes  {each.reason}: "
            f"{each.text}{settled}")
