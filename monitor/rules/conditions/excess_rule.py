"""A rule about an excess, as it is written: what it asks for, and the numbers of its verdicts. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from monitor.config.quantities import Duration, Share
from monitor.gate import Effect
from monitor.rules.detectors.assess import Lines
from monitor.rules.model import RULE_ID, Rule, Strict, needs
from monitor.rules.numbers import RateNumbers

BY = ("customer", "stream", "provider")
BY_CAMPAIGN = ("customer", "stream", "campaign", "provider")


class Of(enum.StrEnum):
    CAMPAIGN = "campaign"
    MAILING = "mailing"
    STREAM = "stream"
    LINE = "line"


class Proof(enum.StrEnum):
    """`measured`: as few false alarms as simulations found; `theorem`: as few as is proved, and later."""

    MEASURED = "measured"
    THEOREM = "theorem"


# days between false alarms that the evidence is asked for; measured: by how much campaigns differ (CORRELATIONS)
_DAYS_MEASURED = (60.0, 90.0, 125.0, 340.0, 600.0, 1000.0)
_DAYS_PROVED = 600.0  # one in 20 months
_MONTH_DAYS = 30.0


class LeastMail(Strict):
    """What a breach needs; `a_day`: messages a day below which a stream is not judged alone."""

    numerator: Annotated[int, Field(ge=2)] = 6
    denominator: Annotated[int, Field(ge=1)] = 100  # where less is known to be delivered, complaints alone prove nothing
    a_day: Annotated[int, Field(ge=0)] = 200


class Excess(Rule):
    """Fires when a rate has left `healthy` and is `above` the line since, beyond doubt however often it is looked at."""

    TEXTS: ClassVar[frozenset[str]] = frozenset({"rate", "lower", "line", "numerator", "denominator", "since"})
    GONE: ClassVar[str] = "it is over: no mail of it any more"

    condition: Literal["excess"]
    of: Of = Of.STREAM
    above: Share = 0.003
    healthy: Share = 0.001
    proof: Proof = Proof.MEASURED
    at_least: LeastMail = LeastMail()
    false_a_month: Annotated[float, Field(gt=0, le=1)] = 0.02  # of: campaign, mailing; of all of a stream together
    beside: Annotated[str, Field(pattern=RULE_ID)] | None = None  # campaigns this rule holds alone are no evidence
    clear_after: Duration = timedelta(days=7)  # nothing was found for so long after a hold ended
    quiet_for: Duration | None = timedelta(days=3)

    @model_validator(mode="after")
    def _hangs_together(self) -> Excess:
        needs(self, counts=True, denominator=True)
        if self.healthy >= self.above:
            raise ValueError("healthy must be lower than above")
        if self.effect is not None:
            if not self.effect.scope:
                raise ValueError(f"effect.scope is missing: one or more of {', '.join(self.by)}")
            if strange := set(self.effect.scope) - set(self.by):
                raise ValueError(f"effect.scope has {', '.join(sorted(strange))}; {self.of} is judged by {', '.join(self.by)}")
            if self.effect.action is Effect.HOLD and self.effect.at_most is None and self.of is not Of.LINE:
                raise ValueError("a hold stops the mail it is judged by: say how long with effect.at_most")
        return self

    @property
    def by(self) -> tuple[str, ...]:
        return BY_CAMPAIGN if self.of is Of.CAMPAIGN else BY

    @property
    def most_false_a_month(self) -> float | None:
        """Of campaigns and mailings as it is set; of a stream's what is proved, and None where it was only measured."""
        if self.of in {Of.CAMPAIGN, Of.MAILING}:
            return self.false_a_month
        return _MONTH_DAYS / _DAYS_PROVED if self.of is Of.LINE or self.proof is Proof.THEOREM else None

    @property
    def lines(self) -> Lines:
        days = _MONTH_DAYS / self.false_a_month if self.of is Of.MAILING else _DAYS_PROVED
        measured = self.of is Of.STREAM and self.proof is Proof.MEASURED
        by_spread = _DAYS_MEASURED if measured else ()
        return Lines(self.healthy, self.above, days, by_spread, self.at_least.numerator, self.false_a_month)

    @property
    def waits_for(self) -> tuple[str, ...]:
        return (*super().waits_for, *([self.beside] if self.beside else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcessNumbers(RateNumbers):
    """`exposed`: how many of the delivered are old enough for their complaints to be known; the rate is of these.

    `evidence`: how many times likelier the counts are at a raised rate. `together`: why `parts` streams were taken together;
    `clustering`: how complaints come in campaigns, in words; `text`: the words it was held with.
    """

    exposed: int
    evidence: float
    together: str | None = None
    clustering: str | None = None
    text: str | None = None
