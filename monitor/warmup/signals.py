"""What does the mail of the last days say of a warm-up: good, bad, or not known well enough? Pure.

Each signal (`lines.yaml`) is counted over the newest week, since the warm-up began or last stepped back: mail of before a
step back must not step back again. Few mails show little, so a step is as big as its evidence: on 50 mails a single
complaint is above the line but proves nothing, and the step holds until more is known. Complaints count where their channel
is known to work; where a provider reports none, or nobody is enrolled, they are named as not measured and stop nothing.
May be wrong for complaints that come later than the day's end: they count a day later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from monitor.rules.bounds import lower_bound
from monitor.rules.signals import signals
from monitor.rules.texts import percent
from monitor.warmup.standing import DELIVERED_SHARE, DayWas

FILE = Path(__file__).with_name("lines.yaml")
CONFIDENCE = 0.95
FEWEST = 20  # messages: of fewer nothing is said
COMPLAINTS = "complaints"


class Line(BaseModel):
    """From where a signal is bad, and up to where clean; shares of 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    signal: str
    bad: float = Field(gt=0, lt=1)
    clean: float = Field(gt=0, lt=1)
    source: str = Field(min_length=1)


@cache
def lines() -> tuple[Line, ...]:
    """Those of `lines.yaml`."""
    written: Any = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return tuple(TypeAdapter(list[Line]).validate_python(written))


@cache
def measures() -> tuple[str, ...]:
    """All that has to be counted for them."""
    rows = [signals()[line.signal] for line in lines()]
    return tuple(dict.fromkeys(name for row in rows for name in (*row.numerator, *row.denominator)))


@dataclass(frozen=True, slots=True)
class Channel:
    """Whether complaints of a provider are heard. `measured` False: it reports none, or nobody is enrolled.

    `fault`: it should report, and does not now.
    """

    measured: bool = False
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a day that is over.

    `sent`: by records or returned grants. `delivered`: of that day, by records; None: there are no records of it.
    `counts`: measure → sum over the newest days. `idle_days`: days in a row without sending, up to this one.
    `held`: the rule or person that holds it now.
    """

    sent: int
    delivered: int | None
    counts: Mapping[str, float]
    complaints: Channel = Channel()
    held: str | None = None
    idle_days: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """What the day was, why, and the figures."""

    day: DayWas
    why: str
    figures: Mapping[str, Any]


def judge_day(evidence: Evidence, cap: int | None, rests_after_days: int) -> Judged:
    """What the day was. Bad comes before all, then what is not known; without sending nothing else is asked."""
    figures: dict[str, Any] = {"sent": evidence.sent, "delivered": evidence.delivered, "cap": cap}
    if evidence.sent == 0:
        return _idle(evidence, rests_after_days, figures)
    answers = [_answer(line, evidence) for line in lines()]
    figures |= {"signals": {answer.signal: answer.text for answer in answers}}
    bad = [answer.text for answer in answers if answer.good is False]
    if evidence.held:
        bad.append(evidence.held)
    if bad:
        return Judged(DayWas.BAD, "; ".join(bad), figures)
    if evidence.delivered is None:
        return Judged(DayWas.UNKNOWN, "there are no records of what became of the mail", figures)
    if cap is not None and evidence.delivered < DELIVERED_SHARE * cap:
        return Judged(DayWas.SHORT, f"{evidence.delivered:,} of {cap:,} delivered, less than {DELIVERED_SHARE:.0%}", figures)
    unknown = [answer.text for answer in answers if answer.good is None]
    if unknown:
        return Judged(DayWas.UNKNOWN, "; ".join(unknown), figures)
    of = f"{evidence.delivered:,} of {cap:,} delivered" if cap is not None else f"{evidence.delivered:,} delivered"
    return Judged(DayWas.GOOD, f"{of}, and all signals are clean", figures)


def _idle(evidence: Evidence, rests_after_days: int, figures: Mapping[str, Any]) -> Judged:
    days = evidence.idle_days
    if days > 0 and days % rests_after_days == 0:
        return Judged(DayWas.FORGOTTEN, f"nothing was sent for {days} days", figures)
    return Judged(DayWas.IDLE, "nothing was sent", figures)


@dataclass(frozen=True, slots=True)
class _Answer:
    """`good`: clean, bad, or None: not known well enough."""

    signal: str
    good: bool | None
    text: str


def _answer(line: Line, evidence: Evidence) -> _Answer:
    row, channel = signals()[line.signal], evidence.complaints
    counts = evidence.counts
    events, of = (int(sum(counts.get(name, 0) for name in names)) for names in (row.numerator, row.denominator))
    if line.signal == COMPLAINTS and not channel.measured and events == 0:
        return _Answer(line.signal, True, f"{row.words} is not measured here")
    if of < FEWEST:
        return _Answer(line.signal, None, f"{row.words}: of {of:,} {row.per} nothing can be said")
    text = f"{row.words} {percent(events / of)} ({events:,} of {of:,} {row.per})"
    if lower_bound(min(events, of), of, CONFIDENCE) > line.bad:
        return _Answer(line.signal, False, f"{text} is above {percent(line.bad)}")
    if line.signal == COMPLAINTS and channel.fault:
        return _Answer(line.signal, None, f"{row.words} is not known: {channel.fault}")
    if events > line.clean * of:
        return _Answer(line.signal, None, f"{text} is above {percent(line.clean)}, and may be chance or not")
    return _Answer(line.signal, True, text)


def answers_in(figures: Mapping[str, Any]) -> Sequence[str]:
    """The signals of a day as they were judged, for whoever shows them."""
    return list((figures.get("signals") or {}).values())
