"""Which receivers hear of an incident, in which group, how soon? A tree of routes, as Alertmanager's. Pure.

Without routes every receiver is asked. A receiver's own severities, rules and customers hold in both cases: whoever has
`customers: [acme]` never reads of another customer, whatever a route says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from monitor.incidents.causes import network_of as network_of_target
from monitor.incidents.matchers import Matcher, all_match
from monitor.notify.message import Receiver, receivers_of

NETWORK = "network"  # in group_by: what is listed for its neighbours is one message
_NOW = timedelta(0)


def network_of(labels: Mapping[str, str]) -> str:
    """The /24 (IPv6: /64) of the address an incident is about; empty where it is about none, or about several."""
    return network_of_target(labels.get("ip") or labels.get("target") or "")


@dataclass(frozen=True, slots=True)
class Step:
    """Who is notified too when nobody has acknowledged for so long."""

    after: timedelta
    receiver: str


@dataclass(frozen=True, slots=True)
class Route:
    """A branch, everything inherited already. `receiver` None: all of them. `group_by` None: each incident by itself."""

    matchers: tuple[Matcher, ...] = ()
    receiver: str | None = None
    group_by: tuple[str, ...] | None = None
    group_wait: timedelta = _NOW
    group_interval: timedelta = _NOW
    repeat_interval: timedelta = _NOW
    goes_on: bool = False
    escalate: tuple[Step, ...] = ()
    routes: tuple[Route, ...] = ()
    name: str = ""  # its place in the tree: `0.2`

    def leading(self, labels: Mapping[str, str]) -> list[Route]:
        """The routes an incident takes, in the order they are written."""
        if not all_match(self.matchers, labels):
            return []
        taken: list[Route] = []
        for each in self.routes:
            further = each.leading(labels)
            taken += further
            if further and not each.goes_on:
                break
        return taken or [self]

    def grouped(self, labels: Mapping[str, str]) -> dict[str, str]:
        """The labels that its group has in common."""
        names = ("incident",) if self.group_by is None else self.group_by
        known = {**labels, NETWORK: network_of(labels)} if NETWORK in names else labels
        return {name: known[name] for name in names if known.get(name)}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One receiver of an incident. `group_key` is the same for what goes out together."""

    receiver: str
    group_key: str = ""
    group: Mapping[str, str] = field(default_factory=dict)
    wait: timedelta = _NOW
    interval: timedelta = _NOW
    repeat: timedelta = _NOW
    escalate: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While what matches `source` fires, nobody is notified of what matches `target` and has the same `equal` labels."""

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()

    def by(self, labels: Mapping[str, str], firing: Iterable[Mapping[str, str]]) -> list[str]:
        """The ids of the incidents, of those that fire, that keep this one quiet. None keeps itself quiet."""
        if not all_match(self.target, labels):
            return []
        return [
            other["incident"] for other in firing
            if other["incident"] != labels["incident"] and all_match(self.source, other)
            and all(other.get(name, "") == labels.get(name, "") for name in self.equal)
            and not (all_match(self.source, labels) and all_match(self.target, other))  # both: neither
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flapping:
    """Firing the `times`th time `within`; 0 times: never."""

    times: int = 4
    within: timedelta = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Routing:
    """Receivers and the tree that leads to them."""

    receivers: Sequence[Receiver] = ()
    root: Route = field(default_factory=Route)
    inhibitions: Sequence[Inhibition] = ()
    flapping: Flapping = field(default_factory=Flapping)

    def deliveries(self, labels: Mapping[str, str]) -> list[Delivery]:
        """Whom an incident with these labels (monitor.incidents.silences.labels_of) goes to, each once."""
        allowed = receivers_of(self.receivers, labels["rule"], labels["severity"], labels)
        chosen: dict[str, Delivery] = {}
        for route in self.root.leading(labels):
            for name in allowed if route.receiver is None else [route.receiver]:
                if name in allowed and name not in chosen:
                    chosen[name] = _delivery(name, route, labels)
        return list(chosen.values())

    def inhibited_by(self, labels: Mapping[str, str], firing: Iterable[Mapping[str, str]]) -> list[str]:
        """The ids of the firing incidents because of which nobody is notified of this one."""
        others = list(firing)
        return sorted({each for inhibition in self.inhibitions for each in inhibition.by(labels, others)})


def _delivery(name: str, route: Route, labels: Mapping[str, str]) -> Delivery:
    group = route.grouped(labels)
    key = route.name + "{" + ",".join(f"{label}={value}" for label, value in group.items()) + "}"
    return Delivery(
        name, key, group, route.group_wait, route.group_interval, route.repeat_interval, route.escalate
    )
