"""`vigie abuse`: abuse cases, whose turn it is, and until when."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from monitor.abuse import rows as abuse_rows
from monitor.abuse.cases import Turn, kinds
from monitor.abuse.rows import Assignment, Shown
from monitor.abuse.wire import AbuseCase
from monitor.commands.failing import Failure
from monitor.commands.printing import json_option, print_json
from monitor.commands.stored import (
    actor,
    changing,
    config_option,
    paging_options,
    print_page,
    stored,
    utc_now,
)
from monitor.database.paging import Page
from monitor.database.tables import AbuseCase as CaseRow
from monitor.database.wire import Transition

_reason = click.option("--reason", required=True, help="Why; whoever reads this later must know.")
_case = click.argument("case_id", metavar="CASE")


@click.group()
def abuse() -> None:
    """Abuse cases."""


@abuse.command("list")
@click.option("--show", "shown", type=click.Choice(list(map(str, Shown))), default=Shown.OPEN.value, show_default=True)
@click.option("--customer", help="Only this customer's.")
@paging_options
@config_option
@json_option
def list_cases(shown: str, customer: str | None, config_file: Path, *, as_json: bool, page: Page) -> None:
    """Cases, the next deadline first."""
    now = utc_now()
    with stored(config_file) as store, store.reading_session() as session:
        cases = abuse_rows.cases(session, now, Shown(shown), customer=customer, page=page)
    print_page(cases, AbuseCase, lambda row: _line(row, now), as_json=as_json, none="no such cases")


@abuse.command()
@_case
@config_option
@json_option
def show(case_id: str, config_file: Path, *, as_json: bool) -> None:
    """One case and what was done, oldest first; with --json the case, then its changes."""
    with stored(config_file) as store, store.reading_session() as session:
        try:
            row, changes = abuse_rows.case(session, case_id), abuse_rows.history(session, case_id)
        except LookupError as error:
            raise Failure(2, str(error)) from None
    if as_json:
        print_json(AbuseCase.from_row(row))
        for change in changes:
            print_json(Transition.from_row(change))
        return
    click.echo(_line(row, utc_now()))
    for change in changes:
        click.echo(f"  {change.at:%Y-%m-%d %H:%M UTC}  {change.old} → {change.new}, {change.actor}: {change.why}")


@abuse.command()
@_case
@click.option("--waits-for", type=click.Choice(list(map(str, Turn))), help="Whose turn it is.")
@click.option("--customer", help="Whose mail it was.")
@click.option("--to", "assignee", help="Who looks after it.")
@click.option("--kind", type=click.Choice(list(kinds())), help="What it is about; the deadline follows.")
@_reason
@config_option
@json_option
def assign(case_id: str, reason: str, config_file: Path, *, as_json: bool, **wanted: Any) -> None:
    """Say whose turn it is, whose mail it was, who looks after it; opens a closed case again."""
    with changing(config_file) as session:
        row = abuse_rows.assign(
            session, case_id, Assignment(**wanted), actor=actor(), reason=reason, now=utc_now()
        )
    _show(row, as_json=as_json)


@abuse.command()
@_case
@_reason
@config_option
@json_option
def close(case_id: str, reason: str, config_file: Path, *, as_json: bool) -> None:
    """Say that nothing is left to do."""
    with changing(config_file) as session:
        row = abuse_rows.close(session, case_id, actor=actor(), reason=reason, now=utc_now())
    _show(row, as_json=as_json)


@abuse.command()
@_case
@_reason
@config_option
@json_option
def note(case_id: str, reason: str, config_file: Path, *, as_json: bool) -> None:
    """Leave a note (the reason) for whoever reads on."""
    with changing(config_file) as session:
        row = abuse_rows.note(session, case_id, actor=actor(), reason=reason, now=utc_now())
    _show(row, as_json=as_json)


def _show(row: CaseRow, *, as_json: bool) -> None:
    if as_json:
        print_json(AbuseCase.from_row(row))
    else:
        click.echo(_line(row, utc_now()))


def _line(row: CaseRow, now: datetime) -> str:
    about = " ".join(filter(None, (row.customer, row.source))) or "nobody's"
    due = f"due {row.deadline_at:%Y-%m-%d %H:%M UTC}{', overdue' if row.deadline_at < now else ''}"
    end = f"since {row.closed_at:%Y-%m-%d %H:%M UTC}" if row.closed_at else due
    count = f"{row.reports} report{'s' if row.reports != 1 else ''} since {row.opened_at:%Y-%m-%d %H:%M UTC}"
    details = "  ".join(filter(None, (row.reporter and f"by {row.reporter}", row.assignee and f"with {row.assignee}", row.subject)))
    return f"{row.id}  {row.kind}  {about}: {row.state.replace('_', ' for ')}, {end}; {count}{f'  {details}' if details else ''}"
