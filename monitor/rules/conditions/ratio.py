"""How many of how many, by exact bounds: complaints of delivered, blocks of attempts. Pure.

Too little evidence on a group is said, and with `roll_up` judged in the wider group it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from collectors.contract import Reason
from monitor.config.quantities import Duration, Share
from monitor.gate import Effect
from monitor.rules.bounds import Rate, rate
from monitor.rules.effect import Dimension
from monitor.rules.evidence import Evidence
from monitor.rules.in_part import CountsInPart
from monitor.rules.model import Rule, Strict, needs, not_empty
from monitor.rules.numbers import Numbers, RateNumbers
from monitor.rules.signals import Signal
from monitor.rules.texts import filled, minute, percent
from monitor.rules.verdict import Answer, Group, Member, Verdict, key_of, unknown


class AtLeast(Strict):
    """The least counts on which a breach is called one."""

    numerator: Annotated[int, Field(ge=1)] = 3
    denominator: Annotated[int, Field(ge=1)] = 100


class ClearShare(Strict):
    """When a rate counts as good again."""

    below: Share | None = None
    above: Share | None = None


def _windows(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


Windows = Annotated[tuple[Duration, ...], BeforeValidator(_windows), Field(min_length=1, max_length=5)]


class Ratio(Rule):
    """Fires when a rate is beyond its line beyond reasonable doubt, in one of the windows.

    Beyond doubt: the one-sided Clopper-Pearson bound at `confidence` is, on counts of `at_least`. `roll_up`: in which
    wider groups what has too little evidence is judged together, the narrowest first.
    """

    TEXTS: ClassVar[frozenset[str]] = frozenset({"rate", "lower", "upper", "line", "numerator", "denominator", "since"})

    condition: Literal["ratio"]
    by: Annotated[tuple[Dimension, ...], AfterValidator(not_empty)] = ("customer", "stream", "provider")
    window: Windows = (timedelta(hours=24),)
    above: Share | None = None
    below: Share | None = None
    clear: ClearShare = ClearShare()
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.975
    at_least: AtLeast = AtLeast()
    roll_up: tuple[tuple[str, ...], ...] = ()
    quiet_for: Duration | None = timedelta(days=3)

    @model_validator(mode="after")
    def _hangs_together(self) -> Ratio:
        needs(self, counts=True, denominator=True)
        if (self.above is None) == (self.below is None):
            raise ValueError("needs exactly one of below and above")
        bad, good = ("above", "below") if self.above is not None else ("below", "above")
        end = getattr(self.clear, good)
        if end is None or getattr(self.clear, bad) is not None:
            raise ValueError(f"clear.{good} is missing: a rate that is bad {bad} its line ends {good} one")
        if (end > self.line) if self.above is not None else (end < self.line):
            raise ValueError(f"clear.{good} must not be {'higher' if self.above is not None else 'lower'} than {bad}")
        return self

    @model_validator(mode="after")
    def _holds_what_it_judges(self) -> Ratio:
        effect = self.effect
        if effect is not None:
            if not effect.scope:
                raise ValueError(f"effect.scope is missing: one or more of {', '.join(self.by)}")
            if strange := set(effect.scope) - set(self.by):
                raise ValueError(f"effect.scope has {', '.join(sorted(strange))}, which is not in `by`")
            if effect.action is Effect.HOLD and effect.at_most is None:
                raise ValueError("a hold stops the mail it is judged by: say how long with effect.at_most")
        return self

    @property
    def longest_window(self) -> timedelta:
        return max(self.window)

    @property
    def line(self) -> float:
        return self.above if self.above is not None else self.below or 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioNumbers(RateNumbers):
    """A rate with its exact bounds (0-1) at `confidence`. The counts `…_perhaps` may be of the group too, and are in the rate."""

    upper: float | None = None
    confidence: float | None = None
    denominator_perhaps: int | None = None
    numerator_perhaps: int | None = None

    @property
    def of_how_many(self) -> int:
        return self.denominator + (self.denominator_perhaps or 0)


@dataclass(frozen=True, slots=True)
class Counted:
    """Numerator `k` and denominator `n` of one group, for the same mails, since `since`.

    `stale` says why the numerator cannot be believed to be complete (None: it can). The counts `…_perhaps` are of facts
    known only in part, that may be the group's (monitor.rules.in_part). `parts`: how many groups were put together.
    """

    group: Group
    since: datetime
    n: float
    k: float
    stale: str | None = None
    n_perhaps: float = 0
    k_perhaps: float = 0
    parts: int = 0


def judge(rule: Ratio, evidence: Evidence, now: datetime) -> list[Verdict]:
    """One verdict per group."""
    return judge_counted(rule, [counted(rule, evidence, now, window) for window in rule.window], evidence, now)


def judge_counted(rule: Ratio, facts: Sequence[Sequence[Counted]], evidence: Evidence, now: datetime) -> list[Verdict]:
    """One verdict per group of what was counted in each window."""
    by_window = [judge_counts(rule, each, evidence, now) for each in facts]
    groups = dict.fromkeys(group for verdicts in by_window for group in verdicts)
    return [_together([verdicts[group] for verdicts in by_window if group in verdicts]) for group in groups]


def counted(rule: Ratio, evidence: Evidence, now: datetime, window: timedelta) -> list[Counted]:
    """Counts per group over a window, plus the groups judged before that counted nothing.

    A group that only facts known in part name (a complaint of a customer, of no stream) is one of them, with all that
    is within it. Where one of the rule's suspensions was lifted inside the window, the group is counted from then on: it
    was judged for what came before, and is not judged for it twice.
    """
    since, until = now - window, now + timedelta(microseconds=1)
    signal, restarts = rule.signal, evidence.restarts(rule.id, since)
    stale = evidence.incomplete(signal.numerator)
    # what `where` names beside `by` is asked for too, and what does not name it is left out
    beside = tuple(name for name in rule.where if name not in rule.by)
    counts = _taken(rule, evidence, (*rule.by, *beside), (since, until))
    known = [group for group in evidence.expected(rule.id) if {name for name, _ in group} <= set(rule.by)]
    answers = [
        _counted(signal, group, since, counts, stale) if restarts.get(group, since) == since
        else counted_anew(rule, evidence, now, group, restarts[group], stale)
        for group in dict.fromkeys([*counts.groups(), *known])
    ]  # fmt: skip
    return [each for each in answers if _is_chosen(rule, each.group)]


def counted_anew(rule: Ratio, evidence: Evidence, now: datetime, group: Group, since: datetime, stale: str | None) -> Counted:
    """The counts of one group since its suspension ended."""
    beside = tuple(name for name in rule.where if name not in rule.by)
    sums = _taken(rule, evidence, (*rule.by, *beside), (since, now + timedelta(microseconds=1)), dict(group))
    return _counted(rule.signal, group, since, sums, stale)


def _taken(
    rule: Ratio, evidence: Evidence, names: tuple[str, ...], span: tuple[datetime, datetime],
    where: Mapping[str, str] | None = None,
) -> CountsInPart:
    cells = evidence.counts(rule.signal.measures, names, span, where)
    beside = names[len(rule.by):]
    if beside:
        summed: dict[tuple[str | None, ...], dict[str, float]] = {}
        for values, sums in cells.items():
            own, others = values[: len(rule.by)], dict(zip(beside, values[len(rule.by):], strict=True))
            if all(rule.where[name].takes(value) for name, value in others.items()):
                into = summed.setdefault(own, {})
                for measure, value in sums.items():
                    into[measure] = into.get(measure, 0) + value
        cells = summed
    return CountsInPart(rule.by, cells)


def _counted(signal: Signal, group: Group, since: datetime, counts: CountsInPart, stale: str | None) -> Counted:
    certain, perhaps = counts.of(group)
    (k, n), (k_perhaps, n_perhaps) = signal.sums(certain), signal.sums(perhaps)
    return Counted(group, since, n, k, stale, n_perhaps, k_perhaps)


def _is_chosen(rule: Ratio, group: Group) -> bool:
    values = dict(group)
    return all(chosen.takes(values.get(name)) for name, chosen in rule.where.items() if name in rule.by)


def judge_counts(rule: Ratio, facts: Iterable[Counted], evidence: Evidence | None, now: datetime) -> dict[Group, Verdict]:
    """By group. A wider group is no finding where groups within it, that are, explain its rate."""
    known = {fact.group: fact for fact in facts}
    verdicts = {group: judge_rate(rule, fact, now) for group, fact in known.items()}
    breaches = {group for group, verdict in verdicts.items() if verdict.answer is Answer.BREACH}
    for group in breaches:
        inside = _outermost(each for each in breaches if set(group) < set(each)) if len(group) < len(rule.by) else []
        if inside and judge_rate(rule, _without(known[group], [known[each] for each in inside]), now).answer is not Answer.BREACH:
            summary = f"{verdicts[group].summary}, as {len(inside)} of its parts {'is' if len(inside) == 1 else 'are'} in breach"
            verdicts[group] = replace(verdicts[group], answer=Answer.BETWEEN, summary=summary, members=())
    if rule.roll_up and evidence is not None:
        little = [known[group] for group, verdict in verdicts.items() if verdict.reason == Reason.INSUFFICIENT and known[group].n > 0]
        for fact in rolled_up(rule, little, evidence):
            if fact.group not in verdicts:
                verdicts[fact.group] = judge_rate(rule, fact, now)
    return verdicts


def rolled_up(rule: Ratio, little: Sequence[Counted], evidence: Evidence) -> list[Counted]:
    """What has too little evidence, put together in the narrowest wider group that has enough; the widest takes the rest."""
    done: list[Counted] = []
    for place, names in enumerate(rule.roll_up):
        groups: dict[Group, list[Counted]] = {}
        left = []
        for fact in little:
            wider = _wider(fact.group, names, evidence)
            if wider is None:
                left.append(fact)
            else:
                groups.setdefault(wider, []).append(fact)
        little = left
        for wider, parts in groups.items():
            whole = _put_together(wider, parts)
            if whole.n >= rule.at_least.denominator or place == len(rule.roll_up) - 1:
                done.append(whole)
            else:
                little += parts
    return done


def _wider(group: Group, names: Sequence[str], evidence: Evidence) -> Group | None:
    values = dict(group)
    for target in (values.get("ip"), values.get("domain")):
        place = evidence.place(target) if target else None
        if place:
            values |= {name: value for name, value in (("pool", place.pool), ("customer", place.customer)) if value and name not in values}
    wider = tuple((name, values[name]) for name in names if name in values)
    return wider if len(wider) == len(names) else None


def _put_together(group: Group, parts: Sequence[Counted]) -> Counted:
    return Counted(
        group, min(part.since for part in parts), sum(part.n for part in parts), sum(part.k for part in parts),
        next((part.stale for part in parts if part.stale), None), sum(part.n_perhaps for part in parts),
        sum(part.k_perhaps for part in parts), len(parts),
    )


def judge_rate(rule: Ratio, fact: Counted, now: datetime) -> Verdict:
    """A rate against its line, by exact bounds.

    What is known only in part counts for the mildest case before it is a breach, and for the worst before it is clear.
    Unknown: nothing to be judged by; more events than what they are of; too little to say anything; a low number that
    may be incomplete (then few events prove nothing, many still do).
    """
    counts = _Counts.of(fact)
    n, k = counts.n_most, counts.k
    signal = rule.signal
    if n == 0 or counts.k > n:
        text = f"nothing {signal.per}" if n == 0 else f"more {signal.events} than {signal.per} are known"
        reason = Reason.NO_DATA if n == 0 else Reason.INSUFFICIENT
        return unknown(fact.group, reason, f"{text} ({k} of {n})", _numbers(rule, fact, counts))
    bounds = rate(k, n, rule.confidence)
    numbers = _numbers(rule, fact, counts, bounds)
    summary = _summary(rule, fact, bounds, numbers)
    if _is_breach(rule, fact, counts, bounds):
        scope = _scope(rule, fact.group)
        members = (Member(key_of(fact.group), scope, summary, now, numbers),) if scope else ()
        return Verdict(fact.group, Answer.BREACH, summary, members=members, evidence=numbers)
    return _no_breach(rule, fact, counts, Verdict(fact.group, Answer.BETWEEN, summary + counts.more(signal), evidence=numbers))


def _is_breach(rule: Ratio, fact: Counted, counts: _Counts, bounds: Rate) -> bool:
    if counts.n_most < rule.at_least.denominator:
        return False
    if rule.above is not None:
        return counts.k >= rule.at_least.numerator and bounds.lower > rule.above
    if fact.stale or counts.n == 0 or counts.k_most > counts.n:
        return False
    return rate(counts.k_most, counts.n, rule.confidence).upper < rule.line


def _no_breach(rule: Ratio, fact: Counted, counts: _Counts, between: Verdict) -> Verdict:
    """Clear, where that is sure also of the worst case; else `between`, or unknown and why."""
    if fact.stale and rule.above is not None:
        return unknown(fact.group, Reason.STALE, f"{between.summary}, but {fact.stale}", between.evidence)
    if counts.n > 0 and counts.k_most <= counts.n:
        worst = rate(counts.k_most if rule.above is not None else counts.k, counts.n, rule.confidence)
        end = rule.clear.below if rule.above is not None else rule.clear.above
        assert end is not None  # Ratio._hangs_together
        if worst.upper < end if rule.above is not None else worst.lower > end:
            text = f"{rule.signal.words} {rate_text(worst, upper=rule.above is not None)} since {minute(fact.since)}"
            return Verdict(fact.group, Answer.CLEAR, text, evidence=between.evidence)
    if fact.stale:
        return unknown(fact.group, Reason.STALE, f"{between.summary}, but {fact.stale}", between.evidence)
    if counts.n < rule.at_least.denominator:
        return unknown(fact.group, Reason.INSUFFICIENT, f"{between.summary}: too little to say", between.evidence)
    return between


def _together(verdicts: Sequence[Verdict]) -> Verdict:
    """Of several windows: a breach in any; clear only where every window that can be judged is."""
    breaches = [each for each in verdicts if each.answer is Answer.BREACH]
    if breaches:
        return max(breaches, key=lambda each: _beyond(each.evidence))
    between = [each for each in verdicts if each.answer is Answer.BETWEEN]
    clear = [each for each in verdicts if each.answer is Answer.CLEAR]
    stale = [each for each in verdicts if each.reason == Reason.STALE]
    return next(iter(stale or between or clear or verdicts[::-1]))


def _beyond(numbers: Numbers) -> float:
    """How far the bound is from the line."""
    return abs((numbers.lower or 0.0) - numbers.line) if isinstance(numbers, RatioNumbers) else 0.0


class _Counts(NamedTuple):
    """Denominator and numerator of a group, without and with what may be of it."""

    n: int
    n_most: int
    k: int
    k_most: int

    @classmethod
    def of(cls, fact: Counted) -> _Counts:
        return cls(round(fact.n), round(fact.n + fact.n_perhaps), round(fact.k), round(fact.k + fact.k_perhaps))

    def more(self, signal: Signal) -> str:
        return f"; {self.k_most - self.k:,} {signal.events} more may be of it" if self.k_most > self.k else ""


def _numbers(rule: Ratio, fact: Counted, counts: _Counts, bounds: Rate | None = None) -> RatioNumbers:
    numbers = RatioNumbers(
        words=rule.signal.words, numerator=counts.k, denominator=counts.n, line=rule.line, since=fact.since,
        denominator_perhaps=counts.n_most - counts.n or None, numerator_perhaps=counts.k_most - counts.k or None,
        parts=fact.parts or None,
    )  # fmt: skip
    if bounds is None:
        return numbers
    return replace(numbers, rate=bounds.value, lower=bounds.lower, upper=bounds.upper, confidence=rule.confidence)


def _summary(rule: Ratio, fact: Counted, bounds: Rate, numbers: RatioNumbers) -> str:
    together = f", {fact.parts} groups with too little evidence each taken together" if fact.parts else ""
    text = f"{rule.signal.words} {rate_text(bounds, upper=rule.above is None)} since {minute(fact.since)}{together}"
    if not rule.summary:
        return text
    shares = {"rate": bounds.value, "lower": bounds.lower, "upper": bounds.upper, "line": rule.line}
    return filled(rule.summary, {
        **dict(fact.group), **numbers.encode(), **{name: percent(share) for name, share in shares.items()},
        "since": minute(fact.since), "text": text,
    })  # fmt: skip


def _outermost(groups: Iterable[Group]) -> list[Group]:
    """Those that lie in none of the others; what overlaps and is neither within the other is left out."""
    chosen: list[Group] = []
    for group in sorted(groups, key=len):
        if all(_apart(group, each) for each in chosen):
            chosen.append(group)
    return chosen


def _apart(first: Group, second: Group) -> bool:
    values = dict(second)
    return any(values.get(name, value) != value for name, value in first)


def _without(fact: Counted, parts: Iterable[Counted]) -> Counted:
    """The group without these parts of it, of which no two share a fact."""
    parts = list(parts)
    return replace(fact, n=fact.n - sum(part.n for part in parts), k=fact.k - sum(part.k for part in parts))


def rate_text(bounds: Rate, *, upper: bool = False) -> str:
    """`0.41 % (82 of 20,000; at least 0.33 %)`, or with the other bound: `… at most 0.50 %)`."""
    bound = f"at most {percent(bounds.upper)}" if upper else f"at least {percent(bounds.lower)}"
    return f"{percent(bounds.value)} ({bounds.k:,} of {bounds.n:,}; {bound})"


def _scope(rule: Ratio, group: Group) -> dict[str, str]:
    wanted: tuple[str, ...] = rule.effect.scope if rule.effect else ()
    scope: dict[str, str] = {name: value for name, value in group if name in wanted}
    # a suspension wider than what was judged would hold mail nobody complained of
    return scope if len(scope) == len(wanted) else {}
