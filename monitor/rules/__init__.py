"""The rules in force: those of the configuration, or the shipped ones."""

from __future__ import annotations

from pathlib import Path

from monitor.config import Config, ConfigError, ConfigErrors, RuleSource, read_rules, validate
from monitor.config_shape import did_you_mean
from monitor.rules.kinds import KINDS
from monitor.rules.model import AnyRule

SHIPPED = Path(__file__).with_name("shipped.yaml")


def load_rules(config: Config) -> tuple[AnyRule, ...]:
    """Every rule, checked; raises ConfigErrors with file and line of all that is wrong."""
    problems: list[ConfigError] = []
    sources = config.rules if config.rules is not None else read_rules(SHIPPED)
    rules = [rule for source in sources if (rule := _rule(source, problems)) is not None]
    problems += _repeated(sources)
    if not problems:
        problems += _strange_receivers(config, {rule.id for rule in rules})
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
    """Receivers that wait for rules there are not, and so would never be told."""
    return [
        config.source.error(("receivers", i, "rules"), f"no rule '{name}' — {did_you_mean(name, known)}")
        for i, receiver in enumerate(config.receivers)
        for name in receiver.rules
        if name not in known
    ]
