"""`vigie dnsbl`: ask DNS block and allow lists now, and see which lists there are.

`check` asks once, keeps nothing and tells no one. Keys come from the environment variable VIGIE_DNSBL_KEYS
(`spamhaus-dqs-*=abc,abusix-*=def`), never from the command line, where every user of the machine reads them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NoReturn

import click

from collectors.clients.dns import Pace, Server
from collectors.clients.dns_resolvers import parse_server, public_name, system_servers
from collectors.contract import CollectorError, Reason, Target
from collectors.dnsbl.budget import Budget
from collectors.dnsbl.canary import Canaries, Health
from collectors.dnsbl.catalogue import Catalogue, CatalogueError, DnsList, load_catalogue
from collectors.dnsbl.decode import unknown
from collectors.dnsbl.facts import delist_url, is_finding
from collectors.dnsbl.question import UnsupportedTargetError, Zone, is_public, key_for, parse_target
from collectors.dnsbl.sweep import Resolvers, Result, Sweep, operator_of
from monitor.commands.printing import json_option, print_json
from monitor.listings.wire import CanaryHealth, DnsblAnswer, DnsblList

KEYS_VARIABLE = "VIGIE_DNSBL_KEYS"
FINDING, MISUSE, UNREACHABLE = 1, 2, 3
_COLOURS = {"listed": "red", "not_listed": "green", "unknown": "yellow"}


@click.group()
def dnsbl() -> None:
    """Ask DNS block and allow lists about IPs and domains."""


_resolver = click.option(
    "--resolver", "resolvers", multiple=True, metavar="HOST:PORT", help="Ask this resolver; repeat for more."
)
_catalogue = click.option(
    "--catalogue", type=click.Path(dir_okay=False), help="Lists of your own (JSON or YAML) instead of the shipped ones."
)


@dnsbl.command()
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@_resolver
@_catalogue
@click.option("--lists", "chosen", metavar="A,B", help="Ids or patterns; else those on by default.")
@click.option("--role", default="mta", show_default=True, help="What the targets do: policy lists mind mta only.")
@click.option("--no-canary", is_flag=True, help="Believe every list without trying its test points.")
@click.option("--timeout", default=2.0, show_default=True, type=click.FloatRange(min=0, min_open=True),
              help="Seconds for one attempt; there are two.")
@json_option
def check(
    targets: tuple[str, ...],
    resolvers: tuple[str, ...],
    catalogue: str | None,
    chosen: str | None,
    role: str,
    no_canary: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Ask lists about IPs and domains: one row per target and list.

    Exit 0: nothing listed. 1: a block list lists a target. 2: bad usage or configuration. 3: no resolver answers.
    """
    try:
        known = load_catalogue(catalogue)
        lists = _choose(known, chosen)
        zones = [Zone(entry, key_for(entry, _keys())) for entry in lists]
        through = Resolvers(_servers(resolvers))
    except (CatalogueError, CollectorError) as error:
        _fail(getattr(error, "text", str(error)))
    sweep = Sweep(
        through,
        pace=Pace(timeout_seconds=timeout),
        canaries=None if no_canary else Canaries(),
        budget=_budget(known, lists, len(targets)),
        operators=known.operators,
    )
    results = _results(sweep, list(dict.fromkeys(targets)), zones, role)
    for text, result in results:
        if as_json:
            print_json(_answer(text, result))
        else:
            click.echo(_line(text, result))
    for server, reason in sweep.faults.items():
        _say(f"most lists fail alike through {server} ({reason}): it is the resolver or the network, not the lists")
    sys.exit(_exit_code(sweep, [result for _, result in results]))


def _choose(known: Catalogue, chosen: str | None) -> list[DnsList]:
    lists = known.choose(part.strip() for part in chosen.split(",") if part.strip()) if chosen else known.enabled()
    if not lists:
        raise CatalogueError("no list is chosen and none is on by default")
    for entry in lists:
        if entry.is_dead:
            _say(f"{entry.id} is not asked: {entry.obituary()}")
    return lists


def _keys() -> dict[str, str]:
    pairs = (part.partition("=") for part in os.environ.get(KEYS_VARIABLE, "").split(",") if part.strip())
    return {pattern.strip(): key.strip() for pattern, _, key in pairs}


def _servers(texts: Sequence[str]) -> tuple[Server, ...]:
    if not texts:
        return system_servers()
    servers = tuple(dict.fromkeys(parse_server(text) for text in texts))
    for server in servers:
        if name := public_name(server):
            _say(f"{server} is a public resolver ({name}): many lists refuse it or answer it wrongly")
    return servers


def _budget(known: Catalogue, lists: Sequence[DnsList], target_count: int) -> Budget:
    limits = {name: told.daily_queries for name, told in known.operators.items() if told.daily_queries}
    for operator in sorted({operator_of(entry) for entry in lists} & set(limits)):
        needed = target_count * sum(operator_of(entry) == operator for entry in lists)
        if needed > limits[operator]:
            _say(f"{operator} allows {limits[operator]} questions a day, {needed} are wanted: the rest stays unknown")
    return Budget(limits)


def _results(sweep: Sweep, texts: Sequence[str], zones: Sequence[Zone], role: str) -> list[tuple[str, Result]]:
    """One result per target as typed and list, in the order given."""
    parsed: dict[str, Target | str] = {}
    for text in texts:
        try:
            parsed[text] = parse_target(text, role)
        except UnsupportedTargetError as error:
            parsed[text] = str(error)
            _say(f"unsupported target {error}")
    targets = list(dict.fromkeys(target for target in parsed.values() if isinstance(target, Target)))
    if inner := [target.name for target in targets if not is_public(target)]:
        _say(f"{len(inner)} of {len(targets)} are no public addresses (first {inner[0]}): only lists of your own hold them")
    pairs = {zone.entry.id: targets for zone in zones}
    found: dict[tuple[str, str], Result] = {}
    for chunk in sweep.run(pairs, zones, datetime.now(UTC)):
        found.update(((result.target.name, result.entry.id), result) for result in chunk)
        _progress(len(found), len(targets) * len(zones))
    rows = []
    for text, asked in parsed.items():
        for zone in zones:
            if isinstance(asked, Target):
                rows.append((text, found[asked.name, zone.entry.id]))
            else:
                nothing = unknown(Reason.UNSUPPORTED_TARGET, asked)
                rows.append((text, Result(Target(text, "unsupported", role), zone.entry, nothing)))
    return rows


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty() and total > 100:
        click.echo(f"\r{done} of {total}{'' if done < total else chr(10)}", nl=False, err=True)


def _answer(text: str, result: Result) -> DnsblAnswer:
    verdict, entry = result.verdict, result.entry
    return DnsblAnswer(
        target=text,
        list=entry.id,
        zone=entry.zone,
        verdict=verdict.word,
        reason=verdict.reason,
        codes=tuple(verdict.codes),
        meanings=tuple(verdict.meanings),
        severity=verdict.severity,
        text=result.text,
        delist_url=delist_url(entry, result.target) if verdict.listed else None,
        ttl_seconds=verdict.ttl_seconds,
        elapsed_ms=round(result.elapsed_seconds * 1000, 3),
        asked=result.target.name,
        kind=entry.kind,
        policy=verdict.policy,
        score=verdict.score,
        weight=verdict.weight,
        undocumented=tuple(verdict.undocumented),
        included_in=entry.included_in,
        why=verdict.why,
    )


def _line(text: str, result: Result) -> str:
    verdict, entry = result.verdict, result.entry
    colour = _COLOURS[verdict.word]
    word = verdict.word
    if verdict.listed and not is_finding(result):
        colour = "green" if entry.kind == "allow" else "cyan"
    said = [verdict.reason and f"{verdict.reason}:", verdict.why] if verdict.listed is None else []
    if verdict.listed:
        found = [verdict.severity, " ".join(verdict.codes), "; ".join(verdict.meanings), result.text]
        said = [*found, delist_url(entry, result.target)]
    return f"{text:<24} {entry.id:<22} {click.style(f'{word:<10}', fg=colour)} {'  '.join(filter(None, said))}".rstrip()


def _exit_code(sweep: Sweep, results: Iterable[Result]) -> int:
    results = list(results)
    if any(is_finding(result) for result in results):
        return FINDING
    if sweep.asked_count and not sweep.heard_count:
        _say("no resolver answers")
        return UNREACHABLE
    unaskable = (Reason.DEAD, Reason.UNSUPPORTED_TARGET)
    named_wrongly = all(
        result.verdict.reason in unaskable and (result.entry.is_dead or result.target.kind == "unsupported")
        for result in results
    )
    return MISUSE if named_wrongly else 0


def _say(text: str) -> None:
    click.echo(f"vigie: {text}", err=True)


def _fail(text: str) -> NoReturn:
    _say(text)
    sys.exit(MISUSE)


@dnsbl.command("lists")
@_resolver
@_catalogue
@click.option("--all", "also_dead", is_flag=True, help="Show dead lists too (JSON always has them).")
@json_option
def lists_command(resolvers: tuple[str, ...], catalogue: str | None, also_dead: bool, as_json: bool) -> None:
    """Show the catalogue; with a resolver, also how each list stands there now."""
    try:
        known = load_catalogue(catalogue)
        zones = [Zone(entry, key_for(entry, _keys())) for entry in known.lists.values()]
        servers = _servers(resolvers) if resolvers else ()
    except (CatalogueError, CollectorError) as error:
        _fail(getattr(error, "text", str(error)))
    living = [zone for zone in zones if not zone.entry.is_dead and not zone.key_missing]
    healths = Canaries().ask([(zone, server) for zone in living for server in servers], datetime.now(UTC))
    for zone in zones:
        row = _list(zone, known, {server: healths.get((zone.entry.id, server)) for server in servers})
        if as_json:
            print_json(row)
        elif also_dead or not zone.entry.is_dead:
            click.echo(_list_line(row))


def _list(zone: Zone, known: Catalogue, healths: Mapping[Server, Health | None]) -> DnsblList:
    entry, operator = zone.entry, known.operators.get(operator_of(zone.entry))
    return DnsblList(
        id=entry.id,
        zone=entry.zone,
        name=entry.name,
        operator=entry.operator,
        kind=entry.kind,
        targets=tuple(entry.targets),
        status=entry.status,
        default_enabled=entry.default_enabled,
        key=None if not entry.takes_key else "missing" if zone.key_missing else "set or optional",
        daily_queries=operator.daily_queries if operator else None,
        max_qps=entry.max_qps or (operator.max_qps if operator else None),
        weight=entry.weight,
        dead=entry.obituary() if entry.is_dead else None,
        canary={str(server): CanaryHealth.from_row(health) for server, health in healths.items() if health},
    )


def _list_line(row: DnsblList) -> str:
    state = [f"{'on' if row.default_enabled else 'off':<4}{row.status:<8}", row.dead]
    if row.key:
        state.append(f"key {row.key}")
    if row.daily_queries:
        state.append(f"{row.daily_queries} a day")
    for server, health in row.canary.items():
        colour, word = ("green", "healthy") if health.healthy else ("red", f"{health.reason}: {health.why}")
        state.append(f"{server} {click.style(word, fg=colour)}")
    kinds = "+".join(row.targets)
    return f"{row.id:<24} {row.kind:<6} {kinds:<12} {'  '.join(filter(None, state))}"
