"""How does held mail come back? Ladders as data (`ladders.yaml`): how long a hold, how small a probe, how large the steps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from monitor.config.quantities import Duration, Share

FILE = Path(__file__).with_suffix(".yaml")
_Count = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Portion(_Part):
    """A share of the usual rate, this many messages an hour at least; `connections`: so many, or so many more."""

    share: Annotated[Share, Field(gt=0, le=1)]
    at_least_per_hour: _Count
    connections: _Count | None = None

    def of(self, usual: int) -> int:
        return max(self.at_least_per_hour, round(usual * self.share))


class Ladder(_Part):
    """What `ladders.yaml` says of each field."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    hold: Duration
    hold_factor: Annotated[float, Field(ge=1)]
    longest_hold: Duration
    probe: Portion
    step: Portion
    dwell: Duration
    at_least: _Count
    restart: Annotated[Share, Field(gt=0, le=1)]
    call_after: Duration
    unknown_per_hour: _Count
    source: str = Field(min_length=1)

    def held_for(self, first: timedelta, relapses: int) -> timedelta:
        """How long it is held after so many relapses; never shorter than the first time."""
        factor = self.hold_factor ** min(relapses, 64)
        return max(first, min(first * factor, self.longest_hold))


@cache
def ladders() -> Mapping[str, Ladder]:
    """By name."""
    written: Any = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {ladder.name: ladder for ladder in TypeAdapter(list[Ladder]).validate_python(written)}
