"""A YAML file a person wrote, with the line of every value, so that every error can name file and line.

Read with the parser of PyYAML's safe loader and a small schema of its own (after YAML 1.2's core): `true`,
`false`, `null`, and numbers that would be written back the same; everything else is text. So `no` is a
customer's name and not false, `007` keeps its zeros. Tags, merge keys and repeated keys are refused. Files,
depth and what aliases stand for are bounded. Mistakes are gathered and reported at once, save those of YAML's
grammar: behind these nothing can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 32
MAX_VALUES = 1_000_000

Keys = tuple[str | int, ...]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+")
_VARIABLE = re.compile(
    r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<broken>\$\{)"
)

# words of the parser → what a person should look for (at the start of what was left open: _OPEN)
_MISFIT = "this line does not fit the lines above — check its indentation and quotes"
_GRAMMAR = (
    ("cannot start any token", "this character cannot begin a value — put the value in quotes"),
    ("mapping values are not allowed",
     "a second ': ' in one line — put the value in quotes, or correct the indentation"),
    ("did not find expected key", _MISFIT),
    ("did not find expected '-'", "this line does not fit the list above — check its indentation"),
    ("could not find expected ':'", "a key without ':' — write 'key: value'"),
    ("expected ',' or", "a '[' or '{' is not closed — close it, or put the value in quotes"),
    ("unexpected end of stream", "a quote is not closed — close it"),
    ("expected <block end>", _MISFIT),
)
_OPEN = ("could not find expected ':'", "expected ',' or", "unexpected end of stream")


class ConfigError(Exception):
    """One mistake in one file, at one line; the message says what to do."""

    def __init__(self, file: str, line: int | None, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}")
        self.file, self.line, self.message = file, line, message

    @property
    def errors(self) -> tuple[ConfigError, ...]:
        return (self,)

    def repeats(self, other: ConfigError) -> bool:
        """Is it about the same value of the same file?"""
        mine, others = (error.message.partition(": ")[0] for error in (self, other))
        return (self.file, self.line, mine) == (other.file, other.line, others)


class ConfigErrors(ConfigError):  # noqa: N818  # the plural says what it is
    """Every mistake that was found, sorted by file and line; file, line and message are the first one's."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self._errors = tuple(sorted(errors, key=lambda error: (error.file, error.line or 0)))
        first = self._errors[0]
        super().__init__(first.file, first.line, first.message)

    def __str__(self) -> str:
        return "\n".join(map(str, self._errors))

    @property
    def errors(self) -> tuple[ConfigError, ...]:
        return self._errors


@dataclass(frozen=True, slots=True)
class Section:
    """A file, or a part of it, that knows its lines. `path` is where the part stands in the file."""

    file: str
    data: Any = field(repr=False)  # may hold secrets
    lines: Mapping[Keys, int] = field(repr=False)
    path: Keys = ()
    hidden: frozenset[Keys] = frozenset()  # values from the environment or a file: never shown

    def line_of(self, path: Keys = ()) -> int:
        """The line of a nested key, or of the nearest one around it that stands in the file."""
        whole = self.path + path
        while whole and whole not in self.lines:
            whole = whole[:-1]
        return self.lines.get(whole, 1)

    @property
    def line(self) -> int:
        return self.line_of()

    def error(self, path: Keys, message: str) -> ConfigError:
        keys = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.path + path)
        where = "".join(keys).lstrip(".")
        return ConfigError(self.file, self.line_of(path), f"{where}: {message}" if where else message)

    def section(self, *keys: str | int) -> Section:
        data = self.data
        for key in keys:
            data = data[key]
        return Section(self.file, data, self.lines, self.path + keys, self.hidden)

    def with_data(self, data: Any) -> Section:
        return Section(self.file, data, self.lines, self.path, self.hidden)


def read_section(
    path: Path, environ: Mapping[str, str] | None = None, problems: list[ConfigError] | None = None
) -> Section:
    """A YAML file as a Section; `${NAME}` is looked up where `environ` is given. Raises ConfigErrors.

    With `problems`, mistakes that leave the rest readable are added there instead.
    """
    reader = _Reader(str(path), environ)
    try:
        data = reader.read(_text(path))
    except ConfigError as error:
        raise ConfigErrors([*reader.problems, error]) from None
    if problems is not None:
        problems += reader.problems
    elif reader.problems:
        raise ConfigErrors(reader.problems)
    return Section(str(path), data, reader.lines, hidden=frozenset(reader.hidden))


def read_text_file(path: Path, limit: int = MAX_BYTES) -> str:
    """The text of a small UTF-8 file; raises ValueError with the reason in a person's words."""
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except IsADirectoryError:
        raise ValueError("is a directory — name a file in it") from None
    except FileNotFoundError:
        raise ValueError("does not exist — check the path") from None
    except PermissionError:
        raise ValueError("may not be read — check its owner and mode") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > limit:
        raise ValueError(f"is larger than {limit:,} bytes — split it")
    return raw.decode("utf-8-sig")


def _text(path: Path) -> str:
    file = str(path)
    try:
        return read_text_file(path)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(file, line, "is not UTF-8 — save the file as UTF-8") from None
    except ValueError as error:
        raise ConfigError(file, None, str(error)) from None


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


class _Reader:
    """Builds plain data from the parser's events, noting the line of each key and list item."""

    def __init__(self, file: str, environ: Mapping[str, str] | None) -> None:
        self.file = file
        self.environ = environ
        self.lines: dict[Keys, int] = {}
        self.hidden: set[Keys] = set()
        self.problems: list[ConfigError] = []
        self._anchors: dict[str, tuple[Any, int]] = {}  # name → what it stands for, how many values that is
        self._values = 0

    def read(self, text: str) -> Any:
        self._text = text
        try:
            self._events = yaml.parse(text, Loader=_LOADER)
            next(self._events)  # the stream's start
            if isinstance(next(self._events), yaml.StreamEndEvent):
                raise ConfigError(self.file, 1, "is empty — write at least one section")
            data = self._value(next(self._events), ())
            next(self._events)  # the document's end
            after = next(self._events)
        except yaml.YAMLError as error:
            raise self._grammar(error) from None
        if not isinstance(after, yaml.StreamEndEvent):
            raise ConfigError(self.file, _line(after), "a second document ('---') — keep one per file")
        return data

    def _value(self, event: Any, path: Keys) -> Any:
        line = _line(event)
        self.lines.setdefault(path, line)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), path, line)
        if len(path) > MAX_DEPTH:
            raise ConfigError(self.file, line, f"nested deeper than {MAX_DEPTH} levels — flatten it")
        before = self._values
        self._count(1, line)
        if event.tag is not None and event.tag != "!":
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._problem(path, f"the tag {tag} is not read — remove it; quotes make a text")
        if isinstance(event, yaml.MappingStartEvent):
            data: Any = self._mapping(path)
        elif isinstance(event, yaml.SequenceStartEvent):
            data = self._sequence(path)
        else:
            data = self._scalar(event, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = (data, self._values - before)
        return data

    def _mapping(self, path: Keys) -> dict[str, Any]:
        data: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                message = "a key must be a plain word — put templates such as {x} in quotes"
                raise ConfigError(self.file, line, message)
            key = event.value
            inner = (*path, key)
            if key == "<<":
                self._problem(path, "merge keys ('<<') are not read — write the keys out", line)
            elif key in data:
                first = self.lines[inner]
                self._problem(path, f"the key '{key}' stands in line {first} already — remove one", line)
                inner = (*path, f"{key} (repeated)")
            self.lines[inner] = line
            value = self._value(next(self._events), inner)
            if key != "<<":
                data.setdefault(key, value)
        return data

    def _sequence(self, path: Keys) -> list[Any]:
        data: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            data.append(self._value(event, (*path, len(data))))
        return data

    def _scalar(self, event: Any, path: Keys) -> Any:
        text: str = event.value
        if self.environ is not None and "$" in text:
            return self._interpolated(text, path, self.environ)
        if not event.implicit[0]:  # quoted, or a block of text
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        number = int(text) if _INTEGER.fullmatch(text) else float(text) if _DECIMAL.fullmatch(text) else None
        return number if str(number) == text else text  # 1.50 may be a password

    def _interpolated(self, text: str, path: Keys, environ: Mapping[str, str]) -> str:
        def looked_up(match: re.Match[str]) -> str:
            if match[0] == "$$":
                return "$"
            self.hidden.add(path)
            name, default = match["name"], match["default"]
            if match["broken"]:
                self._problem(path, "'${' without a name and '}' — write ${NAME}, or $${ for itself")
            elif default is not None:
                return environ.get(name) or default
            elif name not in environ:
                self._problem(path, f"the environment has no {name} — set it, or write ${{{name}:-default}}")
            return environ.get(name or "", "")

        return _VARIABLE.sub(looked_up, text)

    def _alias(self, name: str, path: Keys, line: int) -> Any:
        if name not in self._anchors:
            self._problem(path, f"*{name} stands for nothing that ends above it — define &{name} first")
            return None
        data, values = self._anchors[name]
        self._count(values, line)
        return data

    def _count(self, values: int, line: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            message = f"more than {MAX_VALUES:,} values, aliases counted out — split the file"
            raise ConfigError(self.file, line, message)

    def _problem(self, path: Keys, message: str, line: int | None = None) -> None:
        fault = Section(self.file, None, self.lines).error(path, message)
        self.problems.append(fault if line is None else ConfigError(self.file, line, fault.message))

    def _grammar(self, error: Any) -> ConfigError:
        if isinstance(error, yaml.reader.ReaderError):
            line = self._text.count("\n", 0, error.position) + 1
            return ConfigError(self.file, line, f"the control character U+{error.character:04X} — remove it")
        problem = str(error.problem)
        mark = error.context_mark if any(words in problem for words in _OPEN) else error.problem_mark
        line = mark.line + 1
        written = self._text.splitlines()[line - 1 : line]
        if written and "\t" in written[0][: len(written[0]) - len(written[0].lstrip())]:
            return ConfigError(self.file, line, "a tab in the indentation — indent with spaces")
        message = next((message for words, message in _GRAMMAR if words in problem), f"not YAML: {problem}")
        return ConfigError(self.file, line, message)
