"""Does a section have the shape of a model? Each way it does not, in a person's words with its line.

pydantic finds the mistakes; here they become `vigie.yaml:12: rules[0].window: …, not 'x' — what to do`.
A value is shown only where it can be no secret: not where the model says so, nor where it came from the
environment or a file.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from monitor.config.quantities import duration_text
from monitor.config.yaml_file import ConfigError, Keys, Section

Model = TypeVar("Model", bound=BaseModel)

# pydantic's type of error → what is wanted instead of the value
_WANTED = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "mapping_type": "must be a mapping of keys to values",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "string_type": "must be a text",
    "time_delta_type": "must be a duration such as 15m",
}
_CHOICES = 15  # names given where none is close
_LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_LENGTHS = {
    "string_too_short": ("at least", "min_length"),
    "string_too_long": ("at most", "max_length"),
    "too_short": ("at least", "min_length"),
    "too_long": ("at most", "max_length"),
}


def validate(
    section: Section, model: type[Model], problems: list[ConfigError], context: Any = None
) -> Model | None:
    """The section as a model, or None with every mistake added to `problems`."""
    try:
        return model.model_validate(section.data, context=context)
    except ValidationError as error:
        problems += (_explained(section, model, detail) for detail in error.errors(include_url=False)
                     if detail["type"] != "default_factory_not_called")  # follows from another mistake
        return None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or what there is to choose from."""
    choice = sorted(known)
    more = f" and {len(choice) - _CHOICES} more" if len(choice) > _CHOICES else ""
    close = difflib.get_close_matches(word, choice, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(choice[:_CHOICES])}{more}" if choice else "none is known here"


def annotation_at(model: Any, path: Keys) -> Any:
    """What a model expects at a path: a model class, a type, or None where it does not say."""
    if not path:
        return _plain(model)
    plain = _plain(model)
    if fields := fields_of(plain):
        field = fields.get(str(path[0]))
        return annotation_at(field.annotation, path[1:]) if field else None
    if typing.get_origin(plain) in {dict, Mapping, list, tuple, set, frozenset}:
        arguments = typing.get_args(plain)
        inner = arguments[1] if len(arguments) == 2 and arguments[1] is not ... else arguments[0]
        return annotation_at(inner, path[1:])
    return None


def fields_of(model: Any) -> dict[str, FieldInfo]:
    """The keys a model takes, as they are written; none where it is no model."""
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _plain(annotation: Any) -> Any:
    """An annotation without Annotated and Optional."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _plain(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in {types.UnionType, typing.Union}:
        choices = [choice for choice in typing.get_args(annotation) if choice is not type(None)]
        return _plain(choices[0]) if len(choices) == 1 else annotation
    return annotation


def _explained(section: Section, model: type[BaseModel], detail: Any) -> ConfigError:
    path = _written(section.data, detail["loc"])
    if detail["type"] == "missing":
        return section.error((*path, detail["loc"][-1]), "is missing — add it")
    if detail["type"] == "extra_forbidden":
        inside, key = annotation_at(model, path[:-1]), str(path[-1])
        if now := getattr(inside, "RENAMED", {}).get(key):
            return section.error(path, f"is called '{now}' now — rename it")
        known = fields_of(inside)
        return section.error(path, f"unknown key — {did_you_mean(key, known)}")
    return section.error(path, _message(detail, _shown(section, model, path, detail["input"])))


def _message(detail: Any, shown: str) -> str:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind in {"value_error", "assertion_error"}:  # in our own words; they may quote the value
        text = str(context["error"])
        return text if shown and isinstance(value, str | int | float) else text.replace(f"'{value}'", "this")
    if kind in {"literal_error", "enum"}:
        return f"must be {context['expected']}{shown}"
    if kind in _LIMITS:
        words, limit = _LIMITS[kind]
        return f"must be {words} {context[limit]}{shown}"
    if kind in _LENGTHS:
        words, limit = _LENGTHS[kind]
        if context[limit] == 1 and words == "at least":
            return "must not be empty"
        return f"must have {words} {context[limit]} {'characters' if isinstance(value, str) else 'entries'}"
    message = str(detail["msg"]).replace("Input should", "must").replace("String should", "must")
    return _WANTED.get(kind, message) + shown


def _written(data: Any, location: Keys) -> Keys:
    """The part of pydantic's location that stands in the file (it also names unions and validators)."""
    path: Keys = ()
    for key in location:
        inside = range(len(data)) if isinstance(data, list) else data if isinstance(data, Mapping) else ()
        if key in inside:
            data, path = data[key], (*path, key)
    return path


def _shown(section: Section, model: type[BaseModel], path: Keys, value: Any) -> str:
    if isinstance(value, Mapping):
        return ", not a mapping"
    if isinstance(value, list | tuple):
        return ", not a list"
    if value is None:
        return ", not empty"
    if section.path + path in section.hidden or annotation_at(model, path) is SecretStr:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, timedelta):
        text = duration_text(value)
    return f", not '{text if len(text) <= 60 else text[:57] + '…'}'"
