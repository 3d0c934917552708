"""May I send? Request + restrictions in force + now → send, slow or hold, with every reason. Pure.

hold beats slow; of several slows the lowest rate counts, and the fewest connections. Every restriction that meets the request
is a reason, however many there are. One past its `until` no longer counts, also in an index that was not rebuilt since.

A request that names neither provider nor recipient domain asks about all of a customer's mail. A restriction on
one provider must not stop the rest, and must not be passed over in silence either: it does not decide, but
stands among the reasons with its scope, so that the sender sees that it has to ask for each provider.

Of mail that is held a hold may let a share through (`probe`), for what nobody receives nobody can judge. Which messages these
are follows from the request's `message` alone, so a held one stays held however often it is tried, every process lets
the same ones through, and of several holds the smallest share counts. A request without `message` is held.

Mail of what warms up has an allowance a day (`monitor.gate.limits`): once nothing of it is left the mail is held, and
`pool` says where it may go instead, unless something else holds it too.

A recipient domain of no provider we know is its own provider, and also one of the many called `other`:
facts about small domains are counted under that name, so a restriction drawn from them must find them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.gate.index import Index
from monitor.gate.limits import aside_of, used_up
from monitor.gate.match import Match
from monitor.gate.matching import matching
from monitor.gate.request import Request
from monitor.gate.restriction import Reason
from monitor.gate.words import Decided, ReasonKind

HOLDS_FOR = timedelta(minutes=15)  # an answer is good for this long at most
COMES_BACK_AFTER = timedelta(seconds=60)  # what others have reserved may come back at any time: asking again is soon worth it
SOONEST_RETRY_SECONDS, LATEST_RETRY_SECONDS, RETRY_SECONDS = 30, 900, 600
_SEND, _SLOW, _HOLD = Decided.SEND, Decided.SLOW, Decided.HOLD


@dataclass(slots=True)  # not frozen: setting nine fields of a frozen one takes a third of the decision
class Decision:
    """The answer; the wire form is these fields, `connections` (at once, at most) only where it is not None."""

    decision: Decided
    reasons: tuple[Reason, ...]
    retry_after_seconds: int | None
    rate_per_hour: int | None
    allowance_left: int | None
    pool: str | None
    version: int
    valid_until: datetime
    connections: int | None = None


def decide(request: Request, index: Index, now: datetime) -> Decision:
    """One decision. Asks nothing but its arguments."""
    return answer(matching(request, index, now), index, now)


def answer(match: Match, index: Index, now: datetime) -> Decision:
    """The decision that follows from what meets the request."""
    decision = _by_restrictions(match, index, now)
    if match.allowances or match.allowances_aside:
        _limit(decision, match, index, now)
    return decision


def _by_restrictions(match: Match, index: Index, now: datetime) -> Decision:
    aside: tuple[Reason, ...] = ()
    if match.aside:
        aside = tuple(reason for _, reason in match.aside)
    if now > index.stale_at:
        aside = (_stale(index), *aside)
    if not match.rows:
        return Decision(_SEND, aside, None, None, None, match.pool, index.version, now + HOLDS_FOR)
    ends = min(now + HOLDS_FOR, match.rows_end)
    reasons = match.reasons + aside if aside else match.reasons
    if match.held:
        return Decision(_HOLD, reasons, _retry_after(match, now), None, None, match.pool, index.version, ends)
    return Decision(
        _SLOW, reasons, None, match.rate_per_hour, None, match.pool, index.version, ends, match.connections
    )


def _limit(decision: Decision, match: Match, index: Index, now: datetime) -> None:
    """Hold what nothing is left for, and say how much is left."""
    aside = [known for key in match.allowances_aside if (known := index.allowances.get(key)) is not None and known.at(now) == 0]
    decision.reasons += tuple(aside_of(known.allowance) for known in aside)
    applying = [known for key in match.allowances if (known := index.allowances.get(key)) is not None]
    if not applying:
        return
    decision.allowance_left = min(known.at(now) for known in applying)
    gone = [known.allowance for known in applying if known.at(now) == 0]
    if not gone:
        return
    decision.reasons = (*map(used_up, gone), *decision.reasons)
    resets_at = max(row.resets_at for row in gone)
    if any(known.reserved for known in applying if known.at(now) == 0):
        resets_at = min(resets_at, now + COMES_BACK_AFTER)
    decision.valid_until = min(decision.valid_until, resets_at)
    if decision.decision is not _HOLD:
        pools = {row.pool for row in gone}
        decision.pool = pools.pop() if len(pools) == 1 else None
        decision.retry_after_seconds = _bounded(resets_at, now)
    decision.decision, decision.rate_per_hour, decision.connections = _HOLD, None, None


def _retry_after(match: Match, now: datetime) -> int:
    return RETRY_SECONDS if match.hold_end is None else _bounded(match.hold_end, now)


def _bounded(ends: datetime, now: datetime) -> int:
    seconds = int((ends - now).total_seconds()) + 1
    return max(SOONEST_RETRY_SECONDS, min(LATEST_RETRY_SECONDS, seconds))


def _stale(index: Index) -> Reason:
    return Reason(
        kind=ReasonKind.STALE,
        scope={},
        effect=_SEND,
        rule=None,
        incident=None,
        text=f"restrictions as of {index.built_at:%Y-%m-%dT%H:%M:%SZ}; the database has not answered since",
        until=None,
        lifts_when="the database answers again",
    )
