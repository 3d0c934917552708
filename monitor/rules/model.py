"""Rules as people write them (YAML), checked. A rule names a condition, when it ends, and what it suspends.

Those about what Vigie cannot see (fbl_silence, own_network, list_unusable, mailbox_unread, staleness,
clock_behind) only notify.

Shares are 0-1 or written as percentages; durations are written 90s, 15m, 24h, 7d.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    model_validator,
)

from collectors.dimensions import Use, names
from collectors.measures import MEASURES
from monitor.config.quantities import Duration, Share
from monitor.config.severity import Severity
from monitor.gate import Effect

if TYPE_CHECKING:  # a type checker takes no list it cannot read here
    Dimension = str
    ListingDimension = str
    AnySeverity = Severity | Literal["auto"]
else:
    Dimension = Literal[names(Use.SUBJECT | Use.SCOPE)]  # counted by it, and held by it
    ListingDimension = Literal[names(Use.LISTED)]
    AnySeverity = Literal[(*map(str, Severity), "auto")]  # one list of words in messages and schema


def _not_empty(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("must not be empty")
    return value


Lists = Annotated[tuple[str, ...], AfterValidator(_not_empty)]  # ids of the catalogue


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Suspend(_Strict):
    """The suspension a firing rule puts on. Without `at_most` it stays until the condition is clear.

    `at_most` is needed where the suspension stops the very mail the rule judges by (a hold on complaints):
    then it ends by itself, and only mail sent after that is judged.
    """

    effect: Effect = Effect.HOLD
    scope: tuple[Dimension, ...] = ()
    at_most: Duration | None = None
    rate_per_hour: Annotated[int, Field(gt=0)] | None = None
    transactional: bool = False  # also transactional streams

    @model_validator(mode="after")
    def _slow_has_a_rate(self) -> Suspend:
        if (self.effect is Effect.SLOW) != (self.rate_per_hour is not None):
            raise ValueError("rate_per_hour goes with effect: slow, and only with it")
        return self


class _Rule(_Strict):
    RENAMED: ClassVar[Mapping[str, str]] = {"advice": "runbook"}  # keys of earlier releases, for whoever still writes them

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    enabled: bool = True
    for_: Duration = Field(default=timedelta(0), alias="for")  # breach must last this long to fire
    keep: Duration = timedelta(0)  # clear must last this long to end
    runbook: Annotated[str, Field(max_length=2000)] = ""


class _GradedRule(_Rule):
    severity: Severity = Severity.WARNING


class _ListingRule(_Rule):
    """About our targets on lists. One incident per group of `by`; a list without a known operator is its own."""

    by: Annotated[tuple[ListingDimension, ...], AfterValidator(_not_empty)] = ("operator", "pool")


class Baseline(enum.StrEnum):
    """What is made of a target that was listed already when we first looked."""

    IGNORE = "ignore"
    NOTIFY = "notify"  # one incident per operator, and nothing is held for it
    HOLD = "hold"  # one incident per operator, and what the rule holds is held


def _baseline(value: object) -> object:
    """Yes and no, as the first release wrote it."""
    return {True: Baseline.HOLD, False: Baseline.IGNORE}[value] if isinstance(value, bool) else value


class ListingRule(_ListingRule):
    """Fires while a target of ours is confirmed on one of the lists.

    `severity: auto` follows the worst listing: the weight of the list, how grave its code is, and whether a
    mailbox provider is known to act upon it. Lists that blame the neighbours are information, whatever it says. What
    was listed already when first seen is an incident per operator, and held only with `baseline: hold`.
    """

    kind: Literal["listing"]
    severity: AnySeverity = Severity.WARNING
    lists: Lists | None = None  # None: every block list asked
    min_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    below_weight: Annotated[float, Field(gt=0, le=1)] | None = None  # heavier lists are another rule's
    baseline: Annotated[Baseline, BeforeValidator(_baseline)] = Baseline.NOTIFY
    collateral: bool = False  # also lists that list the neighbours of the guilty, one incident per operator
    suspend: Suspend | None = None

    @model_validator(mode="after")
    def _hangs_together(self) -> ListingRule:
        if self.suspend and self.suspend.scope:
            raise ValueError("a listing suspends the listed IP or domain itself: leave scope out")
        if self.suspend and self.collateral:
            raise ValueError("a rule with collateral only notifies, for the neighbours are to blame: leave suspend out")
        if self.below_weight is not None and self.below_weight <= self.min_weight:
            raise ValueError("below_weight must be higher than min_weight")
        return self


class AllowListingLostRule(_GradedRule, _ListingRule):
    """Fires when a target of ours is no longer on an allow list that had it, until it is back there.

    After `forget_after` it is taken as given up.
    """

    kind: Literal["allow_listing_lost"]
    lists: Lists | None = None  # None: every allow list asked
    forget_after: Duration = timedelta(days=14)


class ClearScore(_Strict):
    """When a score counts as good again: `above` (or `below`) this."""

    below: float | None = None
    above: float | None = None


class ListScoreRule(_GradedRule, _ListingRule):
    """Fires while a list's score of a target of ours is `below` (or `above`) a threshold, on the list's own scale.

    It ends at `clear`, on the other side of the threshold; without it, at the threshold itself.
    """

    kind: Literal["list_score"]
    lists: Lists
    below: float | None = None
    above: float | None = None
    clear: ClearScore = ClearScore()
    max_age: Duration = MEASURES["list_score"].max_age  # an older score says nothing

    @model_validator(mode="after")
    def _hangs_together(self) -> ListScoreRule:
        if (self.below is None) == (self.above is None):
            raise ValueError("needs exactly one of below and above")
        bad_side, good_side = ("below", "above") if self.below is not None else ("above", "below")
        if getattr(self.clear, bad_side) is not None:
            raise ValueError(f"a score that is bad {bad_side} its threshold clears {good_side} one: clear.{good_side}")
        if self.below is not None and self.clear.above is not None and self.clear.above < self.below:
            raise ValueError("clear.above must not be lower than below")
        if self.above is not None and self.clear.below is not None and self.clear.below > self.above:
            raise ValueError("clear.below must not be higher than above")
        return self


class ClearRate(_Strict):
    """When a rate counts as good again: its upper bound is below `below`."""

    below: Share


class ComplaintRateRule(_GradedRule):
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
    quiet_for: Duration = timedelta(days=3)  # ends when nothing was sent for so long after the suspension ended
    suspend: Suspend | None = None

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
                raise ValueError(f"suspend.scope has {', '.join(sorted(strange))}, which is not in `by`")
            if self.suspend.effect is Effect.HOLD and self.suspend.at_most is None:
                raise ValueError("a hold stops the mail it is judged by: say how long with suspend.at_most")
        return self


class FblSilenceRule(_GradedRule):
    """Fires while a feedback loop that used to report does not, though mail goes on.

    A day of the history counts when at least `min_delivered` messages went out; it takes `min_days` of them.
    """

    kind: Literal["fbl_silence"]
    window: Duration = timedelta(days=3)
    history: Duration = timedelta(days=28)
    alpha: Annotated[float, Field(gt=0, le=0.1)] = 0.001
    at_most: Share = 0.1
    clear_above: Share = 0.3
    min_days: Annotated[int, Field(ge=3)] = 7
    min_delivered: Annotated[int, Field(ge=1)] = 1000

    @model_validator(mode="after")
    def _hangs_together(self) -> FblSilenceRule:
        if self.clear_above <= self.at_most:
            raise ValueError("clear_above must be higher than at_most")
        if self.history < self.min_days * timedelta(days=1):
            raise ValueError("history must hold min_days days")
        return self


class OwnNetworkRule(_GradedRule):
    """Fires while most lists fail alike through a resolver: it is ours that is ill, and the lists are not judged."""

    kind: Literal["own_network"]
    max_age: Duration = MEASURES["canary"].max_age


class ListUnusableRule(_GradedRule):
    """Fires while one list fails its test points though others do not; it says nothing that can be believed."""

    kind: Literal["list_unusable"]
    for_: Duration = Field(default=timedelta(hours=1), alias="for")
    max_age: Duration = MEASURES["canary"].max_age
    forget_after: Duration = timedelta(days=1)  # not asked for so long while others were: out of the configuration


class MailboxUnreadRule(_GradedRule):
    """Fires while a mailbox of the inventory cannot be read."""

    kind: Literal["mailbox_unread"]
    for_: Duration = Field(default=timedelta(minutes=30), alias="for")
    max_age: Duration = MEASURES["mailbox_read"].max_age


class StalenessRule(_GradedRule):
    """Fires while a collector got no answers for `max_age`: three of its turns, if not said, and 15 minutes at least."""

    kind: Literal["staleness"]
    for_: Duration = Field(default=timedelta(minutes=2), alias="for")  # after a pause it may catch up first
    max_age: Duration | None = None


class ClockRule(_GradedRule):
    """Fires while this machine's clock is behind what is stored already: it was stepped back, or another is ahead."""

    kind: Literal["clock_behind"]
    tolerance: Duration = timedelta(minutes=2)


AnyRule = (
    ListingRule | AllowListingLostRule | ListScoreRule | ComplaintRateRule | FblSilenceRule
    | OwnNetworkRule | ListUnusableRule | MailboxUnreadRule | StalenessRule | ClockRule
)  # fmt: skip
SuspendingRule = ListingRule | ComplaintRateRule
RULE: TypeAdapter[AnyRule] = TypeAdapter(Annotated[AnyRule, Field(discriminator="kind")])
