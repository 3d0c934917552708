"""`vigie trace`: what happened to a recipient, to a message, or to the mail of a customer, a campaign or an IP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from monitor.commands.printing import json_option
from monitor.commands.stored import AGO, config_option, paging_options, print_page, stored
from monitor.database.paging import Page
from monitor.database.tables import TraceRow
from monitor.facts.traces import Traced, find_traces
from monitor.facts.wire import Trace
from monitor.inventory.names import canonical


@click.command()
@click.option("--recipient", metavar="ADDRESS", help="Looked up by its keyed hash; kept nowhere.")
@click.option("--message-id")
@click.option("--customer")
@click.option("--campaign")
@click.option("--ip", help="The address it was sent from.")
@click.option("--since", type=AGO, help="A time, or a span such as 24h.")
@paging_options
@config_option
@json_option
def trace(
    config_file: Path, *, ip: str | None, as_json: bool, page: Page, **named: Any
) -> None:
    """What happened, newest first; all that is named must match."""
    try:
        wanted = Traced(**named, ip=ip and canonical("ip", ip))
    except ValueError as error:
        raise click.UsageError(f"--ip: {error}") from None
    if wanted.about_nothing:
        raise click.UsageError("name --recipient, --message-id, --customer, --campaign or --ip")
    with stored(config_file) as store, store.reading_session() as session:
        traces = find_traces(store, session, wanted, page)
    print_page(traces, Trace, _line, as_json=as_json, none="nothing is known")



def _line(row: TraceRow) -> str:
    about = [row.customer, row.stream, row.campaign, row.ip, row.domain, row.provider, row.message_id]
    details = [row.category, row.status, row.reply_code, row.text]
    return "  ".join((
        row.at.strftime("%Y-%m-%d %H:%M:%S UTC"), row.kind, " ".join(filter(None, about)), " ".join(filter(None, details)),
    ))
