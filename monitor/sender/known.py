"""What a sender knows of the gate, as the wire has it: a snapshot, and what each change makes of it.

A snapshot replaces everything; a change names whole restrictions by id, and other parts whole, so that to apply one twice does no
harm. Members nobody here knows are ignored. A restriction whose effect nobody here knows holds: that is the careful side.
Raises FormatError for what is no such thing, or of a format made for other readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from monitor.gate import DIMENSIONS, Effect, Index, Providers, ReasonKind, Restriction, build_index
from monitor.gate.allowances import Allowance, Allowances

FORMAT = 1
NEVER_STALE = datetime(9000, 1, 1, tzinfo=UTC)  # how old what is known may be is said by its holder, not by the index
_PARTS = ("allowances", "pools", "streams", "providers")


class FormatError(ValueError):
    """What came is no snapshot or change that can be understood here."""


@dataclass(frozen=True, slots=True)
class Known:
    """All of it at one moment. `rows` and `parts` are as they came, for the copy on the disk; `place` is the id of the last event."""

    version: int
    rows: Mapping[str, Mapping[str, Any]]
    parts: Mapping[str, Any]
    restrictions: Mapping[str, Restriction]
    index: Index
    allowances: Allowances
    place: str | None = None

    @classmethod
    def of_snapshot(cls, data: Any, place: str | None, now: datetime) -> Known:
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise FormatError(f"a snapshot of format {FORMAT} is wanted")
        try:
            rows = {str(row["id"]): row for row in data["restrictions"]}
            parts = {"allowances": data.get("allowances", []), **{name: data[name] for name in _PARTS[1:]}}
            return _built(int(data["version"]), rows, parts, _restrictions(rows.values()), place, now)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"the snapshot cannot be read: {error!r}") from error

    def changed(self, data: Any, place: str | None) -> Known:
        """After a change. The index is built by `indexed`, once for all changes that came together."""
        try:
            stated = {str(row["id"]): row for row in data.get("set", ())}
            gone = {str(each["id"]) for each in data.get("removed", ())} - stated.keys()
            parts = {name: data.get(name, self.parts[name]) for name in _PARTS}
            rows = {of: row for of, row in {**self.rows, **stated}.items() if of not in gone}
            restrictions = {of: row for of, row in self.restrictions.items() if of in rows and of not in stated}
            return replace(
                self, version=int(data["version"]), rows=rows, parts=parts, restrictions=restrictions | _restrictions(stated.values()),
                place=place or self.place,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"the change cannot be read: {error!r}") from error

    def indexed(self, now: datetime) -> Known:
        try:
            return _built(self.version, self.rows, self.parts, self.restrictions, self.place, now)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"the change cannot be read: {error!r}") from error

    def as_snapshot(self) -> dict[str, Any]:
        """As `of_snapshot` takes it."""
        return {"format": FORMAT, "version": self.version, "stale_since": None, "restrictions": list(self.rows.values()), **self.parts}


def instant(text: Any) -> datetime:
    """An instant of the wire (RFC 3339). Raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"'{text}' says no time zone")
    return at.astimezone(UTC)


def _built(
    version: int, rows: Mapping[str, Any], parts: Mapping[str, Any], restrictions: Mapping[str, Restriction], place: str | None,
    now: datetime,
) -> Known:
    providers = parts["providers"]
    index = build_index(
        sorted(restrictions.values(), key=lambda row: row.id), version=version, built_at=now, pools=dict(parts["pools"]),
        kinds={(row["customer"], row["name"]): row["kind"] for row in parts["streams"]},
        providers=Providers(dict(providers.get("domains", {})), dict(providers.get("names", {}))),
    )
    allowances = Allowances(tuple(_allowance(row) for row in parts["allowances"]))
    return Known(version, rows, parts, restrictions, replace(index, built_at=NEVER_STALE), allowances, place)


def _restrictions(rows: Iterable[Mapping[str, Any]]) -> dict[str, Restriction]:
    made = ((str(row["id"]), _restriction(row)) for row in rows)
    return {of: row for of, row in made if row is not None}


def _restriction(row: Mapping[str, Any]) -> Restriction | None:
    """None for a scope with a dimension that nobody here can match."""
    scope = {str(name): str(value) for name, value in row["scope"].items()}
    if not scope.keys() <= set(DIMENSIONS):
        return None
    effect, kind, rate = row["effect"], row.get("kind"), row.get("rate_per_hour")
    effect = Effect(effect) if effect in set(Effect) else Effect.HOLD
    probe = row.get("probe")
    return Restriction(
        id=str(row["id"]), scope=scope, effect=effect, text=str(row.get("text", "")), rate_per_hour=None if rate is None else int(rate),
        probe=float(probe) if probe is not None and effect is Effect.HOLD and 0 < probe < 1 else None, rule=row.get("rule"),
        incident=row.get("incident"), until=None if row.get("until") is None else instant(row["until"]), lifts_when=row.get("lifts_when"),
        kind=ReasonKind(kind) if kind in set(ReasonKind) else ReasonKind.SUSPENSION, connections=row.get("connections"),
    )


def _allowance(row: Mapping[str, Any]) -> Allowance:
    scope = {str(name): str(value) for name, value in row["scope"].items()}
    return Allowance(str(row["id"]), scope, int(row["cap"]), bool(row["exhausted"]), row.get("pool"), instant(row["resets_at"]))
