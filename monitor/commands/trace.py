"""`vigie trace`: what happened to a recipient, to a message, or to a customer's mail."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from monitor.commands.printing import json_option
from monitor.commands.stored import AGO, config_option, paging_options, print_page, stored
from monitor.database.paging import Page
from monitor.database.tables import TraceRow
from monitor.facts.traces import Traced, find_traces
from monitor.facts.wire import Trace


@click.command()
@click.option("--recipient", metavar="ADDRESS", help="Looked up by its keyed hash; kept nowhere.")
@click.option("--message-id")
@click.option("--customer")
@click.option("--since", type=AGO, help="A time, or a span such as 24h.")
@paging_options
@config_option
@json_option
def trace(
    recipient: str | None, message_id: str | None, customer: str | None, since: datetime | None,
    config_file: Path, *, as_json: bool, page: Page,
) -> None:
    """What happened, newest first."""
    wanted = Traced(recipient, message_id, customer, since)
    if wanted.about_nothing:
        raise click.UsageError("name --recipient, --message-id or --customer")
    with stored(config_file) as store, store.reading_session() as session:
        traces = find_traces(store, session, wanted, page)
    print_page(traces, Trace, _line, as_json=as_json, none="nothing is known")



def _line(row: TraceRow) -> str:
    about = [row.customer, row.stream, row.campaign, row.ip, row.domain, row.provider, row.message_id]
    details = [row.category, row.status, row.reply_code, row.text]
    return "  ".join((
        row.at.strftime("%Y-%m-%d %H:%M:%S UTC"), row.kind, " ".join(filter(None, about)), " ".join(filter(None, details)),
    ))
