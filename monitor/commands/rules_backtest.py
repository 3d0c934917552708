"""`vigie rules backtest`: rules tried on stored history, with what was known at each moment."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from sqlmodel import Session

from collectors.dnsbl.collector import DnsblSettings
from monitor.commands.failing import Failure
from monitor.commands.printing import json_line, json_option
from monitor.commands.rules_simulate import Duration
from monitor.commands.stored import AGO, config_option, configured_and_stored, utc_now
from monitor.config.load import Config, read_rules
from monitor.config.quantities import duration_text
from monitor.config.validation import did_you_mean
from monitor.config.yaml_file import ConfigError
from monitor.facts.history import Known, kept_since, known_counts
from monitor.gate import Effect, StreamKind
from monitor.incidents.silences import silences_between
from monitor.inventory.rows import stream_kinds
from monitor.judging.backtest import JUDGED, Backtest, Episode, left_out, looks_back, measures_of
from monitor.judging.backtest_difference import Difference, differences
from monitor.judging.backtest_messages import NOT_MODELLED, Message, messages_of
from monitor.judging.configured_rules import configured_rules, labels_of_rules
from monitor.notify.receivers import configured_receivers, configured_routing
from monitor.notify.routing import Routing
from monitor.rules.load import check_rules
from monitor.rules.model import Rule

_PROGRESS_EVERY = 100_000
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Side:
    """One rule file. `named`: how its records are called."""

    named: str
    rules: tuple[Rule, ...]
    routing: Routing
    only: str | None

    @property
    def shown(self) -> list[Rule]:
        return [rule for rule in self.rules if self.only in {None, rule.id}]


@click.command()
@click.option("--since", required=True, type=AGO, help="From when on, e.g. 30d or 2026-01-02T03:04Z.")
@click.option("--until", type=AGO, help="Up to when (default: now).")
@click.option("--rule", "only", metavar="ID", help="Only this rule.")
@click.option("--against", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Rules to compare the configured ones with.")
@click.option("--step", type=Duration(), default="10m", show_default=True, help="Longest time between two looks.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.html", help="Write it as a page with pictures too.")
@config_option
@json_option
def backtest(
    since: datetime, until: datetime | None, only: str | None, against: Path | None, step: timedelta, picture: Path | None, config_file: Path,
    *, as_json: bool,
) -> None:
    """What the rules would have made of stored history: episodes, messages, mail held; with --against what other rules change."""
    now = utc_now()
    end = min(until or now, now)
    if since >= end:
        raise Failure(2, f"--since {_text(since)} is not before --until {_text(end)}")
    _check_picture(picture)
    with configured_and_stored(config_file) as (config, store), store.reading_session() as session:
        sides = _sides(config, against, only)
        _check_history(session, sides, since)
        tests = _play(session, sides, (since, end), step)
        silences = silences_between(session, since, end)
    records, drawn = [], []
    for side, test in zip(sides, tests, strict=True):
        episodes = [each for each in test.episodes if side.only in {None, each.rule}]
        messages = messages_of(episodes, side.rules, side.routing, silences)
        drawn.append((side.named, episodes, messages))
        records += [*_episodes(side, episodes), *_totals(side, test, episodes, messages)]
    if against is not None:
        chosen = [[each for each in test.episodes if only in {None, each.rule}] for test in tests]
        records += [_difference(each) for each in differences(chosen[0], chosen[1], end)]
    if picture is not None:
        _draw(picture, drawn, (since, end))
    for record in records:
        sys.stdout.buffer.write(json_line(record) if as_json else _words(record).encode() + b"\n")
    sys.stdout.buffer.flush()


def _check_picture(picture: Path | None) -> None:
    """Raises Failure before anything is read where no picture can be made."""
    if picture is None:
        return
    if importlib.util.find_spec("pandas") is None:
        raise Failure(2, "--picture: pandas is not installed — pip install 'vigie[reports]'")
    if not picture.absolute().parent.is_dir():
        raise Failure(2, f"--picture: there is no folder {picture.parent}")


def _draw(picture: Path, drawn: Sequence[tuple[str, Sequence[Episode], Sequence[Message]]], span: tuple[datetime, datetime]) -> None:
    from monitor.judging.backtest_picture import Side, page  # noqa: PLC0415 - needs pandas, which only pictures need

    try:
        picture.write_text(page([Side(*each) for each in drawn], *span), "utf-8")
    except OSError as error:
        raise Failure(2, f"--picture: {picture} cannot be written: {error.strerror}") from None
    click.echo(f"picture: {picture}", err=True)


def _sides(config: Config, against: Path | None, only: str | None) -> list[_Side]:
    """The configured rules, and those of the other file. Raises Failure for a rule that neither has, or no backtest can judge."""
    files = {"configured": configured_rules(config)}
    try:
        if against is not None:
            files["against"] = _rules_of(against, config)
    except ConfigError as error:
        raise Failure(2, str(error)) from None
    known = {rule.id: rule for rules in files.values() for rule in rules}
    if only is not None and only not in known:
        raise Failure(2, f"--rule: no rule '{only}' — {did_you_mean(only, known)}")
    unjudged = {named: dict(left_out(rules)) for named, rules in files.items()}
    if only is not None and all(only in unjudged[named] or only not in {rule.id for rule in rules} for named, rules in files.items()):
        why = next(reasons[only] for reasons in unjudged.values() if only in reasons)
        raise Failure(2, f"--rule: {only} cannot be judged by a backtest: it is {why}")
    for named, reasons in unjudged.items():
        _say_left_out(named, reasons if only is None else {})
    receivers, _ = configured_receivers(config)
    if not receivers:
        click.echo("no receivers are configured: there are no messages", err=True)
    return [
        _Side(named, _needed(rules, only), configured_routing(config, receivers, labels_of_rules(known.values())), only)
        for named, rules in files.items()
    ]


def _rules_of(path: Path, config: Config) -> tuple[Rule, ...]:
    """The rules of a file, checked as those of the configuration are. Raises ConfigErrors."""
    dnsbl = config.collectors.get("dnsbl")
    lists = (dnsbl if isinstance(dnsbl, DnsblSettings) else DnsblSettings()).known().lists
    return check_rules(read_rules(path), lists)


def _say_left_out(named: str, reasons: dict[str, str]) -> None:
    by_reason: dict[str, list[str]] = {}
    for rule, why in reasons.items():
        by_reason.setdefault(why, []).append(rule)
    for why, rules in by_reason.items():
        click.echo(f"not judged ({named}), {why}: {', '.join(rules)}", err=True)


def _needed(rules: Sequence[Rule], only: str | None) -> tuple[Rule, ...]:
    """Those that are judged: of one rule it and what it waits for."""
    if only is None:
        return tuple(rules)
    by_id, wanted, left = {rule.id: rule for rule in rules}, set(), [only]
    while left:
        next_id = left.pop()
        if next_id in by_id and next_id not in wanted:
            wanted.add(next_id)
            left += by_id[next_id].waits_for
    return tuple(rule for rule in rules if rule.id in wanted)


def _check_history(session: Session, sides: Iterable[_Side], since: datetime) -> None:
    kept = kept_since(session)
    if since < kept:
        raise Failure(2, f"readings before {_text(kept)} are gone (retention.readings); hours and days do not say what was known when"
                         f" — begin later: --since {_text(kept)}")
    back = looks_back(rule for side in sides for rule in side.rules if rule.condition in JUDGED)
    if since - back < kept:
        click.echo(f"rules look back {duration_text(back)}, and readings before {_text(kept)} are gone: the first days know too little", err=True)


def _play(session: Session, sides: Sequence[_Side], span: tuple[datetime, datetime], step: timedelta) -> list[Backtest]:
    """Each side over the same facts, in one snapshot."""
    transactional = {stream for stream, kind in stream_kinds(session).items() if kind == StreamKind.TRANSACTIONAL}
    judged = [rule for side in sides for rule in side.rules if rule.condition in JUDGED]
    tests = [Backtest(side.rules, span[0], step, transactional) for side in sides]
    facts = known_counts(session, measures_of(judged), span[0] - looks_back(judged), span[1])
    for fact in _with_progress(facts, tests):
        for test in tests:
            test.take(fact)
    for test in tests:
        test.end(span[1])
    return tests


def _with_progress(facts: Iterable[Known], tests: Sequence[Backtest]) -> Iterator[Known]:
    number = 0
    for number, fact in enumerate(facts, 1):
        if number % _PROGRESS_EVERY == 0:
            click.echo(f"{number:,} facts, up to {_text(fact.known_at)}; {sum(test.size for test in tests):,} sums in memory", err=True)
        yield fact
    click.echo(f"{number:,} facts; not modelled: {NOT_MODELLED}", err=True)


# ── records ──


def _episode(each: Episode) -> Record:
    return {
        "rule": each.rule, "scope": dict(each.scope), "from": _text(each.since), "until": _text(each.until) if each.until else None,
        "peak": each.peak, "severity": each.severity, "summary": each.summary,
    }  # fmt: skip


def _episodes(side: _Side, episodes: Iterable[Episode]) -> Iterator[Record]:
    return ({"event": "episode", "rules": side.named, **_episode(each)} for each in episodes)


def _totals(side: _Side, test: Backtest, episodes: Sequence[Episode], messages: Sequence[Message]) -> Iterator[Record]:
    """One record of each rule that did anything, and the sum. A message about several rules counts for the first."""
    for rule in side.shown:
        mine = sum(each.rule == rule.id for each in episodes)
        if mine:
            yield {
                "event": "rule", "rules": side.named, "rule": rule.id, "episodes": mine,
                "messages": sum(each.rules[0] == rule.id for each in messages), "holds": test.held.holds[rule.id],
                "mail_held": round(test.held.by_rule[rule.id]), "false_holds_a_month": _false_holds(rule, test),
            }  # fmt: skip
    held = test.held.total if side.only is None else test.held.by_rule[side.only]
    yield {
        "event": "total", "rules": side.named, "episodes": len(episodes), "messages": len(messages),
        "holds": sum(test.held.holds[rule.id] for rule in side.shown), "mail_held": round(held), "streams": len(test.streams),
    }  # fmt: skip


def _false_holds(rule: Rule, test: Backtest) -> float | None:
    """At most so many of all healthy streams seen; None: not known."""
    if rule.effect is None or rule.effect.action is not Effect.HOLD or rule.most_false_a_month is None:
        return None
    return round(rule.most_false_a_month * len(test.streams), 2)


def _difference(each: Difference) -> Record:
    return {
        "event": "difference", "change": each.change.value, "seconds": each.seconds,
        "configured": _episode(each.before) if each.before else None, "against": _episode(each.after) if each.after else None,
    }  # fmt: skip


def _words(record: Record) -> str:
    if record["event"] == "episode":
        return f"{_line(record)}  ({record['rules']}): {record['summary']}"
    if record["event"] == "difference":
        seconds = abs(record["seconds"])
        return f"{record['change']:8} by {duration_text(timedelta(seconds=seconds))}: {_line(record['against'] or record['configured'])}"
    about = f"{record['rules']}, {record['rule'] if record['event'] == 'rule' else 'all'}"
    text = f"{about}: {record['episodes']:,} episodes, {record['messages']:,} messages, {record['holds']:,} holds, mail held {record['mail_held']:,}"
    if record["event"] == "rule" and record["holds"]:
        expected = record["false_holds_a_month"]
        text += f", false holds expected a month {'not known' if expected is None else f'at most {expected}'}"
    return text


def _line(record: Record) -> str:
    where = ", ".join(f"{name} {value}" for name, value in record["scope"].items()) or "everything"
    return f"{record['from']} to {record['until'] or 'still firing':20}  {record['rule']}  {where}"


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
