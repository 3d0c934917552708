"""`vigie gate explain`: why one mail is held or let through, every restriction in force considered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from monitor.commands.gate_request import about_one_mail, request_of
from monitor.commands.printing import json_option, print_json
from monitor.commands.stored import config_option, stored, utc_now
from monitor.gate import decide
from monitor.gate.explain import explain as considered
from monitor.notify.message import where
from monitor.restrictions.explained import Explained, Explanation, explained
from monitor.restrictions.follow import GateIndex
from monitor.restrictions.rows import suspension_named

_MOST_ASIDE = 20  # of those that do not apply, the nearest


@click.command()
@about_one_mail
@click.option("--all", "everything", is_flag=True, help=f"Also more than {_MOST_ASIDE} that do not apply.")
@config_option
@json_option
def explain(config_file: Path, *, everything: bool, as_json: bool, **parameters: Any) -> None:
    """Why is this mail held? What applies to it, what comes near and why not, and who can lift it."""
    request = request_of(parameters)
    with stored(config_file) as store:
        now, gate = utc_now(), GateIndex()
        index = gate.refresh(store, now, everything=True)
        every = considered(request, index, now)
        applying = [each for each in every if each.applies]
        aside = [each for each in every if not each.applies]
        shown = [*applying, *(aside if everything else aside[:_MOST_ASIDE])]
        with store.reading_session() as session:
            rows = [explained(each, suspension_named(session, each.restriction.id)) for each in shown]
        decision = decide(request, index, now)
    left_out = len(every) - len(shown)
    if as_json:
        print_json(Explanation(
            decision=decision.decision, considered=len(every), applying=len(applying), left_out=left_out, restrictions=rows
        ))  # fmt: skip
        return
    click.echo(f"{decision.decision}: {len(applying):,} of {len(every):,} restrictions in force apply")
    for row in rows:
        click.echo(_words(row))
    if left_out:
        click.echo(f"{left_out:,} more do not apply (--all)")


def _words(row: Explained) -> str:
    rate = f", {row.rate_per_hour:,} an hour" if row.rate_per_hour is not None else ""
    lines = [f"{'*' if row.applies else '-'} {row.id}  {row.effect}{rate} on {where(row.scope)}: {row.text}", f"    {row.why}"]
    if row.applies:
        since = f"since {row.since:%Y-%m-%d %H:%M} UTC" if row.since else ""
        until = f"until {row.until:%Y-%m-%d %H:%M} UTC" if row.until else "no end of its own"
        lines.append("    " + ", ".join(filter(None, (since, until, f"put on by {row.actor}" if row.actor else ""))))
        lines += [f"    lifted by {who}" for who in row.who_lifts]
    return "\n".join(lines)
