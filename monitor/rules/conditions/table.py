"""Every condition a rule can have, one row each: how it is written, who judges it, and the numbers of its verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from monitor.rules.conditions import (
    absence,
    change,
    count,
    excess,
    excess_rule,
    listing,
    ratio,
    shortfall,
    state,
    value,
)
from monitor.rules.evidence import Evidence
from monitor.rules.member_numbers import WholeNumbers
from monitor.rules.model import Rule
from monitor.rules.numbers import NOTHING, Numbers
from monitor.rules.verdict import Verdict


class Condition(NamedTuple):
    """`judge` takes a rule of this model, the evidence and now, and answers with one verdict per group."""

    model: type[Rule]
    judge: Callable[[Any, Evidence, datetime], list[Verdict]]


CONDITIONS: dict[str, Condition] = {
    "ratio": Condition(ratio.Ratio, ratio.judge),
    "excess": Condition(excess_rule.Excess, excess.judge),
    "count": Condition(count.Count, count.judge),
    "value": Condition(value.Value, value.judge),
    "change": Condition(change.Change, change.judge),
    "state": Condition(state.State, state.judge),
    "absence": Condition(absence.Absence, absence.judge),
    "shortfall": Condition(shortfall.Shortfall, shortfall.judge),
    "listing": Condition(listing.Listing, listing.judge),
}
AnyRule = (
    ratio.Ratio | excess_rule.Excess | count.Count | value.Value | change.Change | state.State | absence.Absence | shortfall.Shortfall
    | listing.Listing
)  # fmt: skip
AnyNumbers = (
    ratio.RatioNumbers | excess_rule.ExcessNumbers | count.CountNumbers | value.ValueNumbers | change.ChangeNumbers
    | state.StateNumbers | absence.AbsenceNumbers | shortfall.ShortfallNumbers | listing.ListingNumbers | listing.ListedTarget
    | WholeNumbers | Numbers
)  # fmt: skip
# the field by which each is known when it is read back, the first that is there
_MARKS: dict[str, type[Numbers]] = {
    "members": WholeNumbers, "exposed": excess_rule.ExcessNumbers, "denominator": ratio.RatioNumbers, "scores": value.ValueNumbers,
    "listed": listing.ListingNumbers, "lost": change.ChangeNumbers, "codes": listing.ListedTarget,
    "reports": shortfall.ShortfallNumbers, "count": count.CountNumbers, "detail": state.StateNumbers,
    "reason": absence.AbsenceNumbers,
}  # fmt: skip
_READERS: dict[type[Numbers], TypeAdapter[Numbers]] = {
    record: TypeAdapter(record) for record in (*_MARKS.values(), Numbers)
}
RULE: TypeAdapter[AnyRule] = TypeAdapter(Annotated[AnyRule, Field(discriminator="condition")])

# kinds of the releases before 0.3 → how the same is written now
OLD_KINDS: dict[str, str] = {
    "listing": "condition: listing",
    "complaint_rate": "condition: ratio, signal: complaints",
    "list_score": "condition: value, signal: list_scores, where: {dnsbl: …}",
    "allow_listing_lost": "condition: change, signal: allow_listings",
    "fbl_silence": "condition: shortfall, signal: feedback_reports",
    "own_network": "condition: state, signal: own_network, by: [collector]",
    "list_unusable": "condition: state, signal: list_health, by: [collector, dnsbl]",
    "mailbox_unread": "condition: state, signal: mailbox_read, by: [mailbox]",
    "staleness": "condition: absence, signal: collector_runs, by: [collector]",
    "clock_behind": "condition: value, signal: clock_behind, by: [], above: 120",
}


def numbers_of(stored: object) -> Numbers:
    """The record that was stored as this JSON. What cannot be read says nothing, so that no row can stop who reads it."""
    if not isinstance(stored, Mapping) or not stored:
        return NOTHING
    record = next((record for mark, record in _MARKS.items() if mark in stored), Numbers)
    try:
        return _READERS[record].validate_python(stored)
    except ValidationError:
        return NOTHING


def judge(rule: Rule, evidence: Evidence, now: datetime) -> list[Verdict]:
    """What a rule says of each of its groups now."""
    return CONDITIONS[rule.condition].judge(rule, evidence, now)
