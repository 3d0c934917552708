"""What the operator decided: one YAML file, checked completely before anything starts.

`load_config` answers with a `Config` or raises `ConfigErrors`: every mistake with file, line and what to do.
Text may hold `${NAME}` or `${NAME:-default}` from the environment (`$$` is a dollar); a secret `key` may be
given as `key_file`, the path of a file that holds it. Paths are relative to the configuration file.
Secrets are SecretStr and appear in no repr, error or JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    Field,
    SecretStr,
)

import collectors
from collectors.contract import CollectorError, CollectorSettings
from monitor.config.mta import Mta
from monitor.config.notify import Notify
from monitor.config.quantities import parse_duration
from monitor.config.receivers import Receiver
from monitor.config.secret_files import with_secret_files
from monitor.config.settings import Api, Engine, Names, Secret, _Part
from monitor.config.validation import annotation_at, did_you_mean, validate
from monitor.config.warmup import WarmUp
from monitor.config.webhooks import Webhook
from monitor.config.yaml_file import ConfigError, ConfigErrors, Section, read_section

__all__ = ["Config", "ConfigError", "ConfigErrors", "RuleSource", "load_config", "read_rules"]

RuleSource = Section  # one rule as written: `data`, `file`, `line`, `line_of(path)`, `error(path, message)`


class _File(_Part):
    """The whole file; collectors and rules are judged by those they belong to."""

    engine: Engine
    api: Api = Api()
    secrets: dict[str, Secret] = Field(default_factory=dict)
    collectors: dict[str, dict[str, Any] | None] = Field(default_factory=dict)
    rules: list[Any] | None = None
    receivers: tuple[Receiver, ...] = ()
    notify: Notify = Notify()
    warmup: WarmUp = WarmUp()
    mta: Mta = Mta()
    webhooks: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")], Webhook] = Field(default_factory=dict)
    inventory: Names = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the operator decided. `source` finds the line of what a higher floor cannot accept."""

    path: Path
    engine: Engine
    api: Api
    secrets: Mapping[str, SecretStr]
    collectors: Mapping[str, CollectorSettings]  # only those named run, and of these the enabled
    rules: tuple[RuleSource, ...] | None  # None: the shipped rules
    receivers: tuple[Receiver, ...]
    notify: Notify
    warmup: WarmUp
    mta: Mta
    webhooks: Mapping[str, Webhook]
    inventory: tuple[Path, ...]
    source: Section = field(repr=False)


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in the file at `path`; raises ConfigErrors with all that is wrong."""
    unread: list[ConfigError] = []
    written = read_section(path, environ, unread)
    if not isinstance(written.data, dict):
        message = f"must be a mapping of sections — known: {', '.join(_File.model_fields)}"
        raise ConfigErrors([*unread, written.error((), message)])
    problems: list[ConfigError] = []
    # a section with nothing in it (all commented out) is the same as no section
    sections = {key: value for key, value in written.data.items() if value is not None}
    source = with_secret_files(written.with_data({"engine": {}, **sections}), _File, path.parent, problems)
    file = validate(source, _File, problems, context=path.parent)
    settings = _collectors(source, path.parent, problems)
    rules = _rules(source, path.parent, environ, problems)
    problems += _repeated_receivers(source)
    problems += _secrets_of_webhooks(source, file) if file is not None else ()
    problems = unread + [problem for problem in problems if not any(map(problem.repeats, unread))]
    if file is None or problems:
        raise ConfigErrors(problems)
    inventory = tuple(path.parent / name for name in file.inventory)
    return Config(
        path, file.engine, file.api, file.secrets, settings, rules, file.receivers, file.notify, file.warmup, file.mta, file.webhooks,
        inventory,
        source,
    )


def _secrets_of_webhooks(source: Section, file: _File) -> list[ConfigError]:
    return [
        source.error(("webhooks", name, "secret"), f"no secret '{hook.secret}' — name it under `secrets:`")
        for name, hook in file.webhooks.items() if hook.secret is not None and hook.secret not in file.secrets
    ]


def read_rules(path: Path, environ: Mapping[str, str] | None = None) -> tuple[RuleSource, ...]:
    """The rules of one file: a list, or a mapping with the one key `rules`. Raises ConfigErrors."""
    whole = read_section(path, environ)
    if isinstance(whole.data, dict) and "rules" in whole.data:
        for key in whole.data.keys() - {"rules"}:
            raise ConfigErrors([whole.error((key,), f"unknown key — {did_you_mean(key, ['rules'])}")])
        whole = whole.section("rules")
    if not isinstance(whole.data, list):
        raise ConfigErrors([whole.error((), "must be a list of rules — begin each with '- id: …'")])
    problems = [whole.error((i,), "must be a mapping — begin each rule with '- id: …'")
                for i, rule in enumerate(whole.data) if not isinstance(rule, dict)]
    if problems:
        raise ConfigErrors(problems)
    return tuple(whole.section(i) for i in range(len(whole.data)))


def _collectors(
    source: Section, directory: Path, problems: list[ConfigError]
) -> dict[str, CollectorSettings]:
    """The settings of each collector named, by its own model."""
    named = source.data.get("collectors")
    if not isinstance(named, dict) or not named:
        return {}
    try:
        known = collectors.discover()
    except CollectorError as error:  # one that is installed cannot be imported
        problems.append(source.error(("collectors",), error.text))
        return {}
    accepted: dict[str, CollectorSettings] = {}
    for name, written in named.items():
        if name not in known:
            message = f"no such collector — {did_you_mean(name, known)}"
            problems.append(source.error(("collectors", name), message))
        elif written is None or isinstance(written, dict):
            section, model = source.section("collectors", name).with_data(written or {}), known[name].Settings
            section = with_secret_files(section, model, directory, problems)
            section = _in_plain_types(section, model, directory, problems)
            settings = validate(section, model, problems, context=directory)
            if settings is not None and settings.enabled:
                accepted[name] = settings
    return accepted


def _in_plain_types(
    section: Section, model: type[BaseModel], directory: Path, problems: list[ConfigError]
) -> Section:
    """Collectors declare timedelta and Path; people write 15m, and paths as seen from this file."""
    data = dict(section.data)
    for key, value in section.data.items():
        expected = annotation_at(model, (key,))
        if expected is Path and isinstance(value, str):
            data[key] = directory / value
        elif expected is timedelta and value is not None:
            try:
                data[key] = parse_duration(value)
            except ValueError as error:
                problems.append(section.error((key,), str(error)))
                del data[key]
        elif isinstance(value, dict) and isinstance(expected, type) and issubclass(expected, BaseModel):
            nested = section.section(key).with_data(value)
            data[key] = dict(_in_plain_types(nested, expected, directory, problems).data)
    return section.with_data(data)


def _rules(
    source: Section, directory: Path, environ: Mapping[str, str], problems: list[ConfigError]
) -> tuple[RuleSource, ...] | None:
    """Rules written in place, and those of the files named; None where the section is left out."""
    written = source.data.get("rules")
    if not isinstance(written, list):
        return None
    sources: list[RuleSource] = []
    for i, item in enumerate(written):
        if isinstance(item, dict):
            sources.append(source.section("rules", i))
        elif isinstance(item, str):
            try:
                sources += read_rules(directory / item, environ)
            except ConfigErrors as error:
                if error.line is None:  # the file itself: the mistake is in the line that names it
                    problems.append(source.error(("rules", i), f"the file {item} {error.message}"))
                else:
                    problems += error.errors
        else:
            problems.append(source.error(("rules", i), "must be a rule or the path of a file of rules"))
    return tuple(sources)


def _repeated_receivers(source: Section) -> list[ConfigError]:
    receivers = source.data.get("receivers")
    seen: dict[str, int] = {}
    repeated: list[ConfigError] = []
    for i, receiver in enumerate(receivers if isinstance(receivers, list) else ()):
        name = receiver.get("name") if isinstance(receiver, dict) else None
        if isinstance(name, str) and name in seen:
            message = f"'{name}' is the name of the receiver in line {seen[name]} too — give each its own"
            repeated.append(source.error(("receivers", i, "name"), message))
        elif isinstance(name, str):
            seen[name] = source.line_of(("receivers", i, "name"))
    return repeated
