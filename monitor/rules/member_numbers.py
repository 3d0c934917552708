"""The numbers of an incident with members: who they are, and together what of ours is listed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from monitor.rules.conditions.listing import ListedTarget
from monitor.rules.numbers import Numbers, OnList, lists_of
from monitor.rules.texts import some

_MOST_RULES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberNumbers(Numbers):
    """One member as it was last."""

    incident: str
    rule: str
    subject: Mapping[str, str]
    severity: str
    state: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeNumbers(Numbers):
    """`members`: the gravest of them; `member_count`: how many have not ended; `rules`: of all of them."""

    members: tuple[MemberNumbers, ...]
    member_count: int
    rules: tuple[str, ...]
    listed: tuple[ListedTarget, ...] = field(default=())

    @property
    def rows(self) -> Sequence[OnList]:
        return self.listed

    def headline(self, targets: str) -> str | None:
        if self.listed:
            return f"{targets} on {lists_of(self.listed)}"
        return f"{self.member_count:,} incident{'s' if self.member_count != 1 else ''} of {some(self.rules, _MOST_RULES)}"
