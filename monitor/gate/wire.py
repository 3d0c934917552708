"""A decision as it is printed and sent: the fields of `Decision`, what is beside the contract's only where it says something."""

from __future__ import annotations

from typing import Any

from monitor.gate.decide import Decision


def as_wire(decision: Decision) -> dict[str, Any]:
    """The members by name; reasons and instants as they are. Written out, for it is done for every decision."""
    fields: dict[str, Any] = {
        "decision": decision.decision, "reasons": decision.reasons, "retry_after_seconds": decision.retry_after_seconds,
        "rate_per_hour": decision.rate_per_hour, "allowance_left": decision.allowance_left, "pool": decision.pool,
        "version": decision.version, "valid_until": decision.valid_until,
    }  # fmt: skip
    if decision.connections is not None:
        fields["connections"] = decision.connections
    return fields
