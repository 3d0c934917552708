"""The decision of a sender's own gate, and the exception that says to hold."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from monitor.gate import Decision as GateDecision
from monitor.gate import Reason


@dataclass(slots=True)
class Decision(GateDecision):
    """As the service answers it: its fields are those of the wire."""

    @classmethod
    def of(cls, made: GateDecision, /, *beside: Reason, **changed: Any) -> Decision:
        reasons = (*made.reasons, *beside) if beside else made.reasons
        decision = cls(
            made.decision, reasons, made.retry_after_seconds, made.rate_per_hour, made.allowance_left, made.pool, made.version,
            made.valid_until, made.connections,
        )  # fmt: skip
        for name, value in changed.items():
            setattr(decision, name, value)
        return decision

    def as_dict(self) -> dict[str, Any]:
        """The wire form, to be written as JSON."""
        wire: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(GateDecision)}
        if wire["connections"] is None:
            del wire["connections"]
        return wire | {
            "decision": str(self.decision), "valid_until": _instant(self.valid_until), "reasons": [_reason(each) for each in self.reasons],
        }


class Held(Exception):  # noqa: N818 - the name of the contract
    """The mail waits. `decision` says why; `retry_after_seconds` when to ask again (None: no time is known, or never)."""

    def __init__(self, decision: Decision, retry_after_seconds: int | None) -> None:
        first = next(iter(decision.reasons), None)
        super().__init__(f"held: {first.text}" if first is not None else "held")
        self.decision = decision
        self.retry_after_seconds = retry_after_seconds


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "kind": str(reason.kind), "scope": dict(reason.scope), "effect": str(reason.effect), "rule": reason.rule, "incident": reason.incident,
        "text": reason.text, "until": None if reason.until is None else _instant(reason.until), "lifts_when": reason.lifts_when,
    }


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
