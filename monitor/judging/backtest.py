"""What rules would have made of stored history: episodes, and the mail held, in the order in which things became known. Pure.

The player is that of `vigie rules simulate`, so the conditions, timers and evidence are those of the service. Judged are rules of
the conditions in JUDGED; the others follow states, listings and runs of collectors, of which readings do not say enough.

What happened was with the restrictions of its time: mail that was really held is in no history, so a rule that fired late here
may have fired in time and hidden what it stopped.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.facts.history import Known
from monitor.gate import Effect
from monitor.judging.mail_evidence import KEPT
from monitor.judging.simulate import Event, Simulation
from monitor.judging.simulated_facts import Line
from monitor.rules.conditions.table import numbers_of
from monitor.rules.model import Mode, Rule
from monitor.rules.verdict import Answer, Verdict

JUDGED = frozenset({"ratio", "count", "excess"})
_FORGET_EVERY = timedelta(hours=1)
_SLACK = timedelta(hours=1)  # windows are cut at whole minutes
Key = tuple[str, tuple[tuple[str, str], ...]]  # rule, scope


@dataclass(slots=True)
class Episode:
    """A time in which a rule fired for a scope; `until` None: it still did at the end. `peak`: its worst number, with `summary`."""

    rule: str
    scope: Mapping[str, str]
    severity: str
    since: datetime
    until: datetime | None = None
    peak: float | None = None
    summary: str = ""

    @property
    def key(self) -> Key:
        return self.rule, tuple(self.scope.items())


@dataclass(slots=True)
class _Hold:
    rule: str
    scope: Mapping[str, str]
    since: datetime
    kept: float  # the share of the mail that does not go out
    until: datetime | None  # when it ends by itself, or was lifted


@dataclass(slots=True)
class Held:
    """Messages delivered while a hold would have stood, less the share let through: in all, and by rule. `holds` by rule."""

    total: float = 0.0
    by_rule: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    holds: Counter[str] = field(default_factory=Counter)


class Backtest:
    """Rules over history from `since` on. `transactional`: see Simulation; `every`: the longest time between two looks."""

    def __init__(
        self, rules: Sequence[Rule], since: datetime, every: timedelta, transactional: Collection[tuple[str, str]] = ()
    ) -> None:
        self.episodes: list[Episode] = []
        self.held = Held()
        self.streams: set[tuple[str | None, ...]] = set()
        self._since = since
        self._forgotten_at: datetime | None = None
        self._open: dict[Key, Episode] = {}
        self._holds: dict[str, _Hold] = {}
        judged = [rule for rule in rules if rule.condition in JUDGED]
        self._rules = {rule.id: rule for rule in judged}
        # the books of excess keep, and forget, what they are judged by themselves
        self._kept = max((rule.longest_window for rule in judged), default=timedelta(0)) + _SLACK
        self._player = Simulation(judged, every, transactional, self._judged)
        self._begun = False

    @property
    def size(self) -> int:
        """Sums kept in memory: no more than the longest window has, and some hours."""
        return self._player.size

    def take(self, fact: Known) -> None:
        """The next fact, in the order of `known_at`. What was known before `since` is learnt and judged only from then on."""
        line = Line(fact.known_at, fact.at, fact.measure, fact.labels, fact.value)
        if fact.known_at < self._since:
            self._player.learn(line)
        else:
            self._begin()
            for event in self._player.take(line):
                self._note(event)
            if fact.measure == "delivered":
                self._delivered(fact)
        self._forget(fact.known_at)

    def end(self, until: datetime) -> None:
        """Judge up to the end."""
        self._begin()
        for event in (*self._player.until(until), *self._player.end()):
            self._note(event)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            for event in self._player.until(self._since):
                self._note(event)

    def _forget(self, now: datetime) -> None:
        """What no later look asks for."""
        if self._forgotten_at is not None and now - self._forgotten_at < _FORGET_EVERY:
            return
        self._forgotten_at = now
        self._player.forget(now - self._kept)
        self._holds = {name: each for name, each in self._holds.items() if each.until is None or now - each.until < KEPT}

    def _judged(self, rule: Rule, verdict: Verdict) -> None:
        """A verdict, before what follows from it: the worst number of an episode is seen nowhere else."""
        episode = self._open.get((rule.id, verdict.group))
        if episode is not None and verdict.answer is Answer.BREACH:
            _worse(episode, rule, verdict.evidence.figure, verdict.summary)

    def _note(self, event: Event) -> None:
        at = datetime.fromisoformat(event["at"])
        if event["event"] == "suspension":
            self._suspended(event, at)
            return
        key = event["rule"], tuple(event["scope"].items())
        if event["state"] == "firing" and key not in self._open:
            episode = Episode(event["rule"], event["scope"], event["severity"], at)
            _worse(episode, self._rules[episode.rule], numbers_of(event["evidence"]).figure, event["summary"])
            self._open[key] = episode
            self.episodes.append(episode)
        elif event["state"] == "resolved" and key in self._open:
            self._open.pop(key).until = at

    def _suspended(self, event: Event, at: datetime) -> None:
        if event["effect"] != Effect.HOLD:
            return
        if event["lifted"]:
            self._holds[event["id"]].until = at
            return
        self.held.holds[event["rule"]] += 1
        until = datetime.fromisoformat(event["until"]) if event["until"] else None
        self._holds[event["id"]] = _Hold(event["rule"], event["scope"], at, 1 - (event["probe"] or 0.0), until)

    def _delivered(self, fact: Known) -> None:
        labels = fact.labels
        self.streams.add((labels.get("customer"), labels.get("stream"), labels.get("provider")))
        kept: dict[str, float] = {}
        for hold in self._holds.values():
            stood = hold.since <= fact.at and (hold.until is None or fact.at < hold.until)
            if stood and hold.scope.items() <= labels.items():
                kept[hold.rule] = max(kept.get(hold.rule, 0.0), hold.kept)
        for rule, share in kept.items():
            self.held.by_rule[rule] += fact.value * share
        self.held.total += fact.value * max(kept.values(), default=0.0)


def looks_back(rules: Iterable[Rule]) -> timedelta:
    """How much history before an instant a verdict of these rules rests on."""
    return max((rule.longest_window or KEPT for rule in rules), default=timedelta(0))


def measures_of(rules: Iterable[Rule]) -> set[str]:
    """The counts that these rules, and the mail they would have held, are known by."""
    return {"delivered", *(name for rule in rules for name in rule.signal.measures)}


def left_out(rules: Iterable[Rule]) -> Iterator[tuple[str, str]]:
    """(rule, why) of those a backtest does not judge."""
    for rule in rules:
        if not rule.enabled:
            yield rule.id, "not enabled"
        elif rule.mode is not Mode.LIVE:
            yield rule.id, "in shadow: nobody is notified and nothing held"
        elif rule.condition not in JUDGED:
            yield rule.id, f"of condition {rule.condition}, which counts alone do not say"


def _worse(episode: Episode, rule: Rule, number: float | None, summary: str) -> None:
    if number is None:
        return
    below = getattr(rule, "below", None) is not None
    if episode.peak is None or (number < episode.peak if below else number > episode.peak):
        episode.peak, episode.summary = number, summary
