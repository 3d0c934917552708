"""The rules of a configuration, or the shipped ones, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from monitor.config.load import Config, RuleSource, read_rules
from monitor.config.validation import did_you_mean, validate
from monitor.config.yaml_file import ConfigError, ConfigErrors
from monitor.rules.conditions.table import CONDITIONS, OLD_KINDS
from monitor.rules.model import Rule
from monitor.rules.unless import in_order

SHIPPED = Path(__file__).with_name("shipped.yaml")
RUNBOOKS = Path(__file__).with_name("runbooks")  # a page ID.md for each shipped rule


class KnownList(Protocol):
    """What a rule must know of a DNS list to be about it."""

    @property
    def kind(self) -> str:
        """`block` or `allow`."""

    @property
    def score(self) -> object | None:
        """How its score is read; None where it has none."""


# signal → which lists it can be about, and how they are called
_ABOUT: dict[str, tuple[str, Callable[[KnownList], bool]]] = {
    "listings": ("block list", lambda entry: entry.kind == "block"),
    "allow_listings": ("allow list", lambda entry: entry.kind == "allow"),
    "list_scores": ("list with a score", lambda entry: entry.score is not None),
}


def load_rules(config: Config, lists: Mapping[str, KnownList] | None) -> tuple[Rule, ...]:
    """Every rule, checked; raises ConfigErrors with file and line of all that is wrong.

    `lists` are the DNS lists in use by id; None: none are asked, so what rules say of them is not checked.
    """
    problems: list[ConfigError] = []
    sources = config.rules if config.rules is not None else read_rules(SHIPPED)
    rules: tuple[Rule, ...] = ()
    try:
        rules = check_rules(sources, lists if config.rules is not None else None)
    except ConfigErrors as error:
        problems += error.errors
    if not problems:
        problems += _strange_receivers(config, {rule.id for rule in rules})
    if problems:
        raise ConfigErrors(problems)
    return rules


def check_rules(sources: Sequence[RuleSource], lists: Mapping[str, KnownList] | None = None) -> tuple[Rule, ...]:
    """The rules in the order they are judged in. Raises ConfigErrors with file and line of all that is wrong."""
    problems: list[ConfigError] = []
    read = [(source, rule) for source in sources if (rule := _rule(source, problems)) is not None]
    problems += _repeated(sources)
    if not problems:
        problems += [*_strange_rules(read), *(_strange_lists(lists, read) if lists is not None else ())]
    if problems:
        raise ConfigErrors(problems)
    try:
        return tuple(in_order([rule for _, rule in read]))
    except ValueError as error:
        first = next(source for source, rule in read if rule.id == str(error).partition(" ")[0])
        raise ConfigErrors([first.error(("unless",), f"these rules wait for each other: {error} — take one out")]) from None


def _rule(source: RuleSource, problems: list[ConfigError]) -> Rule | None:
    if not isinstance(source.data, dict):
        problems.append(source.error((), "must be a mapping with id, condition and signal"))
        return None
    condition, kind = source.data.get("condition"), source.data.get("kind")
    if condition is None:
        if kind is None:
            problems.append(source.error((), f"condition is missing — known: {', '.join(sorted(CONDITIONS))}"))
        elif (now := OLD_KINDS.get(str(kind))) is not None:
            problems.append(source.error(("kind",), f"'{kind}' is written '{now}' now — see the rules' README"))
        else:
            problems.append(source.error(("kind",), f"rules have no kind but a condition — known: {', '.join(sorted(CONDITIONS))}"))
        return None
    if not isinstance(condition, str) or condition not in CONDITIONS:
        problems.append(source.error(("condition",), f"'{condition}' is no condition — {did_you_mean(str(condition), CONDITIONS)}"))
        return None
    return validate(source, CONDITIONS[condition].model, problems)


def _repeated(sources: Sequence[RuleSource]) -> list[ConfigError]:
    seen: dict[str, RuleSource] = {}
    problems = []
    for source in sources:
        name = source.data.get("id") if isinstance(source.data, dict) else None
        if isinstance(name, str) and name in seen:
            first = seen[name]
            problems.append(source.error(("id",), f"'{name}' is taken by the rule at {first.file}:{first.line}"))
        elif isinstance(name, str):
            seen[name] = source
    return problems


def _strange_receivers(config: Config, known: set[str]) -> list[ConfigError]:
    """Receivers that wait for rules there are not, and so would never be notified."""
    return [
        config.source.error(("receivers", i, "rules"), f"no rule '{name}' — {did_you_mean(name, known)}")
        for i, receiver in enumerate(config.receivers)
        for name in receiver.rules
        if name not in known
    ]


def _strange_rules(read: Sequence[tuple[RuleSource, Rule]]) -> list[ConfigError]:
    """Rules that others wait for and there are not."""
    known = {rule.id for _, rule in read}
    return [
        source.error(("unless" if rule.unless is not None and rule.unless.rule == name else "beside",),
                     f"no rule '{name}' — {did_you_mean(name, known)}")
        for source, rule in read for name in rule.waits_for if name not in known
    ]  # fmt: skip


def _strange_lists(lists: Mapping[str, KnownList], read: Sequence[tuple[RuleSource, Rule]]) -> list[ConfigError]:
    """Lists that rules wait for and the catalogue in use does not have, or has as something else."""
    problems = []
    for source, rule in read:
        called, fits = _ABOUT.get(rule.signal.name, ("", bool))
        named = rule.where["dnsbl"].values if "dnsbl" in rule.where else ()
        places: list[tuple[tuple[str | int, ...], str]] = [(("where", "dnsbl"), name) for name in named]
        places += [(("lists", i), name) for i, name in enumerate(source.data.get("lists") or ())]
        for place, name in places:
            if name not in lists:
                text = f"no list '{name}' — {did_you_mean(name, lists)}"
            elif not fits(lists[name]):
                text = f"'{name}' is no {called}"
            else:
                continue
            problems.append(source.error(place, text))
    return problems
