"""`vigie fbl`: what we are enrolled in, where we send without a feedback loop, and which loop has fallen silent."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from monitor.commands.failing import Failure
from monitor.commands.printing import json_option, print_json
from monitor.commands.stored import (
    AHEAD,
    actor,
    changing,
    config_option,
    paging_options,
    print_page,
    stored,
    utc_now,
)
from monitor.database.paging import Page, part
from monitor.database.tables import FblEnrolment
from monitor.feedback_loops.enrolments import EVERYTHING, Kind, State
from monitor.feedback_loops.rows import Wish, drop_enrolment, enrolments, gaps_now, set_enrolment
from monitor.feedback_loops.wire import Enrolment, GapLine, LoopVerdict, NoLoopLine
from monitor.judging.verdict_rows import FEEDBACK_LOOPS, rule_statuses, verdicts_about

_STATES = [state.value for state in State]


@click.group()
def fbl() -> None:
    """Feedback loops: enrolments, gaps, silence."""


@fbl.command("list")
@click.option("--provider", help="Only of this provider.")
@click.option("--state", type=click.Choice(_STATES), help="Only in this state.")
@paging_options
@config_option
@json_option
def list_enrolments(
    provider: str | None, state: str | None, config_file: Path, *, as_json: bool, page: Page
) -> None:
    """What we are enrolled in, or want to be."""
    with stored(config_file) as store, store.reading_session() as session:
        rows = [row for row in enrolments(session) if provider in {None, row.provider} and state in {None, row.state}]
        shown_rows = part(rows, lambda row: (row.provider, row.kind, row.subject), page)
    print_page(shown_rows, Enrolment, _line, as_json=as_json, none="no such enrolments")


@fbl.command("set")
@click.argument("provider")
@click.argument("kind", type=click.Choice(list(map(str, Kind))))
@click.argument("subject", default=EVERYTHING)
@click.argument("state", type=click.Choice([*_STATES, "none"]))
@click.option("--contact", help="Whom the provider writes to, or whom to write to there.")
@click.option("--note", help="Ticket, portal, what to remember.")
@click.option("--ends-at", type=AHEAD, help="When it ends by itself: a time, or a span such as 365d.")
@click.option("--reason", required=True, help="Why; whoever reads this later must know.")
@config_option
@json_option
def set_state(
    provider: str, kind: str, subject: str, state: str, reason: str, config_file: Path, *, as_json: bool, **details: Any
) -> None:
    """Say how it stands at PROVIDER with SUBJECT (an IP or network, a domain, a name); `none` forgets it."""
    who = {"actor": actor(), "reason": reason}
    with changing(config_file) as session:
        if state == "none":
            row = drop_enrolment(session, (provider, Kind(kind), subject), **who, now=utc_now())
        else:
            wish = Wish(provider, Kind(kind), subject, State(state), **details)
            row = set_enrolment(session, wish, **who, now=utc_now())
    if as_json:
        print_json(Enrolment.from_row(row))
    else:
        click.echo(f"{row.kind} {row.subject} is forgotten at {row.provider}" if state == "none" else _line(row))


@fbl.command()
@config_option
@json_option
def gaps(config_file: Path, *, as_json: bool) -> None:
    """Where mail of the last seven days went without a loop; exit code 1 where there is any such."""
    with stored(config_file) as store:
        coverage = gaps_now(store, utc_now())
    for gap in coverage.gaps:
        if as_json:
            print_json(GapLine.from_row(gap))
            continue
        click.echo(f"{gap.summary}\n  {gap.action}")
        for group in gap.groups:
            named = ", ".join(group.subjects[:5]) + (f" and {len(group.subjects) - 5} more" if len(group.subjects) > 5 else "")
            click.echo(f"  {group.owner}: {named} ({group.delivered:,.0f})")
    for each in coverage.without:
        if as_json:
            print_json(NoLoopLine.from_row(each))
        else:
            click.echo(f"no gap to close: {each.summary} ({each.delivered:,.0f} a week)")
    sys.exit(1 if coverage.gaps else 0)


@fbl.command()
@config_option
@json_option
def silence(config_file: Path, *, as_json: bool) -> None:
    """Which loops have fallen silent, speak, or cannot be judged, as last judged; exit code 1 where one is silent."""
    with stored(config_file) as store, store.reading_session() as session:
        verdicts = verdicts_about(session, FEEDBACK_LOOPS)
        is_judged = any(status.signal == FEEDBACK_LOOPS for status in rule_statuses(session))
    if not is_judged:
        raise Failure(3, "no rule about feedback loops has been judged yet — start vigie run, with a rule about the signal feedback_reports")
    for verdict in verdicts:
        shown = LoopVerdict.shown(verdict)
        if as_json:
            print_json(shown)
        else:
            reason = f" ({shown.reason})" if shown.reason else ""
            click.echo(f"{shown.provider}: {shown.verdict}{reason}: {shown.summary}")
    sys.exit(1 if any(verdict.word == "breach" for verdict in verdicts) else 0)


def _line(row: FblEnrolment) -> str:
    end = f", until {row.ends_at:%Y-%m-%d}" if row.ends_at else ""
    details = "  ".join(filter(None, (row.contact, row.note)))
    return f"{row.provider}  {row.kind} {row.subject}: {row.state}{end}, since {_since(row):%Y-%m-%d}{f'  {details}' if details else ''}"


def _since(row: FblEnrolment) -> datetime:
    return {State.REQUESTED: row.requested_at, State.ACTIVE: row.active_at}.get(State(row.state)) or row.updated_at
