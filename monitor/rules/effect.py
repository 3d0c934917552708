"""What a firing rule does to the mail: hold or slow, which scope, how long at most. Data beside the condition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from collectors.dimensions import Use, names
from monitor.config.quantities import Duration, Share
from monitor.config.validation import did_you_mean
from monitor.gate import Effect
from monitor.rules.ladders import ladders

if TYPE_CHECKING:  # a type checker takes no list it cannot read here
    Dimension = str
else:
    from typing import Literal

    Dimension = Literal[names(Use.SUBJECT | Use.SCOPE)]  # counted by it, and held by it


class RuleEffect(BaseModel):
    """The suspension a firing rule puts on. Without `at_most` it stays until the condition is clear.

    `at_most` is needed where the suspension stops the very mail the rule judges by (a hold on complaints): then it ends
    by itself, and only mail sent after that is judged. After a lift the evidence begins anew.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    RENAMED: ClassVar[dict[str, str]] = {"effect": "action"}

    action: Effect = Effect.HOLD
    scope: tuple[Dimension, ...] = ()
    at_most: Duration | None = None
    rate_per_hour: Annotated[int, Field(gt=0)] | None = None
    transactional: bool = False  # also transactional streams
    recover: str | None = None  # a ladder (ladders.yaml): what was held comes back step by step, and on evidence only
    probe: Annotated[Share, Field(gt=0, lt=1)] | None = None  # of held mail so much is let through, to be judged by

    @field_validator("recover")
    @classmethod
    def _known_ladder(cls, recover: str | None) -> str | None:
        if recover is not None and recover not in ladders():
            raise ValueError(f"no ladder '{recover}' — {did_you_mean(recover, ladders())}")
        return recover

    @model_validator(mode="after")
    def _slow_has_a_rate(self) -> RuleEffect:
        if (self.action is Effect.SLOW) != (self.rate_per_hour is not None):
            raise ValueError("rate_per_hour goes with action: slow, and only with it")
        if self.probe is not None and self.action is not Effect.HOLD:
            raise ValueError("probe goes with action: hold: of what is slowed, mail goes on anyway")
        return self
