"""The members of the snapshot as JSON, in one order whoever writes them: equal content is equal bytes at every process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from monitor.gate import Restriction
from monitor.gate.allowances import Allowance
from monitor.inventory.owners import Owners
from monitor.restrictions.read import GateInventory

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_SORT_KEYS
_BESIDE = ("connections", "probe")  # beside the contract's: only where they say something
_FIELDS = ("id", "kind", "scope", "effect", "rate_per_hour", "text", "rule", "incident", "until", "lifts_when")


def as_json(value: Any) -> bytes:
    return orjson.dumps(value, option=_OPTIONS)


def restriction_json(row: Restriction) -> bytes:
    fields = {name: getattr(row, name) for name in _FIELDS}
    return as_json(fields | {name: value for name in _BESIDE if (value := getattr(row, name)) is not None})


def allowances_json(rows: Iterable[Allowance]) -> bytes:
    return as_json(sorted(rows, key=lambda row: row.id))


def inventory_json(inventory: GateInventory, owners: Owners, customer: str | None) -> dict[str, bytes]:
    """Pools, streams and providers: of a customer, only what is its own or shared."""
    def own(**about: str) -> bool:
        return customer is None or owners.foreign_to(customer, about) is None

    streams = [
        {"customer": owner, "name": name, "kind": kind}
        for (owner, name), kind in sorted(inventory.kinds.items()) if customer in {None, owner}
    ]
    providers = {"domains": dict(inventory.providers.domains), "names": dict(inventory.providers.names)}
    pools = {ip: pool for ip, pool in inventory.pools.items() if own(ip=ip, pool=pool)}
    return {"pools": as_json(pools), "streams": as_json(streams), "providers": as_json(providers)}
