"""What operators do: `vigie hold`, `slow`, `lift`, `silence`, `ack`. Each says why, and leaves a transition."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import click

from monitor.commands.failing import configured
from monitor.commands.printing import json_option, print_json
from monitor.commands.stored import AHEAD, SHARE, actor, changing, config_option, utc_now
from monitor.incidents import changes as incident_changes
from monitor.incidents import silences
from monitor.incidents.matchers import Matcher, parse
from monitor.incidents.wire import Incident, Silence
from monitor.inventory.names import canonical
from monitor.inventory.providers import read_providers
from monitor.judging.configured_rules import configured_names
from monitor.notify.message import suspension_text, when, where
from monitor.restrictions import suspensions
from monitor.restrictions.wire import Suspension
from monitor.wire import Wire

_reason = click.option("--reason", required=True, help="Why; whoever reads this later must know.")
_until = click.option("--until", type=AHEAD, help="When it ends: a time, or a span such as 2h.")


class Wanted(NamedTuple):
    """What is asked of a suspension."""

    reason: str
    until: datetime | None
    rate_per_hour: int | None = None
    probe: float | None = None


def _scope_options(command: Callable[..., None]) -> Callable[..., None]:
    for name in reversed(suspensions.SCOPE_DIMENSIONS):
        command = click.option(f"--{name}")(command)
    return command


@click.command()
@_scope_options
@click.option("--probe", type=SHARE, help="Let so much of it through, to be judged by, such as 5%.")
@_until
@_reason
@config_option
@json_option
def hold(
    probe: float | None, until: datetime | None, reason: str, config_file: Path, *, as_json: bool, **scope: str | None
) -> None:
    """Stop mail of a scope: whoever asks the gate gets the answer hold."""
    _suspend(config_file, "hold", scope, Wanted(reason, until, probe=probe), as_json=as_json)


@click.command()
@_scope_options
@click.option("--rate-per-hour", type=click.IntRange(min=1), required=True, help="Messages an hour, at most.")
@_until
@_reason
@config_option
@json_option
def slow(
    rate_per_hour: int, until: datetime | None, reason: str, config_file: Path, *, as_json: bool, **scope: str | None
) -> None:
    """Slow mail of a scope."""
    _suspend(config_file, "slow", scope, Wanted(reason, until, rate_per_hour), as_json=as_json)


@click.command()
@click.argument("suspension_id", metavar="SUSPENSION")
@_reason
@config_option
@json_option
def lift(suspension_id: str, reason: str, config_file: Path, *, as_json: bool) -> None:
    """Lift a suspension."""
    now = utc_now()
    with changing(config_file) as session:
        row = suspensions.lift(session, suspension_id, actor=actor(), reason=reason, now=now)
    text = f"{row.id} is lifted: {where(row.scope)}"
    if row.lifted_at is not None and row.lifted_at < now:
        text = f"{row.id} was lifted already, by {row.lifted_by} at {when(row.lifted_at)}"
    _show(Suspension.from_row(row), text, as_json=as_json)


@click.command()
@click.option("--match", "matches", multiple=True, metavar="NAME=VALUE",
              help="Such as rule=ip-listed, customer!=acme, ip=~192.0.2.*; repeat: all match.")
@click.option("--until", type=AHEAD, help="When it ends: a time, or a span such as 2h.")
@click.option("--end", "ended", metavar="SILENCE", help="End this silence now instead.")
@click.option("--preview", is_flag=True, help="Only show which open incidents it would be about.")
@_reason
@config_option
@json_option
def silence(
    matches: tuple[str, ...], until: datetime | None, ended: str | None, reason: str, config_file: Path,
    *, preview: bool, as_json: bool,
) -> None:
    """Notify nobody of matching incidents for a time; they are judged on."""
    if ended is not None:
        with changing(config_file) as session:
            row = silences.end_silence(session, ended, actor=actor(), reason=reason, now=utc_now())
        _show(Silence.from_row(row), f"{row.id} has ended", as_json=as_json)
        return
    if not matches or (until is None and not preview):
        raise click.UsageError("a silence needs --match and --until")
    matchers = [_matcher(match) for match in matches]
    with configured(config_file) as config:
        known = configured_names(config)
    if preview:
        with changing(config_file) as session:
            matching = silences.would_silence(session, matchers, labels=known[silences.RULE_LABELS])
        if not matching:
            click.echo("no open incident matches", err=True)
        for incident in matching:
            _show(Incident.from_row(incident), f"{incident.id} {incident.state}: {incident.summary}", as_json=as_json)
        return
    assert until is not None
    with changing(config_file) as session:
        row = silences.put_silence(
            session, silences.Wanted(matchers, until), actor=actor(), reason=reason, now=utc_now(), known=known,
        )
    text = ", ".join(map(str, silences.matchers_of(row)))
    _show(Silence.from_row(row), f"{row.id} until {when(row.until)}: {text}", as_json=as_json)


@click.command()
@click.argument("incident_id", metavar="INCIDENT")
@_until
@_reason
@config_option
@json_option
def ack(incident_id: str, until: datetime | None, reason: str, config_file: Path, *, as_json: bool) -> None:
    """Say that you look after an incident."""
    with changing(config_file) as session:
        row = incident_changes.acknowledge(session, incident_id, actor=actor(), reason=reason, now=utc_now(), until=until)
    _show(Incident.from_row(row), f"{row.id} is acknowledged by {row.acked_by}", as_json=as_json)


def _suspend(
    config_file: Path, effect: str, named: dict[str, str | None], wanted: Wanted, *, as_json: bool
) -> None:
    with changing(config_file) as session:
        providers = read_providers(session)
        scope = {name: canonical(name, value, providers) for name, value in named.items() if value is not None}
        row = suspensions.hold(
            session, scope=scope, effect=effect, actor=actor(), reason=wanted.reason, now=utc_now(), until=wanted.until,
            rate_per_hour=wanted.rate_per_hour, probe=wanted.probe,
        )
    _show(Suspension.from_row(row), f"{row.id}: {suspension_text(row)}", as_json=as_json)


def _matcher(match: str) -> Matcher:
    try:
        return parse(match)
    except ValueError as error:
        raise click.UsageError(f"--match {error}") from None


def _show(shown: Wire, text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
    else:
        click.echo(text)
