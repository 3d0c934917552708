"""A decision as it is printed and sent: the fields of `Decision`, what is beside the contract's only where it says something."""

from __future__ import annotations

from typing import Any

from monitor.gate.decide import Decision

_BESIDE = ("connections",)
_ALWAYS = tuple(name for name in Decision.__slots__ if name not in _BESIDE)


def as_wire(decision: Decision) -> dict[str, Any]:
    """The members by name; reasons and instants as they are."""
    fields: dict[str, Any] = {name: getattr(decision, name) for name in _ALWAYS}
    for name in _BESIDE:
        if (value := getattr(decision, name)) is not None:
            fields[name] = value
    return fields
