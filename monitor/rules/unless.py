"""Which rules are not judged while another fires, and in which order rules are judged for it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from monitor.rules.model import Rule
from monitor.rules.verdict import Answer, Group, Verdict

_Rule = TypeVar("_Rule", bound=Rule)


def in_order(rules: Sequence[_Rule]) -> list[_Rule]:
    """Each after the rule it waits for. Raises ValueError, with their ids, for rules that wait in a circle."""
    known = {rule.id: rule for rule in rules}
    done: dict[str, _Rule] = {}

    def add(rule: _Rule, waiting: tuple[str, ...]) -> None:
        if rule.id in waiting:
            raise ValueError(" → ".join((*waiting[waiting.index(rule.id):], rule.id)))
        if rule.id not in done:
            for name in rule.waits_for:
                if name in known:
                    add(known[name], (*waiting, rule.id))
            done[rule.id] = rule

    for rule in rules:
        add(rule, ())
    return list(done.values())


def unevaluated(rule: Rule, verdicts: Iterable[Verdict], firing: Mapping[str, Collection[Group]]) -> list[Verdict]:
    """The verdicts, with those taken back that another rule stands against; `firing`: the groups each rule fires for."""
    unless = rule.unless
    if unless is None or not firing.get(unless.rule):
        return list(verdicts)
    answers = []
    for verdict in verdicts:
        values = dict(verdict.group)
        alike = any(all(dict(group).get(name) == values.get(name) for name in unless.same) for group in firing[unless.rule])
        excused = not unless.reasons or (verdict.answer is Answer.BREACH and verdict.evidence.failure in unless.reasons)
        if alike and excused:
            text = f"not judged while {unless.rule} fires"
            verdict = replace(verdict, answer=Answer.UNEVALUATED, reason=unless.rule, summary=text, members=())  # noqa: PLW2901
        answers.append(verdict)
    return answers
