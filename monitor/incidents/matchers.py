"""`name=value`, `!=`, `=~`, `!~`: which incidents are meant. Alertmanager's matchers; a label that is not there is the empty text."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monitor.incidents.patterns import PatternError, pattern

MOST = 16  # matchers of one silence
_WRITTEN = re.compile(r"""\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(.*?)\s*""", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ALIASES = {"alertname": "rule"}


class Operator(enum.StrEnum):
    """How a value is compared; `=~` and `!~` with a regular expression for the whole of it."""

    EQUAL = "="
    UNEQUAL = "!="
    LIKE = "=~"
    UNLIKE = "!~"

    @property
    def is_regex(self) -> bool:
        return self in {Operator.LIKE, Operator.UNLIKE}

    @property
    def is_positive(self) -> bool:
        return self in {Operator.EQUAL, Operator.LIKE}


@dataclass(frozen=True, slots=True)
class Matcher:
    """One of them. Raises ValueError for a pattern that is none."""

    name: str
    operator: Operator
    value: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _ALIASES.get(self.name, self.name))
        if self.operator.is_regex:
            try:
                pattern(self.value)
            except PatternError as error:
                raise ValueError(f"{self}: {error}") from None

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.name, "")
        same = pattern(self.value).matches(value) if self.operator.is_regex else value == self.value
        return same is self.operator.is_positive

    def __str__(self) -> str:
        value = self.value.replace("\\", r"\\").replace('"', r"\"")
        return f'{self.name}{self.operator}"{value}"'


def parse(text: str) -> Matcher:
    """`rule=~"ip-.*"`, with or without quotes. Raises ValueError."""
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise ValueError(f"'{text[:100]}' is no matcher — write NAME=VALUE, NAME!=VALUE, NAME=~REGEX or NAME!~REGEX")
    name, operator, value = written.groups()
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], value[1:-1])
    return Matcher(name, Operator(operator), value)


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)
