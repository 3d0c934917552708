"""Every kind of rule, one row each: how it is written, what it is asked about, and who judges it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Literal, NamedTuple

from monitor.rules.conditions.listing import judge_allow_lost, judge_listings, judge_scores
from monitor.rules.conditions.own_health import (
    judge_clock,
    judge_lists_unusable,
    judge_mailboxes,
    judge_own_network,
    judge_staleness,
)
from monitor.rules.conditions.ratio import judge_rates
from monitor.rules.conditions.shortfall import judge_silence
from monitor.rules.model import (
    AllowListingLostRule,
    AnyRule,
    ClockRule,
    ComplaintRateRule,
    FblSilenceRule,
    ListingRule,
    ListScoreRule,
    ListUnusableRule,
    MailboxUnreadRule,
    OwnNetworkRule,
    StalenessRule,
)
from monitor.rules.verdict import Verdict

FactsName = Literal[
    "counts", "listings", "lost_listings", "scores", "loops", "canaries", "mailboxes", "runs", "clock"
]


class Kind(NamedTuple):
    """`judge` takes the rule, the facts named and now; each judge names the shapes of its own.

    `gone` is the reason an incident ends for whose group the facts no longer have.
    """

    model: type[AnyRule]
    facts: FactsName
    judge: Callable[[Any, Collection[Any], datetime], list[Verdict]]
    gone: str


_NOT_WATCHED = "no longer watched"

KINDS: dict[str, Kind] = {
    "listing": Kind(ListingRule, "listings", judge_listings, "no longer listed, or no longer asked about"),
    "allow_listing_lost": Kind(
        AllowListingLostRule, "lost_listings", judge_allow_lost, "lost so long ago that it is taken as given up"
    ),
    "list_score": Kind(ListScoreRule, "scores", judge_scores, _NOT_WATCHED),
    "complaint_rate": Kind(ComplaintRateRule, "counts", judge_rates, _NOT_WATCHED),
    "fbl_silence": Kind(FblSilenceRule, "loops", judge_silence, "its enrolment has ended"),
    "own_network": Kind(OwnNetworkRule, "canaries", judge_own_network, _NOT_WATCHED),
    "list_unusable": Kind(ListUnusableRule, "canaries", judge_lists_unusable, "the list is no longer asked"),
    "mailbox_unread": Kind(MailboxUnreadRule, "mailboxes", judge_mailboxes, "no longer in the inventory"),
    "staleness": Kind(StalenessRule, "runs", judge_staleness, "no longer configured"),
    "clock_behind": Kind(ClockRule, "clock", judge_clock, _NOT_WATCHED),
}
