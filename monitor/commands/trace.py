"""`vigie trace`: what happened to a recipient, to a message, or to a customer's mail."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from monitor.commands.stored import AGO, config_option, json_option, print_row, stored
from monitor.database.tables import TraceRow
from monitor.facts.traces import Traced, find_traces


@click.command()
@click.option("--recipient", metavar="ADDRESS", help="Looked up by its keyed hash; kept nowhere.")
@click.option("--message-id")
@click.option("--customer")
@click.option("--since", type=AGO, help="A time, or a span such as 24h.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True)
@config_option
@json_option
def trace(
    recipient: str | None, message_id: str | None, customer: str | None, since: datetime | None, limit: int,
    config_file: Path, *, as_json: bool,
) -> None:
    """What happened, newest first."""
    asked = Traced(recipient, message_id, customer, since)
    if asked.about_nothing:
        raise click.UsageError("name --recipient, --message-id or --customer")
    with stored(config_file) as store:
        rows = find_traces(store, asked, limit)
    for row in rows:
        if as_json:
            print_row(row)
        else:
            click.echo(_line(row))
    if not rows:
        click.echo("nothing is known", err=True)


def _line(row: TraceRow) -> str:
    about = [row.customer, row.stream, row.campaign, row.ip, row.domain, row.provider, row.message_id]
    said = [row.category, row.status, row.reply_code, row.text]
    return "  ".join((
        row.at.strftime("%Y-%m-%d %H:%M:%S UTC"), row.kind, " ".join(filter(None, about)), " ".join(filter(None, said)),
    ))
