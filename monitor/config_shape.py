"""Does a section have the shape of a model? Each way it does not, told in a person's words with its line.

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

from monitor.config_file import ConfigError, Keys, Section

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
}
_CHOICES = 15  # names told where none is close
_LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def validate(section: Section, model: type[Model], problems: list[ConfigError], context: Any = None) -> Model | None:
    """The section as a model, or None with every mistake added to `problems`."""
    try:
        return model.model_validate(section.data, context=context)
    except ValidationError as error:
        problems += (_explained(section, model, detail) for detail in error.errors(include_url=False))
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
    found = _plain(model)
    if isinstance(found, type) and issubclass(found, BaseModel):
        field = found.model_fields.get(str(path[0]))
        return annotation_at(field.annotation, path[1:]) if field else None
    if typing.get_origin(found) in {dict, Mapping, list, tuple, set, frozenset}:
        arguments = typing.get_args(found)
        inner = arguments[1] if len(arguments) == 2 and arguments[1] is not ... else arguments[0]
        return annotation_at(inner, path[1:])
    return None


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
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return section.error((*path, detail["loc"][-1]), "is missing — add it")
    if kind == "extra_forbidden":
        parent = annotation_at(model, path[:-1])
        known = parent.model_fields if isinstance(parent, type) and issubclass(parent, BaseModel) else ()
        return section.error(path, f"unknown key — {did_you_mean(str(path[-1]), known)}")
    shown = _shown(section, model, path, detail["input"])
    if kind in {"value_error", "assertion_error"}:
        said = str(context["error"])
        return section.error(path, said if shown else said.replace(f"'{detail['input']}'", "this"))
    if kind in {"literal_error", "enum"}:
        return section.error(path, f"must be {context['expected']}{shown}")
    if kind in _LIMITS:
        words, limit = _LIMITS[kind]
        return section.error(path, f"must be {words} {_number(context[limit])}{shown}")
    wanted = _WANTED.get(kind) or detail["msg"].replace("Input should", "must").replace("String should", "must")
    return section.error(path, wanted + shown)


def _written(data: Any, location: Keys) -> Keys:
    """The part of pydantic's location that stands in the file (it also names unions and validators)."""
    path: Keys = ()
    for key in location:
        inside = range(len(data)) if isinstance(data, list) else data if isinstance(data, Mapping) else ()
        if key in inside:
            data, path = data[key], (*path, key)
    return path


def _shown(section: Section, model: type[BaseModel], path: Keys, value: Any) -> str:
    whole = section.path + path
    hidden = any(whole[: len(known)] == known for known in section.hidden)
    if hidden or annotation_at(model, path) is SecretStr:
        return ""
    if isinstance(value, Mapping):
        return ", not a mapping"
    if isinstance(value, list | tuple):
        return ", not a list"
    if value is None:
        return ", not empty"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f", not '{text if len(text) <= 60 else text[:57] + '…'}'"


def _number(limit: Any) -> str:
    return f"{limit.total_seconds():g}s" if isinstance(limit, timedelta) else str(limit)
