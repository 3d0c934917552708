"""What a gauge reads, against a line: a list's score of our IPs, how far this clock is behind. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from pydantic import model_validator

from monitor.config.quantities import Duration
from monitor.rules.evidence import Evidence, Standing
from monitor.rules.model import Lined, Rule, needs
from monitor.rules.numbers import Numbers
from monitor.rules.texts import filled, shown, some
from monitor.rules.verdict import Answer, Group, Member, Verdict, group_of, in_common, key_of

_MOST_NAMED = 3


class Value(Rule, Lined):
    """Fires while one of a group's values is beyond the line; ends when all are known to be good.

    A value older than `max_age` (the measure's own, where it is not said) says nothing.
    """

    TEXTS: ClassVar[frozenset[str]] = frozenset({"value", "line", "since", "name", "targets", "detail"})

    condition: Literal["value"]
    by: tuple[str, ...] = ("operator", "pool")
    max_age: Duration | None = None

    @model_validator(mode="after")
    def _is_read(self) -> Value:
        needs(self, counts=False)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueNumbers(Numbers):
    """The values beyond the line, by `target@list`."""

    scores: Mapping[str, float]
    line: float

    @property
    def gravity(self) -> tuple[float, int]:
        return 0.0, len(self.scores)

    @property
    def targets(self) -> list[str]:
        return sorted({key.rpartition("@")[0] for key in self.scores})

    def headline(self, targets: str) -> str | None:
        return f"{targets} with a bad score"


def judge(rule: Value, evidence: Evidence, now: datetime) -> list[Verdict]:
    """One verdict per group of series that are still watched."""
    groups: dict[Group, list[Standing]] = {}
    for measure in rule.signal.numerator:
        for each in evidence.states(measure):
            if all(chosen.takes(each.labels.get(name)) for name, chosen in rule.where.items()):
                groups.setdefault(grouped(rule.by, each.labels), []).append(each)
    return [_verdict(rule, group, members, now) for group, members in groups.items()]


def grouped(by: Iterable[str], labels: Mapping[str, str]) -> Group:
    """The group of what has these labels: a list whose operator nobody knows, and what stands in no pool, by itself."""
    wanted = tuple(dict.fromkeys("dnsbl" if name == "operator" and name not in labels else name for name in by))
    known = group_of(wanted, labels)
    alone = len(known) < len(wanted) and "target" in labels
    return (*known, ("target", labels["target"])) if alone else known


def _verdict(rule: Value, group: Group, series: Sequence[Standing], now: datetime) -> Verdict:
    answers: dict[Answer, list[Standing]] = {}
    for each in series:
        answers.setdefault(_answer(rule, each, now), []).append(each)
    if bad := answers.get(Answer.BREACH):
        return _bad(rule, group, bad)
    if between := answers.get(Answer.BETWEEN):
        text = f"{some(map(_text, between), _MOST_NAMED)}, better but not clear yet"
        return Verdict(group, Answer.BETWEEN, text, labels=_common(between))
    if unknown := answers.get(Answer.UNKNOWN):
        reason = min(str(each.state.unknown(now, _max_age(rule))) for each in unknown)
        return Verdict(group, Answer.UNKNOWN, f"the {rule.signal.words} is not known: {reason}", reason, labels=_common(unknown))
    named = some(sorted(map(_named, series)), _MOST_NAMED)
    return Verdict(group, Answer.CLEAR, f"{named}: the {rule.signal.words} is good again", labels=_common(series))


def _max_age(rule: Value) -> Duration:
    return rule.max_age if rule.max_age is not None else rule.signal.max_age


def _answer(rule: Value, each: Standing, now: datetime) -> Answer:
    value = each.state.value
    if value is None or each.state.unknown(now, _max_age(rule)):
        return Answer.UNKNOWN
    return Answer.BREACH if rule.is_bad(value) else Answer.CLEAR if rule.is_good(value) else Answer.BETWEEN


def _bad(rule: Value, group: Group, bad: Sequence[Standing]) -> Verdict:
    texts = [_text(each) for each in bad]
    members = tuple(
        Member(_key(each), dict(group_of(("ip", "domain"), each.labels)), text, each.state.since)
        for each, text in zip(bad, texts, strict=True)
    )
    text = f"{some(texts, _MOST_NAMED)}, {'below' if rule.below is not None else 'above'} {rule.line:g}"
    if rule.summary:
        first = bad[0]
        text = filled(rule.summary, {
            **first.labels, **dict(group), "value": first.state.value, "line": rule.line, "since": first.state.since,
            "name": _list_name(first), "targets": some(sorted(map(_named, bad)), _MOST_NAMED), "text": text, "detail": first.state.detail.encode(),
        })  # fmt: skip
    scores = {_key(each): each.state.value for each in bad if each.state.value is not None}
    evidence = ValueNumbers(scores=scores, line=rule.line)
    return Verdict(group, Answer.BREACH, text, members=members, evidence=evidence, labels=_common(bad))


def _text(each: Standing) -> str:
    return f"{_named(each)} has {shown(each.state.value)}" + (f" on {_list_name(each)}" if each.labels.get("dnsbl") else "")


def _named(each: Standing) -> str:
    return each.labels.get("target") or key_of(tuple(each.labels.items()))


def _key(each: Standing) -> str:
    return f"{_named(each)}@{each.labels['dnsbl']}" if "dnsbl" in each.labels else _named(each)


def _list_name(each: Standing) -> str:
    return each.list_name or each.labels.get("dnsbl", "")


def _common(series: Sequence[Standing]) -> dict[str, str]:
    return in_common(each.labels for each in series)
