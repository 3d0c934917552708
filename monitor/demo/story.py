"""What goes wrong in the demo, and when: an IP is listed and cleared; Bolt mails a bought list and gives it up."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.demo.servers.dns import DnsblServer
from monitor.demo.world import Sender

TICK_SECONDS = 0.5
ROUND_SECONDS = 60.0
LISTED_AT, BOUGHT_AT, REPAIRED_AT, CLEARED_AT = 5.0, 9.0, 18.0, 24.0
ZONES = {"demo-block": "block.vigie.example", "demo-policy": "policy.vigie.example", "demo-small": "small.vigie.example"}
ACME_IPS = ("192.0.2.10", "192.0.2.11")


class StoryClock:
    """The demo's time, as the service under watch reads it: it begins now and goes on only when the story does."""

    def __init__(self) -> None:
        # whole seconds: e-mail knows no others, and rounding must not depend on when the demo was started
        self._now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self._now

    def move(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@dataclass(slots=True)
class Story:
    """Advances by ticks; what happens in a round depends on the seed alone."""

    dns: DnsblServer
    sender: Sender
    dice: random.Random
    say: Callable[[str], None]
    listed: str = ""

    def tick(self, number: int) -> None:
        """Do what is due at this tick (0 is the start of the first round)."""
        moment = number * TICK_SECONDS % ROUND_SECONDS
        for at, act in ((0.0, self._rotate), (LISTED_AT, self._list), (BOUGHT_AT, self._buy), (REPAIRED_AT, self._repair), (CLEARED_AT, self._clear)):
            if moment == at:
                act()

    def _rotate(self) -> None:
        self.listed = self.sender.preferred = self.dice.choice(ACME_IPS)

    def _list(self) -> None:
        self.dns.list(ZONES["demo-block"], self.listed, ["127.0.0.2"], f"spam trap hit by {self.listed}")
        self.say(f"{self.listed}, one of Acme's two IPs, hits a spam trap and is listed")

    def _buy(self) -> None:
        self.sender.bought = True
        self.say("Bolt mails a bought list: its recipients begin to complain")

    def _repair(self) -> None:
        self.sender.bought = False
        self.say("Bolt throws the bought list away")

    def _clear(self) -> None:
        self.dns.clear(ZONES["demo-block"], self.listed)
        self.say(f"the list removes {self.listed}")


def catalogue(removal_url: str) -> Mapping[str, Any]:
    """The demo's lists, in the schema of the project's catalogue."""
    def entry(name: str, zone: str, weight: float, meaning: str) -> dict[str, Any]:
        return {
            "id": name, "name": name.replace("-", " ").title(), "operator": "Demo operator", "zone": zone,
            "kind": "block", "targets": ["ipv4"], "code_style": "exact",
            "codes": {"127.0.0.2": {"meaning": meaning, "category": "spam", "severity": "critical"}},
            "refused_codes": {}, "needs_key": False, "positive_test": "127.0.0.2", "negative_test": "127.0.0.1",
            "txt_reason": True, "delist_url": removal_url, "weight": weight, "isps": ["Yahoo"],
            "status": "alive", "min_poll_interval": 1, "default_enabled": True,
        }

    return {
        "meta": {"schema": "dnsbl-catalog/1"},
        "lists": [
            entry("demo-block", ZONES["demo-block"], 1.0, "spam source"),
            entry("demo-policy", ZONES["demo-policy"], 0.8, "dynamic address"),
            entry("demo-small", ZONES["demo-small"], 0.4, "reported by users"),
        ],
    }
