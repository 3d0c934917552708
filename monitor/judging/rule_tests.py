"""Unit tests of rules in promtool's form: series in, alerts expected, judged by the very code that runs. Pure but for the files.

What promtool knows it reads alike: `rule_files`, `evaluation_interval`, `tests` with `interval`, `name`, `input_series` and
`alert_rule_test`. Beside it `verdict_test` asks for what Prometheus has no word for (states, reasons, effects), and
`inventory` says where IPs and domains stand. A series is a measure with its dimensions; a sample of a count is what
happened since the one before, of a state or gauge what it is from then on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from collectors.details import ListAnswer
from collectors.observation import Subject
from monitor.config.load import read_rules
from monitor.config.quantities import Duration
from monitor.config.validation import did_you_mean, validate
from monitor.config.yaml_file import ConfigError, ConfigErrors, Section, read_section
from monitor.incidents.states import Progress, State, Timing, input_of, step
from monitor.judging import series_notation
from monitor.rules.conditions.table import judge
from monitor.rules.evidence import ListingFact, Place
from monitor.rules.in_memory import Fact, MemoryEvidence
from monitor.rules.lists import KnownLists, Phase
from monitor.rules.load import SHIPPED, check_rules
from monitor.rules.model import Mode, Rule, Strict
from monitor.rules.signals import measure_named
from monitor.rules.unless import unevaluated
from monitor.rules.verdict import Answer, Group, Verdict, key_of

START = datetime(2026, 1, 1, tzinfo=UTC)
_MOST_STEPS = 10_000
_FIRES = frozenset({State.FIRING, State.RECOVERING})


def _series(text: str) -> str:
    name, labels = series_notation.series(text)
    measure_named(name)
    for label in labels:
        if label not in Subject._fields:
            raise ValueError(f"no dimension '{label}' — {did_you_mean(label, Subject._fields)}")
    return text


def _values(text: Any) -> Any:
    return series_notation.values(str(text)) if isinstance(text, str | int | float) else text


class InputSeries(Strict):
    series: Annotated[str, AfterValidator(_series)]
    values: Annotated[tuple[float | None, ...], BeforeValidator(_values)]


class Expected(Strict):
    """An alert that fires. As with promtool all labels must be said: those of the group, of the rule, and `severity`."""

    exp_labels: dict[str, str] = Field(default_factory=dict)
    exp_annotations: dict[str, str] = Field(default_factory=dict)


class AlertTest(Strict):
    eval_time: Duration
    alertname: str
    exp_alerts: tuple[Expected, ...] = ()


class ExpectedEffect(Strict):
    action: str
    scopes: tuple[dict[str, str], ...]


class VerdictTest(Strict):
    """What a rule says of one group. What is left out is not compared; `exp_effect: {}` expects none."""

    eval_time: Duration
    rule: str
    subject: dict[str, str] = Field(default_factory=dict)
    exp_state: State
    exp_reason: str | None = None
    exp_summary: str | None = None
    exp_effect: ExpectedEffect | dict[str, Any] | None = None


class Stands(Strict):
    """Where the inventory has an IP or a domain."""

    pool: str | None = None
    customer: str | None = None


class RuleTest(Strict):
    interval: Duration = timedelta(minutes=1)
    name: str = ""
    inventory: dict[str, Stands] = Field(default_factory=dict)
    input_series: tuple[InputSeries, ...] = ()
    alert_rule_test: tuple[AlertTest, ...] = ()
    verdict_test: tuple[VerdictTest, ...] = ()


class TestFile(Strict):
    """`rule_files`: beside this file; left out: the rules Vigie comes with."""

    __test__ = False  # for pytest

    rule_files: tuple[str, ...] | None = None
    evaluation_interval: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(minutes=1)
    tests: tuple[RuleTest, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One expectation of a test, and what there was `instead`; None: it was met."""

    test: str
    eval_time: timedelta
    rule: str
    expected: str
    instead: str | None


@dataclass(frozen=True, slots=True)
class Held:
    """How a group stands at one instant. `breach`: what was said when it was last in breach."""

    progress: Progress
    verdict: Verdict
    breach: str = ""


Standings = Mapping[str, Mapping[Group, Held]]  # by rule


def read_test(path: Path) -> tuple[TestFile, tuple[Rule, ...]]:
    """A test file with its rules. Raises ConfigErrors with file and line of all that is wrong."""
    source, problems = read_section(path), list[ConfigError]()
    file = validate(source, TestFile, problems)
    if file is None:
        raise ConfigErrors(problems)
    rules: tuple[Rule, ...] = ()
    try:
        paths = [path.parent / name for name in file.rule_files] if file.rule_files is not None else [SHIPPED]
        rules = check_rules(tuple(each for file_path in paths for each in read_rules(file_path)))
    except ConfigErrors as error:
        problems += error.errors
    problems += _problems(source, file, {rule.id for rule in rules}) if not problems else []
    if problems:
        raise ConfigErrors(problems)
    return file, rules


def _problems(source: Section, file: TestFile, known: set[str]) -> Iterator[ConfigError]:
    for i, test in enumerate(file.tests):
        named = [(("alert_rule_test", k, "alertname"), each.alertname, each.eval_time) for k, each in enumerate(test.alert_rule_test)]
        named += [(("verdict_test", k, "rule"), each.rule, each.eval_time) for k, each in enumerate(test.verdict_test)]
        for place, name, at in named:
            if name not in known:
                yield source.error(("tests", i, *place), f"no rule '{name}' — {did_you_mean(name, known)}")
            if at / file.evaluation_interval > _MOST_STEPS:
                yield source.error(("tests", i, *place), f"more than {_MOST_STEPS:,} evaluations — use a longer evaluation_interval")


def run_tests(file: TestFile, rules: Sequence[Rule], lists: KnownLists) -> list[Outcome]:
    """Every expectation of every test, in their order."""
    return [outcome for number, test in enumerate(file.tests, 1) for outcome in _run(test, number, file, rules, lists)]


def _run(test: RuleTest, number: int, file: TestFile, rules: Sequence[Rule], lists: KnownLists) -> list[Outcome]:
    name = test.name or f"test {number}"
    times = sorted({*(each.eval_time for each in test.alert_rule_test), *(each.eval_time for each in test.verdict_test)})
    at = dict(zip(times, _standings(test, file.evaluation_interval, rules, lists, times), strict=True))
    by_id = {rule.id: rule for rule in rules}
    outcomes = [_alerts(name, each, by_id[each.alertname], at[each.eval_time]) for each in test.alert_rule_test]
    return outcomes + [_verdict(name, each, by_id[each.rule], at[each.eval_time]) for each in test.verdict_test]


def _standings(
    test: RuleTest, every: timedelta, rules: Sequence[Rule], lists: KnownLists, times: Sequence[timedelta]
) -> Iterator[Standings]:
    """How every group of every rule stands at each of these times, evaluated from the start on."""
    facts = [
        Fact(measure, labels, START + i * test.interval, value)
        for each in test.input_series for measure, labels in [series_notation.series(each.series)]
        for i, value in enumerate(each.values) if value is not None
    ]  # fmt: skip
    places = {name: Place(name, _is_ip(name), each.pool, each.customer) for name, each in test.inventory.items()}
    held: dict[str, dict[Group, Held]] = {}
    elapsed = timedelta(0)
    for until in times:
        while elapsed <= until:
            held = _evaluated(rules, held, _evidence(START + elapsed, facts, places, held, lists), every)
            elapsed += every
        yield held


def _evaluated(
    rules: Sequence[Rule], before: Standings, evidence: MemoryEvidence, every: timedelta
) -> dict[str, dict[Group, Held]]:
    after: dict[str, dict[Group, Held]] = {}
    firing: dict[str, list[Group]] = {}
    for rule in rules:
        if rule.enabled:
            timing = Timing(rule.for_, rule.keep_firing_for, max(timedelta(minutes=3), every))
            was = before.get(rule.id, {})
            after[rule.id] = {
                verdict.group: _held(was.get(verdict.group), verdict, evidence.now, timing)
                for verdict in unevaluated(rule, judge(rule, evidence, evidence.now), firing)
            }
            firing[rule.id] = [group for group, each in after[rule.id].items() if each.progress.state in _FIRES]
    return after


def _held(before: Held | None, verdict: Verdict, now: datetime, timing: Timing) -> Held:
    after = step(before.progress if before else Progress(), input_of(verdict), now, timing)
    return Held(after, verdict, verdict.summary if verdict.answer is Answer.BREACH else before.breach if before else "")


def _evidence(
    now: datetime, facts: Sequence[Fact], places: Mapping[str, Place], held: Standings, lists: KnownLists
) -> MemoryEvidence:
    expected = {rule: list(groups) for rule, groups in held.items()}
    return MemoryEvidence(
        now, facts, places=places, judged=expected, lists=lists, open_listings=_listings(now, facts, places, lists)
    )


def _listings(now: datetime, facts: Sequence[Fact], places: Mapping[str, Place], lists: KnownLists) -> list[ListingFact]:
    """What `listing` series read last: 1 is a confirmed listing of the list's own weight, 0 none."""
    newest = {tuple(fact.labels.items()): fact for fact in facts if fact.measure == "listing" and fact.at <= now}
    listed = []
    for fact in newest.values():
        target, dnsbl = fact.labels.get("ip") or fact.labels.get("domain", ""), fact.labels.get("dnsbl", "")
        if fact.value:
            place = places.get(target) or Place(target, "ip" in fact.labels, customer=fact.labels.get("customer"))
            answer = ListAnswer(codes=("127.0.0.2",), weight=1.0)
            listed.append(ListingFact(place, dnsbl, Phase.LISTED, False, answer.codes, fact.at, fact.at, answer, lists.of(dnsbl)))
    return listed


def _is_ip(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()


def _alerts(name: str, expected: AlertTest, rule: Rule, standings: Standings) -> Outcome:
    """All that fires, and nothing else, with these labels and texts."""
    wanted = [(each.exp_labels, each.exp_annotations) for each in expected.exp_alerts]
    firing = [each for each in standings.get(rule.id, {}).values() if each.progress.state in _FIRES and rule.mode is Mode.LIVE]
    fires = [({**dict(each.verdict.group), **rule.labels, "severity": _severity(rule, each)}, _annotations(rule, each)) for each in firing]
    met = len(wanted) == len(fires) and all(each in fires for each in wanted)
    return Outcome(name, expected.eval_time, rule.id, _shown(wanted), None if met else _shown(fires))


def _annotations(rule: Rule, each: Held) -> dict[str, str]:
    return {"summary": each.breach} if rule.summary else {}


def _severity(rule: Rule, each: Held) -> str:
    return str(each.verdict.severity or rule.severity)


def _shown(alerts: Sequence[tuple[Mapping[str, str], Mapping[str, str]]]) -> str:
    texts = [f"{dict(sorted(labels.items()))}" + (f" {dict(texts)}" if texts else "") for labels, texts in alerts]
    return "; ".join(sorted(texts)) or "no alert"


def _verdict(name: str, expected: VerdictTest, rule: Rule, standings: Standings) -> Outcome:
    groups = {frozenset(dict(group).items()): each for group, each in standings.get(rule.id, {}).items()}
    held = groups.get(frozenset(expected.subject.items()))
    wanted = expected.model_dump(exclude_unset=True, exclude={"eval_time", "rule", "subject"}, mode="json")
    if held is None:
        known = "; ".join(key_of(group) for group in standings.get(rule.id, {})) or "none"
        return Outcome(name, expected.eval_time, rule.id, str(wanted), f"no such group (there are: {known})")
    answer = {
        "exp_state": held.progress.state.value, "exp_reason": held.verdict.reason, "exp_summary": held.verdict.summary,
        "exp_effect": _effect(rule, held),
    }  # fmt: skip
    answer = {key: answer[key] for key in wanted}
    return Outcome(name, expected.eval_time, rule.id, str(wanted), None if wanted == answer else str(answer))


def _effect(rule: Rule, held: Held) -> dict[str, Any]:
    """What is put on while it fires: the scopes its members hold."""
    if rule.effect is None or held.progress.state is not State.FIRING or rule.mode is not Mode.LIVE:
        return {}
    scopes = [dict(member.scope) for member in held.verdict.members if member.holds]
    return {"action": rule.effect.action.value, "scopes": scopes} if scopes else {}
