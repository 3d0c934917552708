"""What would change from one inventory to another, and whether that may be done."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from monitor.inventory.faults import faults
from monitor.inventory.items import KINDS, Inventory, Item, _text

MAX_REMOVED_SHARE = 0.2


class Changed(enum.StrEnum):
    """What happens to an item."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Change:
    """`old` None: added; `new` None: removed."""

    kind: str
    key: str
    old: Item | None
    new: Item | None

    @property
    def what(self) -> Changed:
        if self.old is None:
            return Changed.ADDED
        return Changed.REMOVED if self.new is None else Changed.CHANGED

    def __str__(self) -> str:
        if self.old is None or self.new is None:
            return f"- {self.old}" if self.new is None else f"+ {self.new}"
        new = self.new
        fields = [f"{name} {_text(value)} → {_text(getattr(new, name))}"
                  for name, value in self.old if value != getattr(new, name)]
        return f"~ {new.word} {self.key}: {', '.join(fields)}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What turns one inventory into another, in the order of KINDS, then of keys."""

    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def of(self, kind: str, what: str) -> list[Change]:
        return [change for change in self.changes if change.kind == kind and change.what == what]

    def counts(self) -> dict[str, dict[str, int]]:
        """By kind, only of kinds that change: how many are added, changed, removed."""
        counts: dict[str, dict[str, int]] = {}
        for change in self.changes:
            counted = counts.setdefault(change.kind, dict.fromkeys(map(str, Changed), 0))
            counted[change.what] += 1
        return counts


def difference(current: Inventory, wanted: Inventory) -> Difference:
    """What has to change for `current` to become `wanted`, in the kinds `wanted` states."""
    return Difference(tuple(
        Change(kind, key, old, new)
        for kind in KINDS if kind in wanted.stated
        for key in sorted(current.of(kind).keys() | wanted.of(kind).keys())
        if (old := current.of(kind).get(key)) != (new := wanted.of(kind).get(key))
    ))


class InventoryError(ValueError):
    """Why an inventory may not be applied, a line per reason."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = tuple(reasons)


def planned(current: Inventory, wanted: Inventory, *, remove: bool = False) -> Difference:
    """The difference that may be applied.

    Raises InventoryError where the result would not fit together, or where so much would go (without
    `remove`) that the wanted inventory looks cut short.
    """
    change = difference(current, wanted)
    reasons = [str(fault) for fault in faults(wanted.over(current))]
    if not reasons and not remove and (reason := _removes_too_much(current, change)):
        reasons = [reason]
    if reasons:
        raise InventoryError(reasons)
    return change


def _removes_too_much(current: Inventory, change: Difference) -> str | None:
    for kind in ("customers", "ips", "domains"):
        removed, had = len(change.of(kind, "removed")), len(current.of(kind))
        if removed > MAX_REMOVED_SHARE * had:
            much = f"{removed} of {had} {kind} would be removed, more than {MAX_REMOVED_SHARE:.0%}"
            return f"{much} — if the file is whole, ask to remove"
    return None
