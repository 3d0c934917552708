"""Whether something is as it should be: a mailbox is read, a list answers rightly, our own network is well. Pure.

Not to see is no proof of harm: these rules suspend nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, model_validator

from collectors.contract import Reason
from collectors.details import ReadFailure
from monitor.config.quantities import Duration
from monitor.rules.evidence import Evidence, Standing
from monitor.rules.model import Rule, needs, not_empty
from monitor.rules.numbers import Numbers
from monitor.rules.texts import filled, minute
from monitor.rules.verdict import Answer, Group, Verdict, group_of, key_of, unknown

_WORDS: dict[str, str] = {
    Reason.AUTH: "the server refuses user name or password",
    Reason.TLS: "no secure connection can be made",
    Reason.TIMEOUT: "the server does not answer in time",
    Reason.NETWORK: "the server cannot be reached",
    Reason.NOT_FOUND: "the folder is not there",
    Reason.KEY_MISSING: "its secret is not configured",
    Reason.QUOTA: "the server allows no more",
    Reason.MALFORMED: "the server does not speak IMAP properly",
}


class State(Rule):
    """Fires while a state has the value `bad` (0 where it is not said); one group per series.

    A state older than `max_age` is unknown. What was not asked for `forget_after` while others were is no longer watched.
    """

    TEXTS: ClassVar[frozenset[str]] = frozenset({"reason", "meaning", "since", "detail", "failures", "value"})

    condition: Literal["state"]
    by: Annotated[tuple[str, ...], AfterValidator(not_empty)]
    bad: float = 0
    max_age: Duration | None = None
    forget_after: Duration | None = None

    @model_validator(mode="after")
    def _is_a_state(self) -> State:
        needs(self, counts=False)
        if self.effect:
            raise ValueError("condition state only notifies: not to see is no proof of harm; leave effect out")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class StateNumbers(Numbers):
    """Since when it is so, and what explains it: a collectors.details record as JSON. `reason`: a collectors.contract.Reason."""

    since: datetime
    detail: Mapping[str, Any]
    reason: str | None = None

    @property
    def failure(self) -> str | None:
        return self.reason


def judge(rule: State, evidence: Evidence, now: datetime) -> list[Verdict]:
    """One verdict per series that is still watched."""
    known = [
        each for measure in rule.signal.numerator for each in evidence.states(measure)
        if all(chosen.takes(each.labels.get(name)) for name, chosen in rule.where.items())
    ]  # fmt: skip
    if rule.forget_after is not None and known:
        newest = max(each.state.checked_at for each in known)
        known = [each for each in known if newest - each.state.checked_at < rule.forget_after]
    return [_verdict(rule, group_of(rule.by, each.labels), each, now) for each in known]


def _verdict(rule: State, group: Group, each: Standing, now: datetime) -> Verdict:
    state, named = each.state, key_of(group).replace("=", " ").replace("|", ", ")
    max_age = rule.max_age if rule.max_age is not None else rule.signal.max_age
    if reason := state.unknown(now, max_age):
        why = "was not checked lately" if reason == Reason.STALE else "is not known"
        return unknown(group, reason, f"{named}: {rule.signal.words} {why}")
    if state.value != rule.bad:
        return Verdict(group, Answer.CLEAR, f"{named}: {rule.signal.words} as it should be")
    detail = state.detail.encode()
    why = state.detail.reason or "" if isinstance(state.detail, ReadFailure) else ""
    failures = list(dict.fromkeys(map(str, detail.values())))
    text = f"{named}: {rule.signal.words} not as it should be since {minute(state.since)}"
    if rule.summary:
        text = filled(rule.summary, {
            **each.labels, "reason": why or Reason.REFUSED, "meaning": _WORDS.get(why, why or "refused"), "since": state.since,
            "detail": detail, "failures": failures, "value": state.value, "text": text,
        })  # fmt: skip
    return Verdict(group, Answer.BREACH, text, evidence=StateNumbers(since=state.since, detail=detail, reason=why or None))
