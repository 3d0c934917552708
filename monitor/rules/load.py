"""The rules of a configuration, or the shipped ones, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from monitor.config.load import Config, RuleSource, read_rules
from monitor.config.validation import did_you_mean, validate
from monitor.config.yaml_file import ConfigError, ConfigErrors
from monitor.rules.conditions.table import KINDS
from monitor.rules.model import AnyRule

SHIPPED = Path(__file__).with_name("shipped.yaml")


class KnownList(Protocol):
    """What a rule must know of a DNS list to be about it."""

    @property
    def kind(self) -> str:
        """`block` or `allow`."""

    @property
    def score(self) -> object | None:
        """How its score is read; None where it has none."""


# kind of rule → which lists it can be about, and how they are called
_ABOUT: dict[str, tuple[str, Callable[[KnownList], bool]]] = {
    "listing": ("block list", lambda entry: entry.kind == "block"),
    "allow_listing_lost": ("allow list", lambda entry: entry.kind == "allow"),
    "list_score": ("list with a score", lambda entry: entry.score is not None),
}


def load_rules(config: Config, lists: Mapping[str, KnownList] | None) -> tuple[AnyRule, ...]:
    """Every rule, checked; raises ConfigErrors with file and line of all that is wrong.

    `lists` are the DNS lists in use by id; None: none are asked, so what rules say of them is not checked.
    """
    problems: list[ConfigError] = []
    sources = config.rules if config.rules is not None else read_rules(SHIPPED)
    rules = [rule for source in sources if (rule := _rule(source, problems)) is not None]
    problems += _repeated(sources)
    if not problems:
        problems += _strange_receivers(config, {rule.id for rule in rules})
        problems += [] if config.rules is None or lists is None else _strange_lists(lists, sources)
    if problems:
        raise ConfigErrors(problems)
    return tuple(rules)


def _rule(source: RuleSource, problems: list[ConfigError]) -> AnyRule | None:
    if not isinstance(source.data, dict):
        problems.append(source.error((), "must be a mapping with id, kind and a condition"))
        return None
    kind = source.data.get("kind")
    if kind is None:
        problems.append(source.error((), f"kind is missing — known: {', '.join(sorted(KINDS))}"))
        return None
    if not isinstance(kind, str) or kind not in KINDS:
        problems.append(source.error(("kind",), f"'{kind}' is no kind of rule — {did_you_mean(str(kind), KINDS)}"))
        return None
    return validate(source, KINDS[kind].model, problems)


def _repeated(sources: tuple[RuleSource, ...]) -> list[ConfigError]:
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


def _strange_lists(lists: Mapping[str, KnownList], sources: Sequence[RuleSource]) -> list[ConfigError]:
    """Lists that rules wait for and the catalogue in use does not have, or has as something else."""
    problems = []
    for source in sources:
        called, fits = _ABOUT.get(source.data["kind"], ("", bool))
        for i, name in enumerate(source.data.get("lists") or ()):
            if name not in lists:
                text = f"no list '{name}' — {did_you_mean(name, lists)}"
            elif not fits(lists[name]):
                text = f"'{name}' is no {called}"
            else:
                continue
            problems.append(source.error(("lists", i), text))
    return problems
