"""`vigie dnsbl`: ask DNS block and allow lists now, and see which lists there are.

`check` asks once, keeps nothing and notifies nobody. Keys come from the environment variable VIGIE_DNSBL_KEYS
(`spamhaus-dqs-*=abc,abusix-*=def`), never from the command line, where every user of the machine reads them.
"""

from __future__ import annotations

import collections
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn

import click

from collectors.clients.dns import Pace, Server
from collectors.clients.dns_resolvers import WHAT_TO_SET, parse_server, public_name, system_servers
from collectors.contract import CollectorError, Reason, Role, Target
from collectors.details import ListKind
from collectors.dnsbl.budget import Budget
from collectors.dnsbl.canary import Canaries, Health, check_lists
from collectors.dnsbl.catalogue import Catalogue, CatalogueError, DnsList, load_catalogue
from collectors.dnsbl.decode import Word, unknown
from collectors.dnsbl.pacers import Pacers, operator_of
from collectors.dnsbl.question import UnsupportedTargetError, Zone, is_public, key_for, parse_target
from collectors.dnsbl.result import Result, delist_url, is_finding
from collectors.dnsbl.sweep import Resolvers, Sweep
from monitor.commands.printing import json_option, print_json
from monitor.listings.wire import CanaryHealth, DnsblAnswer, DnsblList

KEYS_VARIABLE = "VIGIE_DNSBL_KEYS"
FINDING, MISUSE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130
_COLOURS = {Word.LISTED: "red", Word.NOT_LISTED: "green", Word.UNKNOWN: "yellow"}
_HEADER = f"{'TARGET':<24} {'LIST':<22} {'VERDICT':<10} MEANING OR REASON"


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

    Exit 0: nothing listed. 1: a block list lists a target. 2: bad usage or configuration. 3: no resolver answers, or
    nothing could be known. 130: interrupted.
    """
    try:
        known = load_catalogue(catalogue)
        lists = _choose(known, chosen, len(targets))
        keys = _keys(known)
        zones = [Zone(entry, key_for(entry, keys)) for entry in lists]
        through = Resolvers(_servers(resolvers))
        asking = _Asking(list(dict.fromkeys(targets)), zones, _role(role))
    except (CatalogueError, CollectorError) as error:
        _fail(getattr(error, "text", str(error)))
    sweep = Sweep(
        through,
        pacers=Pacers(lists, known.operators),
        pace=Pace(timeout_seconds=timeout),
        canaries=None if no_canary else Canaries(),
        budget=_budget(known, lists, len(targets)),
    )
    asking.run(sweep)
    if as_json:
        for wrong in asking.parsed.values():
            if isinstance(wrong, str):
                _say(f"unsupported target {wrong}")
        for text, result in asking.rows():
            print_json(_answer(text, result))
    else:
        asking.show()
    sys.exit(_exit_code(sweep, asking))


@dataclass
class _Asking:
    """The targets as typed, what they were read as, and the results so far."""

    texts: Sequence[str]
    zones: Sequence[Zone]
    role: str
    parsed: dict[str, Target | str] = field(default_factory=dict)
    results: dict[tuple[str, str], Result] = field(default_factory=dict)
    interrupted: bool = False

    def __post_init__(self) -> None:
        for text in self.texts:
            try:
                self.parsed[text] = parse_target(text, self.role)
            except UnsupportedTargetError as error:
                self.parsed[text] = str(error)

    @property
    def targets(self) -> list[Target]:
        return list(dict.fromkeys(target for target in self.parsed.values() if isinstance(target, Target)))

    def run(self, sweep: Sweep) -> None:
        """Ask; an interruption leaves what is known until then."""
        targets = self.targets
        if inner := [target.name for target in targets if not is_public(target)]:
            _say(f"{len(inner)} of {len(targets)} are no public addresses (first {inner[0]}): only lists of your own hold them")
        total = len(targets) * len(self.zones)
        try:
            for chunk in sweep.run({zone.entry.id: targets for zone in self.zones}, self.zones, datetime.now(UTC)):
                self.results.update(((result.target.name, result.entry.id), result) for result in chunk)
                _progress(len(self.results), total)
        except KeyboardInterrupt:
            self.interrupted = True
            _say(f"interrupted: {len(self.results)} of {total} answers are known")

    def rows(self) -> Iterator[tuple[str, Result]]:
        """One result per target as typed and list, in the order given; those without one are left out."""
        for text, target in self.parsed.items():
            for zone in self.zones:
                if isinstance(target, str):
                    nothing = unknown(Reason.UNSUPPORTED_TARGET, target)
                    yield text, Result(Target(text, "unsupported", self.role), zone.entry, nothing)
                elif result := self.results.get((target.name, zone.entry.id)):
                    yield text, result

    def show(self) -> None:
        """For people: a header, rows of the lists that can hold each target, one line for what is no target, a sum."""
        click.echo(_HEADER)
        shown = []
        for text, target in self.parsed.items():
            fitting = [] if isinstance(target, str) else [zone for zone in self.zones if target.kind in zone.entry.targets]
            if not fitting:
                why = target if isinstance(target, str) else f"none of these lists holds {target.kind}"
                click.echo(f"{_printable(text):<24} {'-':<22} {click.style('unknown   ', fg='yellow')} {why}")
            for zone in fitting:
                if isinstance(target, Target) and (result := self.results.get((target.name, zone.entry.id))):
                    shown.append(result)
                    click.echo(_line(text, result))
        click.echo(_summary(shown))


def _summary(results: Sequence[Result]) -> str:
    words = collections.Counter(result.verdict.word for result in results)
    reasons = collections.Counter(str(result.verdict.reason) for result in results if result.verdict.reason)
    parts = [f"{words[Word.LISTED]} listed", f"{words[Word.NOT_LISTED]} not listed", f"{words[Word.UNKNOWN]} unknown"]
    if reasons:
        parts[-1] += f" ({', '.join(f'{count} {reason}' for reason, count in reasons.most_common())})"
    findings = {result.target.name for result in results if is_finding(result)}
    names = {result.target.name for result in results}
    return f"{', '.join(parts)}; block lists list {len(findings)} of {len(names)} targets"


def _choose(known: Catalogue, chosen: str | None, target_count: int) -> list[DnsList]:
    """The lists named; else those on by default, without those that are free for fewer targets only."""
    if chosen:
        lists = known.choose(part.strip() for part in chosen.split(",") if part.strip())
    else:
        lists = [entry for entry in known.enabled() if not entry.is_beyond_free_use(target_count)]
        for entry in known.enabled():
            if entry.is_beyond_free_use(target_count):
                _say(f"{entry.id} is not asked unless it is named: {target_count} targets. {entry.terms or ''}".rstrip())
    if not lists:
        raise CatalogueError("no list is chosen and none is on by default")
    for entry in lists:
        if entry.is_dead:
            _say(f"{entry.id} is not asked: {entry.why_dead()}")
    return lists


def _keys(known: Catalogue) -> dict[str, str]:
    """Keys by list id or pattern. Messages never show what may be a key."""
    keys = {}
    for number, part in enumerate(os.environ.get(KEYS_VARIABLE, "").split(","), 1):
        pattern, equals, key = (piece.strip() for piece in part.partition("="))
        if not part.strip():
            continue
        if not (equals and pattern and key):
            raise CatalogueError(f"{KEYS_VARIABLE}: its part {number} names no list: write LIST=KEY, separated by commas")
        if not known.matching(pattern):
            _say(f"{KEYS_VARIABLE}: no list has the id of its part {number}, so that key is not used")
        keys[pattern] = key
    return keys


def _role(role: str) -> str:
    try:
        return Role.named(role)
    except ValueError as error:
        raise CatalogueError(f"--role {_printable(role)}: {error}") from None


def _servers(texts: Sequence[str]) -> tuple[Server, ...]:
    if not texts:
        return system_servers()
    servers = tuple(dict.fromkeys(parse_server(text) for text in texts))
    for server in servers:
        if name := public_name(server):
            _say(f"{server} is a public resolver ({name}): many lists refuse it or answer it wrongly")
    return servers


def _budget(known: Catalogue, lists: Sequence[DnsList], target_count: int) -> Budget:
    limits = {name: operator.daily_queries for name, operator in known.operators.items() if operator.daily_queries}
    for operator in sorted({operator_of(entry) for entry in lists} & set(limits)):
        needed = target_count * sum(operator_of(entry) == operator for entry in lists)
        if needed > limits[operator]:
            _say(f"{operator} allows {limits[operator]} questions a day, {needed} are wanted: the rest stays unknown")
    return Budget(limits)


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
        delist_url=delist_url(entry, result.target.name) if verdict.listed else None,
        ttl_seconds=verdict.ttl_seconds,
        elapsed_ms=round(result.elapsed_seconds * 1000, 3),
        queried=result.target.name,
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
        colour = "green" if entry.kind is ListKind.ALLOW else "cyan"
    details = [verdict.reason and f"{verdict.reason}:", verdict.why] if verdict.listed is None else []
    if verdict.listed:
        details = [verdict.severity, " ".join(verdict.codes), "; ".join(verdict.meanings), result.text]
        details.append(delist_url(entry, result.target.name))
    row = f"{_printable(text):<24} {entry.id:<22} {click.style(f'{word:<10}', fg=colour)} {'  '.join(filter(None, details))}"
    return row.rstrip()


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _exit_code(sweep: Sweep, asking: _Asking) -> int:
    results = list(asking.results.values())
    for server, fault in sweep.faults.items():
        _say(f"most lists fail alike through {server} ({fault.reason}): it is the resolver or the network, not the lists")
    if asking.interrupted:
        return INTERRUPTED
    if any(is_finding(result) for result in results):
        return FINDING
    if sweep.asked_count and not sweep.heard_count:
        servers = ", ".join(map(str, sweep.resolvers.default))
        _say(f"no resolver answers ({servers}): {WHAT_TO_SET}")
        return UNREACHABLE
    fitting = [result for result in results if result.verdict.reason is not Reason.UNSUPPORTED_TARGET]
    if all(result.verdict.reason is Reason.DEAD for result in fitting):
        return MISUSE  # only dead lists, or none that can hold a target
    if all(result.verdict.listed is None for result in fitting):
        reasons = collections.Counter(str(result.verdict.reason) for result in fitting)
        _say(f"nothing could be known: {', '.join(f'{count} {reason}' for reason, count in reasons.most_common())}")
        return UNREACHABLE
    return 0


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
        keys = _keys(known)
        zones = [Zone(entry, key_for(entry, keys)) for entry in known.lists.values()]
        servers = _servers(resolvers) if resolvers else ()
    except (CatalogueError, CollectorError) as error:
        _fail(getattr(error, "text", str(error)))
    living = [zone for zone in zones if not zone.entry.is_dead and not zone.key_missing]
    places = [(zone, server) for zone in living for server in servers]
    healths = check_lists(places, datetime.now(UTC), Pacers(known.lists.values(), known.operators))
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
        terms=entry.terms,
        free_targets=entry.free_targets,
        test_entries="assumed" if entry.is_assumed else "published" if entry.positive_test else "none",
        dead=entry.why_dead() if entry.is_dead else None,
        canary={str(server): CanaryHealth.from_row(health) for server, health in healths.items() if health},
    )


def _list_line(row: DnsblList) -> str:
    state = [f"{'on' if row.default_enabled else 'off':<4}{row.status:<8}", row.dead]
    if row.key:
        state.append(f"key {row.key}")
    if row.daily_queries:
        state.append(f"{row.daily_queries} a day")
    if row.free_targets is not None:
        state.append(f"up to {row.free_targets} targets, more where it is named")
    if row.test_entries == "assumed":
        state.append("test entries assumed")
    for server, health in row.canary.items():
        colour, word = ("green", "healthy") if health.healthy else ("red", f"{health.reason}: {health.why}")
        state.append(f"{server} {click.style(word, fg=colour)}")
    kinds = "+".join(row.targets)
    return f"{row.id:<24} {row.kind:<6} {kinds:<12} {'  '.join(filter(None, state))}"
