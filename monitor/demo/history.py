"""Ninety days before the demo begins, so that long windows, dashboards and reports have something true to show.

Drawn from one seed; the last ten days are healthy, so that what the demo plays live stands out. What went wrong before: Bolt mailed a
bought list (invalid addresses, then complaints, then blocks at Orange) and repaired it; one of Acme's IPs was on a list for three days.
All of it takes the road of every other fact: batches into the store, dated by what they are about.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from collectors.observation import Batch, Observation, Subject, Trace
from collectors.traces import TraceKind
from monitor.demo.world import MAILINGS, Mailing
from monitor.facts import Store

DAYS = 90
HOURLY_DAYS = 14  # nearer than this by the hour, before by the day
SOURCE = "demo-history"
PROVIDERS = {"gmail": 0.45, "yahoo": 0.15, "microsoft": 0.25, "orange": 0.15}
DOMAINS = {"gmail": "gmail.com", "yahoo": "yahoo.com", "microsoft": "outlook.com", "orange": "orange.fr"}
# of what is sent: healthy, and while Bolt's bought list is mailed
_HEALTHY = {"complaint": 0.0003, "hard_bounce": 0.004, "deferral": 0.02, "block": 0.001, "unsubscribe": 0.002, "soft_bounce": 0.003}
_BOUGHT = {"complaint": 0.006, "hard_bounce": 0.09, "deferral": 0.12, "block": 0.03, "unsubscribe": 0.004, "soft_bounce": 0.01}
BOUGHT_DAYS = range(38, 44)  # days before the demo
LISTED_DAYS = (25, 22)
_REPLIES = {
    "block": ("550", "5.7.1", "reputation_ip", "550 5.7.1 refused: low reputation of the sending network"),
    "hard_bounce": ("550", "5.1.1", "invalid_recipient", "550 5.1.1 no such user here"),
    "deferral": ("421", "4.7.0", "rate_limited", "421 4.7.0 too much mail from this address, try again later"),
}
_KINDS = {"block": TraceKind.BLOCK, "hard_bounce": TraceKind.BOUNCE, "deferral": TraceKind.DEFERRAL, "complaint": TraceKind.COMPLAINT}
_TRACED_SHARE = 0.02  # of the failures, one by one: enough to look into


def write(store: Store, now: datetime, seed: int) -> int:
    """Take the history into the store, as known `now`; returns how many readings. The same seed gives the same history."""
    dice = random.Random(f"history {seed}")  # noqa: S311 - a story, not a secret
    taken = list(batches(now, dice))
    store.intake(taken, now)
    store.roll_up()
    return sum(len(batch.observations) for batch in taken)


def batches(now: datetime, dice: random.Random) -> Iterator[Batch]:
    """Day by day, then hour by hour, up to the last whole hour."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for days_ago in range(DAYS, -1, -1):
        day = midnight - timedelta(days=days_ago)
        hours = range(24) if days_ago <= HOURLY_DAYS else (12,)
        for hour in hours:
            at = day + timedelta(hours=hour)
            if at + timedelta(hours=1) > now:
                return
            observations: list[Observation] = []
            traces: list[Trace] = []
            for mailing in MAILINGS:
                sent = mailing.messages * 24 * _share(hour, len(hours), at)
                _mailing(mailing, sent, at, days_ago, dice, observations, traces)
            yield Batch(SOURCE, at.isoformat(), at, observations=tuple(observations), traces=tuple(traces))


def _share(hour: int, hours: int, at: datetime) -> float:
    """The share of a day's mail at this hour (all of it where the day is one), less at weekends."""
    week = 0.5 if at.weekday() >= 5 else 1.0
    return week if hours == 1 else week * (1 + math.sin((hour - 8) / 24 * 2 * math.pi)) / 24


def _mailing(
    mailing: Mailing, sent: float, at: datetime, days_ago: int, dice: random.Random, observations: list[Observation], traces: list[Trace]
) -> None:
    bought = (mailing.customer, mailing.stream) == ("bolt", "newsletter") and days_ago in BOUGHT_DAYS
    rates = _BOUGHT if bought else _HEALTHY
    for ip in mailing.ips:
        listed = ip == MAILINGS[0].ips[0] and LISTED_DAYS[1] <= days_ago <= LISTED_DAYS[0]
        for provider, share in PROVIDERS.items():
            subject = Subject(mailing.customer, mailing.stream, None, ip, mailing.domain, provider)
            mails = sent * share / len(mailing.ips) * dice.uniform(0.9, 1.1)
            counts = {name: _drawn(mails * rate * (20 if listed and name == "block" else 1), dice) for name, rate in rates.items()}
            counts["delivered"] = max(round(mails) - counts["hard_bounce"] - counts["block"], 0)
            observations += [Observation(name, subject, at, count) for name, count in counts.items() if count or name == "delivered"]
            for name in _KINDS:
                traces += [_trace(name, subject, at, dice) for _ in range(_drawn(counts[name] * _TRACED_SHARE, dice))]
    passed = round(sent * 0.7)
    failed = _drawn(sent * 0.004, dice)
    reported = Subject(customer=mailing.customer, domain=mailing.domain)
    observations += [Observation("dmarc_pass", reported, at, passed), Observation("dmarc_fail", reported, at, failed)]


def _drawn(mean: float, dice: random.Random) -> int:
    """A count with this mean: the normal approximation of Poisson's, which is near enough for a story."""
    return max(0, round(mean + math.sqrt(max(mean, 0.0)) * dice.gauss(0, 1)))


def _trace(name: str, subject: Subject, at: datetime, dice: random.Random) -> Trace:
    code, status, category, words = _REPLIES.get(name, (None, None, None, None))
    recipient = f"reader{dice.randrange(100_000)}@{DOMAINS[subject.provider or 'gmail']}"
    return Trace(_KINDS[name], at, subject, recipient=recipient, category=category, status=status, reply_code=code, text=words)
