"""Rules as people write them (YAML), checked. A rule names a condition, when it ends, and what it brakes.

Shares are 0-1 or written as percentages; durations are written 90s, 15m, 24h, 7d.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from monitor.config import Duration, Share

Severity = Literal["info", "warning", "critical"]
Dimension = Literal["customer", "stream", "campaign", "ip", "domain", "provider"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Suspend(_Strict):
    """The brake a firing rule puts on. Without `at_most` it stays until the condition is clear.

    `at_most` is needed where the brake stops the very mail the rule judges by (a hold on complaints):
    then it ends by itself, and only mail sent after that is judged.
    """

    effect: Literal["hold", "slow"] = "hold"
    scope: tuple[Dimension, ...] = ()
    at_most: Duration | None = None
    rate_per_hour: Annotated[int, Field(gt=0)] | None = None
    transactional: bool = False  # also brake transactional streams

    @model_validator(mode="after")
    def _slow_has_a_rate(self) -> Suspend:
        if (self.effect == "slow") != (self.rate_per_hour is not None):
            raise ValueError("rate_per_hour goes with effect: slow, and only with it")
        return self


class _Rule(_Strict):
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    severity: Severity = "warning"
    enabled: bool = True
    for_: Duration = Field(default=timedelta(0), alias="for")  # breach must last this long to fire
    keep: Duration = timedelta(0)  # clear must last this long to end
    suspend: Suspend | None = None
    advice: Annotated[str, Field(max_length=2000)] = ""


class ListingRule(_Rule):
    """Fires while a target of ours is confirmed on one of the lists. One incident per group of `by`."""

    kind: Literal["listing"]
    lists: tuple[str, ...] | None = None  # ids of the catalogue; None: every block list asked
    min_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    baseline: bool = False  # also what was listed before we first looked
    collateral: bool = False  # also lists that list the neighbours of the guilty
    by: tuple[Literal["dnsbl", "pool", "customer", "target"], ...] = ("dnsbl", "pool")

    @model_validator(mode="after")
    def _scope_is_the_target(self) -> ListingRule:
        if self.suspend and self.suspend.scope:
            raise ValueError("a listing suspends the listed IP or domain itself: leave scope out")
        if not self.by:
            raise ValueError("by needs at least one of dnsbl, pool, customer, target")
        return self


class ClearRate(_Strict):
    """When a rate counts as healed: its upper bound is below `below`."""

    below: Share


class ComplaintRateRule(_Rule):
    """Fires when complaints ÷ delivered of the same mails is above `above` beyond reasonable doubt.

    Beyond doubt: the one-sided Clopper-Pearson lower bound at `confidence` exceeds it, on at least
    `min_complaints` complaints and `min_delivered` messages.
    """

    kind: Literal["complaint_rate"]
    by: tuple[Dimension, ...] = ("customer", "stream", "provider")
    window: Duration = timedelta(hours=24)
    above: Share
    clear: ClearRate
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.975
    min_complaints: Annotated[int, Field(ge=1)] = 3
    min_delivered: Annotated[int, Field(ge=1)] = 100
    quiet_for: Duration = timedelta(days=3)  # ends when nothing was sent for so long after the brake ended

    @model_validator(mode="after")
    def _hangs_together(self) -> ComplaintRateRule:
        if self.clear.below > self.above:
            raise ValueError("clear.below must not be higher than above")
        if not self.by:
            raise ValueError("by needs at least one dimension")
        if self.suspend:
            if not self.suspend.scope:
                raise ValueError(f"suspend.scope is missing: one or more of {', '.join(self.by)}")
            if strange := set(self.suspend.scope) - set(self.by):
                raise ValueError(f"suspend.scope has {', '.join(sorted(strange))}, which `by` does not tell apart")
            if self.suspend.effect == "hold" and self.suspend.at_most is None:
                raise ValueError("a hold stops the mail it is judged by: say how long with suspend.at_most")
        return self


Rule = Annotated[ListingRule | ComplaintRateRule, Field(discriminator="kind")]
RULE: TypeAdapter[ListingRule | ComplaintRateRule] = TypeAdapter(Rule)
