"""How the numbers of a verdict are printed."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from monitor.rules.conditions.table import AnyNumbers, numbers_of
from monitor.rules.numbers import Numbers


def _read(given: Any) -> Numbers:
    return given if isinstance(given, Numbers) else numbers_of(given)


# read from a row's JSON or from the record; the shapes in the schema are those of the conditions
VerdictNumbers = Annotated[AnyNumbers, BeforeValidator(_read), PlainSerializer(lambda numbers: numbers.encode())]
