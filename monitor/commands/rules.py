"""`vigie rules`: are rule files right, do they do what they should, what would they have done, and what do they say now?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from collectors.dnsbl.collector import DnsblSettings
from monitor.commands.failing import Failure
from monitor.commands.printing import json_option, print_json
from monitor.commands.rules_backtest import backtest
from monitor.commands.rules_simulate import simulate
from monitor.commands.stored import config_option, paging_options, print_page, stored
from monitor.config.load import read_rules
from monitor.config.quantities import duration_text
from monitor.config.validation import did_you_mean
from monitor.config.wire import Mistake
from monitor.config.yaml_file import ConfigErrors
from monitor.database.paging import Page
from monitor.database.tables import VerdictRow
from monitor.incidents.states import State
from monitor.judging.rule_tests import read_test, run_tests
from monitor.judging.verdict_rows import Wanted, find_verdicts, judged_rule, rule_statuses
from monitor.judging.wire import GroupVerdict, RuleStatus, TestResult
from monitor.listings.catalogue import known_lists
from monitor.rules.load import RUNBOOKS, check_rules


@click.group()
def rules() -> None:
    """Check and test rule files, try them on facts and on stored history, and show what the rules say."""


rules.add_command(backtest)
rules.add_command(simulate)


@rules.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def check(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Check rule FILES, taken together; every mistake is named with its file and line."""
    try:
        sources = tuple(source for file in files for source in read_rules(file))
        count = len(check_rules(sources, DnsblSettings().known().lists))
    except ConfigErrors as error:
        _print_mistakes(error, as_json=as_json)
        sys.exit(2)
    if not as_json:
        click.echo(f"ok: {count} rules")


def _print_mistakes(error: ConfigErrors, *, as_json: bool) -> None:
    for each in error.errors:
        if as_json:
            print_json(Mistake(file=each.file, line=each.line, message=each.message))
        else:
            click.echo(str(each), err=True)


@rules.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def test(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Run unit tests of rules, written as promtool's: FILES name the rules, series and what is expected."""
    lists = known_lists(DnsblSettings().known().lists.values())
    failed = False
    for path in files:
        try:
            outcomes = run_tests(*read_test(path), lists)
        except ConfigErrors as error:
            _print_mistakes(error, as_json=as_json)
            sys.exit(2)
        wrong = [each for each in outcomes if each.instead is not None]
        failed |= bool(wrong)
        for each in outcomes if as_json else wrong:
            if as_json:
                print_json(TestResult.of(str(path), each))
            else:
                click.echo(f"{path}: {each.test}, {duration_text(each.eval_time)}, {each.rule}:\n  exp: {each.expected}\n  got: {each.instead}")
        if not as_json:
            click.echo(f"{path}: {'FAILED' if wrong else 'SUCCESS'} ({len(outcomes) - len(wrong)} of {len(outcomes)} as expected)")
    sys.exit(1 if failed else 0)


@rules.command()
@click.argument("rule")
def runbook(rule: str) -> None:
    """Print the page of a shipped RULE: what it means, who acts, the first steps, whom to ask."""
    pages = {page.stem: page for page in RUNBOOKS.glob("*.md")}
    if rule not in pages:
        raise Failure(2, f"no runbook of '{rule}' — {did_you_mean(rule, pages)}")
    click.echo(pages[rule].read_text("utf-8"), nl=False)


@rules.command()
@click.argument("rule", required=False)
@click.option("--state", type=click.Choice(list(map(str, State))), help="Only groups in this state.")
@click.option("--customer", help="Only groups of this customer.")
@paging_options
@config_option
@json_option
def show(
    rule: str | None, state: str | None, customer: str | None, config_file: Path, *, as_json: bool, page: Page
) -> None:
    """What each rule says, as last judged: how many groups in which state; of one RULE each group."""
    with stored(config_file) as store, store.reading_session() as session:
        if rule is None and state is None and customer is None:
            _show_all(rule_statuses(session), as_json=as_json)
            return
        try:
            if rule is not None:
                judged_rule(session, rule)
        except LookupError as error:
            raise Failure(2, str(error.args[0])) from None
        verdicts = find_verdicts(session, Wanted(rule, State(state) if state else None, customer), page)
    print_page(verdicts, GroupVerdict, _line, as_json=as_json, none="no such groups")


def _show_all(statuses: list[RuleStatus], *, as_json: bool) -> None:
    for status in statuses:
        if as_json:
            print_json(status)
            continue
        shadow = " (in shadow)" if status.mode == "shadow" else ""
        states = ", ".join(f"{count} {name}" for name, count in sorted(status.states.items())) or "no groups"
        error = f"; cannot be judged: {status.error}" if status.error else ""
        click.echo(f"{status.id}{shadow}: {states}{error}")
    if not statuses:
        raise Failure(3, "no rule has been judged yet — start vigie run")


def _line(row: VerdictRow) -> str:
    about = ", ".join(f"{name} {value}" for name, value in row.subject.items()) or "everything"
    reason = f" ({row.reason})" if row.reason else ""
    return f"{row.rule}  {about}: {row.state} since {row.since:%Y-%m-%d %H:%M UTC}{reason}: {row.summary}"
