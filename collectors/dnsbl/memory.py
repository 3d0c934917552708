"""What was answered last about each target on each list, and when to ask again. Outlives the process as a cursor.

In the cursor targets are numbered and each set of them is one number in hexadecimal, a bit for each: most targets
of a list were answered at the same time and are due at the same time, so that a thousand of them on sixty lists
are some tens of kilobytes. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(slots=True)
class ListMemory:
    """Of one list, by the target's name. `proved_at`: until when a good check vouches for its answers."""

    due: dict[str, datetime] = field(default_factory=dict)
    answered: dict[str, datetime] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    proved_at: datetime | None = None

    def learn(self, name: str, listed: bool | None, now: datetime, lasts: timedelta) -> None:
        """An answer, or (`listed` None) that there was none."""
        self.due[name] = now + lasts
        if listed is None:
            return
        self.answered[name] = now
        if listed:
            self.listed.add(name)
        else:
            self.listed.discard(name)

    def unproved(self) -> dict[str, datetime]:
        """The answers no good check vouches for, with their times."""
        since = self.proved_at
        return {name: at for name, at in self.answered.items() if since is None or at > since}

    def take_back(self, names: Collection[str]) -> None:
        """Forget these answers: their targets are asked again as soon as may be."""
        for name in names:
            self.answered.pop(name, None)
            self.due.pop(name, None)
            self.listed.discard(name)


class Memory:
    """`of(list id)` is what is remembered of a list."""

    def __init__(self) -> None:
        self._lists: dict[str, ListMemory] = {}
        self._saved_at: datetime | None = None

    def of(self, list_id: str) -> ListMemory:
        return self._lists.setdefault(list_id, ListMemory())

    def load(self, saved: Mapping[str, Any] | None) -> None:
        """Take over what another process, or this one before, saved last; what is older than ours is ignored."""
        saved_at = _time(saved["saved_at"]) if saved else None
        if not saved or not saved_at or (self._saved_at and saved_at <= self._saved_at):
            return
        self._saved_at = saved_at
        names = saved["targets"]
        self._lists = {
            list_id: ListMemory(
                due=_unpacked(each["due"], names),
                answered=_unpacked(each["answered"], names),
                listed=set(_named(each["listed"], names)),
                proved_at=_time(each["proved_at"]) if each["proved_at"] is not None else None,
            )
            for list_id, each in saved["lists"].items()
        }

    def saved(self, list_ids: Collection[str], names: Sequence[str], now: datetime) -> dict[str, Any]:
        """As JSON, of these lists and targets only."""
        self._saved_at = now
        numbers = {name: number for number, name in enumerate(names)}
        return {
            "saved_at": now.timestamp(),
            "targets": list(names),
            "lists": {
                list_id: {
                    "due": _packed(each.due, numbers),
                    "answered": _packed(each.answered, numbers),
                    "listed": _bits(each.listed, numbers),
                    "proved_at": each.proved_at.timestamp() if each.proved_at else None,
                }
                for list_id, each in self._lists.items()
                if list_id in list_ids
            },
        }


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _bits(names: Collection[str], numbers: Mapping[str, int]) -> str:
    return format(sum(1 << numbers[name] for name in set(names) if name in numbers), "x")


def _named(bits: str, names: Sequence[str]) -> Iterator[str]:
    held = int(bits, 16)
    return (name for number, name in enumerate(names) if held >> number & 1)


def _packed(times: Mapping[str, datetime], numbers: Mapping[str, int]) -> dict[str, str]:
    groups: dict[str, list[str]] = {}
    for name, at in times.items():
        groups.setdefault(repr(at.timestamp()), []).append(name)
    return {at: bits for at, together in groups.items() if (bits := _bits(together, numbers)) != "0"}


def _unpacked(groups: Mapping[str, str], names: Sequence[str]) -> dict[str, datetime]:
    return {name: _time(float(at)) for at, bits in groups.items() for name in _named(bits, names)}
