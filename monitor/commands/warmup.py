"""`vigie warmup`: plans drawn, warm-ups begun and stopped, and how everything stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from monitor.commands.failing import Failure, configured
from monitor.commands.printing import json_option, print_json
from monitor.commands.stored import actor, changing, config_option, stored, utc_now
from monitor.config.warmup import WarmUp as Settings
from monitor.inventory.names import canonical
from monitor.inventory.providers import read_providers
from monitor.warmup.chart import plan_svg, terminal
from monitor.warmup.plans import Plan, plan_named, shipped, with_own
from monitor.warmup.rows import Allowance, Start, allowance_of, going_on, opened, scope_of
from monitor.warmup.rows import start as start_warm_up
from monitor.warmup.rows import stop as stop_warm_up
from monitor.warmup.standing import Standing
from monitor.warmup.wire import PlanLine, WarmUpLine

_reason = click.option("--reason", required=True, help="Why; whoever reads this later must know.")


def _about(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--provider", required=True, help="Id of a mailbox provider, such as gmail."),
        click.option("--domain", help="The sending domain."),
        click.option("--ip", help="The sending address."),
    ):
        command = option(command)
    return command


@click.group()
def warmup() -> None:
    """Warm-up: plans, standings, begin and end."""


@warmup.command()
@click.argument("name", required=False)
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Draw the plan into this file.")
@click.option("--target", type=click.IntRange(min=1), help="Say on which step this many messages a day are allowed.")
@config_option
@json_option
def plan(name: str | None, svg: Path | None, target: int | None, config_file: Path, *, as_json: bool) -> None:
    """Show and draw the plan NAME, or list all; own plans are those of the configuration."""
    plans = _plans(config_file)
    if name is None:
        if svg is not None:
            raise click.UsageError("--svg draws one plan: name it")
        for each in plans.values():
            _show_plan(each, target, as_json=as_json, drawn=False)
        return
    chosen = _chosen(plans, name)
    if svg is not None:
        try:
            svg.write_text(plan_svg(chosen.per_day, f"{chosen.name}: messages a day by step"), "utf-8")
        except OSError as error:
            raise Failure(2, f"{svg}: {error.strerror}") from None
    _show_plan(chosen, target, as_json=as_json, drawn=True)


@warmup.command()
@_about
@click.option("--plan", "plan_name", required=True, help="The plan to go by (vigie warmup plan).")
@click.option("--overflow", metavar="POOL", help="The pool for what is above the day's cap; else warmup.overflow.")
@_reason
@config_option
@json_option
def start(
    ip: str | None, domain: str | None, provider: str, plan_name: str, overflow: str | None, reason: str, config_file: Path,
    *, as_json: bool,
) -> None:
    """Begin the warm-up of an IP or a domain at a provider: from now on its mail there has a cap a day."""
    _one_of(ip, domain)
    with configured(config_file) as config:
        settings = config.warmup
    chosen, now = _chosen(with_own(settings.plans), plan_name), utc_now()
    with changing(config_file) as session:
        providers = read_providers(session)
        scope = {name: canonical(name, value, providers) for name, value in scope_of(ip, domain, provider).items()}
        zone = _zone(settings, providers.rows, scope["provider"])
        wanted = Start(scope.get("ip"), scope.get("domain"), scope["provider"], chosen, zone, overflow or settings.overflow)
        row = start_warm_up(session, wanted, actor=actor(), reason=reason, now=now)
        session.flush()
        [allowance] = going_on(session, now, [row.id])
    _show(allowance, as_json=as_json)


@warmup.command()
@_about
@click.option("--plan", "plan_name", help="Only if it goes by this plan.")
@_reason
@config_option
@json_option
def stop(
    ip: str | None, domain: str | None, provider: str, plan_name: str | None, reason: str, config_file: Path, *, as_json: bool
) -> None:
    """End a warm-up: its mail has no cap any more."""
    _one_of(ip, domain)
    now = utc_now()
    with changing(config_file) as session:
        providers = read_providers(session)
        scope = {name: canonical(name, value, providers) for name, value in scope_of(ip, domain, provider).items()}
        row = stop_warm_up(session, scope, actor=actor(), reason=reason, now=now, plan=plan_name)
        last = allowance_of(row, opened(session, now, [row.id]), now)
    if as_json:
        _show(last, as_json=True)
    else:
        click.echo(f"stopped: {_place(last)}, on step {last.step} of {last.steps} ({last.plan})")


@warmup.command()
@click.option("--provider", help="Only at this provider.")
@click.option("--need", is_flag=True, help="Only those that need a person.")
@config_option
@json_option
def show(provider: str | None, config_file: Path, *, need: bool, as_json: bool) -> None:
    """How every IP and domain stands: plan, step, what may be sent today and what is left."""
    with stored(config_file) as store, store.reading_session() as session:
        meant = canonical("provider", provider, read_providers(session)) if provider is not None else None
        rows = [row for row in going_on(session, utc_now()) if meant in {None, row.provider} and (row.needs or not need)]
    for row in rows:
        _show(row, as_json=as_json)
    if not rows:
        click.echo("no warm-up goes on" if not need else "no warm-up needs a person", err=True)


def _plans(config_file: Path) -> Mapping[str, Plan]:
    """The shipped plans, and those of the configuration where there is one."""
    if not config_file.exists() and config_file == Path("vigie.yaml"):
        return shipped()
    with configured(config_file) as config:
        return with_own(config.warmup.plans)


def _chosen(plans: Mapping[str, Plan], name: str) -> Plan:
    try:
        return plan_named(plans, name)
    except ValueError as error:
        raise Failure(2, str(error)) from None


def _one_of(ip: str | None, domain: str | None) -> None:
    if (ip is None) == (domain is None):
        raise click.UsageError("one of --ip and --domain")


def _zone(settings: Settings, providers: Mapping[str, object], provider: str) -> str:
    own = settings.zones.get(provider)
    return own or getattr(providers.get(provider), "zone", None) or "UTC"


def _show_plan(each: Plan, target: int | None, *, as_json: bool, drawn: bool) -> None:
    if as_json:
        print_json(PlanLine.from_row(each))
        return
    click.echo(f"{each.name}: {len(each.per_day)} steps, {each.per_day[0]:,} to {each.per_day[-1]:,} messages a day")
    click.echo(f"  from: {each.source}")
    if each.note:
        click.echo(f"  note: {each.note}")
    if target is not None:
        step = each.reaches(target)
        click.echo(f"  {target:,} a day: " + (f"on step {step}, after {step - 1} good sending days" if step else "on no step"))
    if drawn:
        click.echo("\n".join(terminal(each.per_day)))


def _show(row: Allowance, *, as_json: bool) -> None:
    if as_json:
        print_json(WarmUpLine.from_row(row))
        return
    click.echo(_line(row))
    if row.needs:
        click.echo(f"  a person is needed: {row.needs}")


def _place(row: Allowance) -> str:
    return f"{row.ip or row.domain} at {row.provider}"


def _line(row: Allowance) -> str:
    text = f"{_place(row)}: {row.standing}, {row.plan} step {row.step} of {row.steps}"
    if row.standing is Standing.WARM:
        return f"{text}, no cap"
    text += f"; today {row.cap:,}: used {row.used:,}, granted {row.granted:,}, left {row.left:,}; anew at {row.resets_at:%Y-%m-%d %H:%M} UTC"
    return text + (f"; the rest to {row.pool}" if row.pool else "")
