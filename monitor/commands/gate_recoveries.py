"""`vigie gate recoveries`, `override` and `shadow`: how held mail comes back, and what would be held."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from monitor.commands.printing import json_option, print_json
from monitor.commands.stored import AHEAD, actor, changing, config_option, stored, utc_now
from monitor.database.paging import Page
from monitor.notify.message import when, where
from monitor.restrictions import recoveries as rows
from monitor.restrictions import shadow
from monitor.restrictions.recovery import Stage
from monitor.restrictions.wire import Recovery, ShadowSuspension


@click.command()
@click.option("--ended", is_flag=True, help="Also those that are as before.")
@config_option
@json_option
def recoveries(config_file: Path, *, ended: bool, as_json: bool) -> None:
    """Where each scope that a rule held is on its way back, the newest first."""
    with stored(config_file) as store, store.reading_session() as session:
        page = rows.find_recoveries(session, Page(), ended=ended)
        shown = [Recovery.from_row(row) for row in page.rows]
    for row in shown:
        if as_json:
            print_json(row)
        else:
            click.echo(_words(row))
    if not shown and not as_json:
        click.echo("nothing is on its way back")


@click.command("shadow")
@click.option("--ended", is_flag=True, help="Also what would have been.")
@config_option
@json_option
def shadowed(config_file: Path, *, ended: bool, as_json: bool) -> None:
    """What would be held, were no rule and not all of automation in shadow, the newest first."""
    with stored(config_file) as store, store.reading_session() as session:
        page = shadow.find_shadows(session, Page(), ended=ended)
        shown = [ShadowSuspension.from_row(row) for row in page.rows]
    for row in shown:
        if as_json:
            print_json(row)
        else:
            over = f" to {when(row.ended_at)}" if row.ended_at else ""
            click.echo(f"{row.effect} on {where(row.scope)} from {when(row.since)}{over}: {row.text} ({row.rule}; {row.why_not})")
    if not shown and not as_json:
        click.echo("nothing would be held")


@click.command()
@click.argument("recovery_id", metavar="RECOVERY")
@click.option("--state", "stage", type=click.Choice([each.value for each in Stage]), required=True, help="Where it stands until then.")
@click.option("--rate-per-hour", type=click.IntRange(min=1), help="With slowed, probing and ramping: messages an hour, at most.")
@click.option("--until", type=AHEAD, required=True, help="When it goes on by itself: a time, or a span such as 2h.")
@click.option("--reason", required=True, help="Why; whoever reads this later must know.")
@config_option
@json_option
def override(
    recovery_id: str, stage: str, rate_per_hour: int | None, until: datetime, reason: str, config_file: Path, *, as_json: bool
) -> None:
    """Say where a scope stands until an instant; nothing moves it until then, and it goes on from there."""
    with changing(config_file) as session:
        row = rows.override(
            session, recovery_id, stage=Stage(stage), until=until, rate_per_hour=rate_per_hour, actor=actor(), reason=reason, now=utc_now()
        )
        shown = Recovery.from_row(row)
    if as_json:
        print_json(shown)
    else:
        click.echo(_words(shown))


def _words(row: Recovery) -> str:
    rate = f" at {row.rate_per_hour:,} an hour" if row.rate_per_hour is not None else ""
    usual = f" of {row.usual_per_hour:,}" if rate and row.usual_per_hour is not None else ""
    relapses = f", {row.relapses} relapses" if row.relapses else ""
    decided = f"; {row.overridden_by} decided until {when(row.overridden_until)}" if row.overridden_until else ""
    return f"{row.id}  {row.stage}{rate}{usual} since {when(row.since)}: {where(row.scope)} ({row.rule}){relapses}{decided}"
