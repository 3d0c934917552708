"""What has one cause? Incidents that fire and have alike what a row of `causes.yaml` asks for become one incident with members. Pure.

A member stays one until it has ended, also when what they had alike changes meanwhile: nothing is taken apart again.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from monitor.rules.verdict import Group, key_of

FILE = Path(__file__).with_name("causes.yaml")
NETWORK, TARGET = "network", "target"
_MOST_TARGETS = 1000  # of one incident that are compared with those of others


class Cause(BaseModel):
    """A row of the table; its words are explained there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cause: str = Field(pattern=r"^[a-z][a-z-]+$")
    meaning: str
    signals: frozenset[str]
    needs: str | None = None
    by: tuple[str, ...] = Field(min_length=1)
    least: int = Field(ge=2)
    runbook: str


@cache
def causes() -> Mapping[str, Cause]:
    """The table, in its order."""
    rows = TypeAdapter(list[Cause]).validate_python(yaml.safe_load(FILE.read_text("utf-8")))
    return {row.cause: row for row in rows}


def runbook_of(name: str) -> str:
    """What to do about this cause; empty for a name that is none."""
    cause = causes().get(name)
    return cause.runbook if cause is not None else ""


@dataclass(frozen=True, slots=True)
class Firing:
    """An incident that fires. `signal`: what its rule is about; `part_of`: the incident it is a member of already."""

    id: str
    signal: str
    subject: Mapping[str, str]
    targets: frozenset[str] = frozenset()
    part_of: str | None = None

    def values(self, name: str) -> Sequence[str]:
        """What it has of a dimension."""
        if name == TARGET:
            return sorted(self.targets)[:_MOST_TARGETS]
        if name == NETWORK:
            networks = {network_of(each) for each in self.targets}
            return [network for network in networks if network] if len(networks) == 1 else []
        return [self.subject[name]] if name in self.subject else []


@dataclass(frozen=True, slots=True)
class Whole:
    """An incident with members that begins, or gets new ones. `members`: the ids of those that join."""

    cause: str
    group: Group
    members: tuple[str, ...]

    @property
    def key(self) -> str:
        return key_of(self.group)


def network_of(address: str) -> str:
    """The /24 (IPv6: /64) of an address; empty for a domain. A network is itself, if it is not larger."""
    try:
        network = ipaddress.ip_network(address, strict=False)
    except ValueError:
        return ""
    shortest = 24 if network.version == 4 else 64
    return str(network if network.prefixlen <= shortest else network.supernet(new_prefix=shortest))


def grouped(firing: Sequence[Firing], standing: Collection[tuple[str, str]]) -> list[Whole]:
    """What joins what: the incidents with members that stand and get new ones, and those that begin. Each member once.

    `standing`: cause and key of those that stand.
    """
    free = {each.id: each for each in firing if each.part_of is None}
    made: list[Whole] = []
    for cause in causes().values():
        by_group: dict[Group, list[Firing]] = {}
        for each in free.values():
            for group in _groups(each, cause):
                by_group.setdefault(group, []).append(each)
        stands = {group for group in by_group if (cause.cause, key_of(group)) in standing}
        # what stands already is joined first, then the largest
        for group in sorted(by_group, key=lambda group: (group not in stands, -len(by_group[group]), group)):
            members = [each for each in by_group[group] if each.id in free]
            if members and (group in stands or _is_enough(cause, members)):
                made.append(Whole(cause.cause, group, tuple(each.id for each in members)))
                for each in members:
                    del free[each.id]
    return made


def _groups(each: Firing, cause: Cause) -> Iterator[Group]:
    if each.signal in cause.signals:
        for values in itertools.product(*(each.values(name) for name in cause.by)):
            yield tuple(zip(cause.by, values, strict=True))


def _is_enough(cause: Cause, members: Sequence[Firing]) -> bool:
    if cause.needs is not None and not any(each.signal == cause.needs for each in members):
        return False
    return len(members) >= cause.least
