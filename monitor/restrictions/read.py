"""What of the database the gate decides by, in the forms of the gate: restrictions, pools, kinds of streams, providers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlmodel import Session

from collectors.providers import ProviderTable
from monitor.database.tables import Suspension
from monitor.gate import Effect, Providers, Restriction
from monitor.inventory.names import canonical
from monitor.inventory.rows import pools_of_addresses, stream_kinds

_log = logging.getLogger(__name__)


class GateInventory(NamedTuple):
    """What of the inventory decisions need."""

    pools: Mapping[str, str]  # address → pool
    kinds: Mapping[tuple[str, str], str]  # (customer, stream) → kind
    providers: Providers


def read_gate_inventory(session: Session, providers: ProviderTable) -> GateInventory:
    pools = {address: pool for address, pool in pools_of_addresses(session).items() if pool}
    return GateInventory(pools, stream_kinds(session), _of_gate(providers))


def restrictions_of(rows: Iterable[Suspension], providers: Providers) -> dict[str, Restriction]:
    """By id; without those nobody understands."""
    made = ((row.id, _restriction(row, providers)) for row in rows)
    return {of: restriction for of, restriction in made if restriction is not None}


def _of_gate(table: ProviderTable) -> Providers:
    # here a name with a dot stands for itself too, to the gate only for what is below it
    domains = {name.removeprefix("."): provider for name, provider in table.domains.items() if name.startswith(".")}
    return Providers({**domains, **table.domains}, {**table.names, **{name: name for name in table.rows if "." in name}})


def _restriction(row: Suspension, providers: Providers) -> Restriction | None:
    try:
        scope = {name: canonical(name, value) for name, value in row.scope.items()}
        if "provider" in scope:
            scope["provider"] = providers.canonical(scope["provider"])
        return Restriction(
            id=row.id,
            scope=scope,
            effect=Effect(row.effect),
            text=row.text,
            rate_per_hour=row.rate_per_hour,
            connections=row.connections,
            probe=row.probe,
            rule=row.rule,
            incident=row.incident_id,
            until=row.until,
            lifts_when=row.lifts_when,
        )
    except ValueError as error:
        # one row nobody understands must not take the others out of force
        _log.error("a suspension is not in force: %s", error)
        return None
