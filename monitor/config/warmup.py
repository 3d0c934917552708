"""The settings of warm-up in `vigie.yaml`: own plans, where overflow goes, when a person is called."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from monitor.config.quantities import Duration

MOST_STEPS = 366
LARGEST_CAP = 1_000_000_000


def rising(per_day: tuple[int, ...]) -> tuple[int, ...]:
    """Raises ValueError for what is no ramp."""
    if not 1 <= len(per_day) <= MOST_STEPS:
        raise ValueError(f"a plan has 1 to {MOST_STEPS} steps")
    for before, after in zip((0, *per_day), per_day, strict=False):
        if not 0 < after <= LARGEST_CAP:
            raise ValueError(f"a step allows 1 to {LARGEST_CAP:,} messages, not {after:,}")
        if after < before:
            raise ValueError(f"a step allows no less than the one before it: {after:,} comes after {before:,}")
    return per_day


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"'{name}' is no time zone — write a name such as Europe/Paris or UTC") from None
    return name


def _plan_name(name: str) -> str:
    if not name or len(name) > 64 or not name.isprintable() or name != name.strip():
        raise ValueError(f"'{name}' is no name of a plan — write 1 to 64 characters in one line")
    return name


def _whole_days(span: timedelta) -> timedelta:
    if span < timedelta(days=1) or span % timedelta(days=1):
        raise ValueError("is counted in days — write it such as 30d")
    return span


Zone = Annotated[str, AfterValidator(_zone)]
Days = Annotated[Duration, AfterValidator(_whole_days)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class OwnPlan(_Part):
    """A plan of the operator's own: the most messages a day, one number per step."""

    per_day: Annotated[tuple[int, ...], AfterValidator(rising)]
    source: str = Field(default="vigie.yaml", min_length=1, max_length=300)


class WarmUp(_Part):
    """`overflow`: the pool for what is above the day's cap, where `warmup start` names none; None: it waits for the next day.

    `zones`: provider → time zone its day begins in, where it is not as shipped. What sent nothing for `rests_after` goes
    part of the way back. A person is called where `stuck_after` sending days in a row brought no step forward.
    """

    plans: dict[Annotated[str, AfterValidator(_plan_name)], OwnPlan] = Field(default_factory=dict)
    overflow: str | None = Field(default=None, min_length=1, max_length=64)
    zones: dict[str, Zone] = Field(default_factory=dict)
    rests_after: Days = timedelta(days=30)
    stuck_after: int = Field(default=5, ge=1, le=60)
