"""How much may be sent on each step of a warm-up? Plans as data: the shipped ones (`plans.yaml`) and the operator's own.

A step is a sending day that went well, not a day of the calendar. No mailbox provider publishes a table; each plan says
whose it is. What a running warm-up goes by is kept with it, so that a changed plan changes none that has begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from monitor.config.validation import did_you_mean
from monitor.config.warmup import OwnPlan, rising

FILE = Path(__file__).with_suffix(".yaml")


class Plan(BaseModel):
    """`per_day`: the most messages a day, one number per step."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    per_day: Annotated[tuple[int, ...], AfterValidator(rising)]
    source: str = Field(min_length=1)
    note: str = ""

    def reaches(self, target: int) -> int | None:
        """The first step that allows this much a day; None where no step does."""
        return next((step for step, cap in enumerate(self.per_day, 1) if cap >= target), None)


@cache
def shipped() -> Mapping[str, Plan]:
    """The plans of `plans.yaml` by name."""
    written: Any = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    plans = TypeAdapter(list[Plan]).validate_python(written)
    return {plan.name: plan for plan in plans}


def with_own(own: Mapping[str, OwnPlan]) -> Mapping[str, Plan]:
    """The shipped plans and the operator's own, which replace a shipped one of the same name."""
    ours = {name: Plan.model_construct(name=name, per_day=plan.per_day, source=plan.source, note="") for name, plan in own.items()}
    return {**shipped(), **ours}


def plan_named(plans: Mapping[str, Plan], name: str) -> Plan:
    """Raises ValueError for one there is not."""
    if name not in plans:
        raise ValueError(f"no plan '{name}' — {did_you_mean(name, plans)}")
    return plans[name]
