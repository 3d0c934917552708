"""What is known of a warm-up's day: counts from the facts, what is held, what rules say, whether complaints are heard. Reads only.

Figures of an IP are those of the IP at the provider whatever else is known of the mail, and of a domain alike. What a rule
says of a customer's stream is not held against the IP it went out from: the rules hold the stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlmodel import Session

from collectors.contract import Reason
from monitor.database.tables import Suspension, VerdictRow, WarmUp
from monitor.facts import Store
from monitor.feedback_loops.enrolments import State as Enrolled
from monitor.feedback_loops.rows import states_by_provider
from monitor.inventory.providers import read_providers
from monitor.inventory.rows import pools_of_addresses
from monitor.judging.verdict_rows import FEEDBACK_LOOPS, firing_about, verdicts_about
from monitor.restrictions.rows import in_force
from monitor.rules.verdict import Answer, Verdict
from monitor.warmup.days import begins_at, ends_at
from monitor.warmup.rows import scope_of
from monitor.warmup.signals import Channel, Evidence, lines, measures

SENT = ("delivered", "hard_bounce", "soft_bounce", "block")  # messages that came to an end at the provider
WINDOW = timedelta(days=7)
Counts = Mapping[tuple[str, str], Mapping[str, float]]  # (IP or domain, provider) → measure → sum
_FEW = 20
_REPORTS = "arf"
_ABOUT = ("ip", "domain")


@dataclass(frozen=True, slots=True)
class Known:
    """What holds of all warm-ups at once: read once a turn."""

    suspended: Sequence[Suspension]
    firing: Sequence[VerdictRow]
    channels: Mapping[str, Channel]
    pools: Mapping[str, str | None]


def read_all(session: Session, now: datetime) -> Known:
    return Known(in_force(session, now), firing_about(session, [line.signal for line in lines()]), _channels(session), pools_of_addresses(session))


class DayCounts:
    """Sums of the facts by IP or domain and provider: of a few warm-ups each by itself, of many each span once for all."""

    def __init__(self, store: Store, warm_ups: int) -> None:
        self._store, self._few = store, warm_ups <= _FEW
        self._sums: dict[tuple[str, datetime, datetime, tuple[str, ...]], Counts] = {}

    def of(self, row: WarmUp, since: datetime, until: datetime, wanted: tuple[str, ...]) -> Mapping[str, float]:
        """The sums about a warm-up; a measure nothing is known of is missing."""
        about, name = ("ip", row.ip) if row.ip is not None else ("domain", row.domain or "")
        if self._few:
            where = {about: name, "provider": row.provider}
            return self._store.window_counts(wanted, (), since, until, where=where).get((), {})
        key = (about, since, until, wanted)
        if key not in self._sums:
            counts = self._store.window_counts(wanted, (about, "provider"), since, until)
            self._sums[key] = {(each, provider): sums for (each, provider), sums in counts.items() if each and provider}
        return self._sums[key].get((name, row.provider), {})


def evidence_of(row: WarmUp, day: date, counts: DayCounts, known: Known) -> Evidence:
    """Of a day that is over."""
    begins, ends = begins_at(day, row.zone), ends_at(day, row.zone)
    today = counts.of(row, begins, ends, SENT)
    since = min(max(ends - WINDOW, row.evidence_since), begins)
    delivered = today.get("delivered", 0.0 if today else None)
    return Evidence(
        sent=sent_of(today), delivered=None if delivered is None else int(delivered), counts=counts.of(row, since, ends, measures()),
        complaints=known.channels.get(row.provider, Channel()), held=_held(row, known),
    )  # fmt: skip


def sent_of(counts: Mapping[str, float]) -> int:
    """Messages, by records."""
    return int(sum(counts.get(name, 0) for name in SENT))


def _held(row: WarmUp, known: Known) -> str | None:
    """What speaks against it now: a suspension of this IP or domain, or a rule that fires about it."""
    scope: dict[str, str] = scope_of(row.ip, row.domain, row.provider)
    if row.ip is not None and (pool := known.pools.get(row.ip)) is not None:
        scope["pool"] = pool
    for each in known.suspended:
        if each.scope.items() <= scope.items():
            return f"{each.effect} by {each.rule or each.actor}: {each.text}"
    for verdict in known.firing:
        about = {name: value for name, value in verdict.subject.items() if name in _ABOUT}
        if about and verdict.subject.items() <= scope.items():
            return f"{verdict.rule} fires: {verdict.summary}"
    return None


def _channels(session: Session) -> dict[str, Channel]:
    """Provider → whether complaints are heard: where it reports them and a loop is enrolled, as the rule of loops says."""
    enrolled = {provider for provider, states in states_by_provider(session).items() if Enrolled.ACTIVE in states}
    judged = _by_provider(verdicts_about(session, FEEDBACK_LOOPS))
    described = read_providers(session).rows
    channels = {}
    for provider in enrolled | judged.keys():
        row = described.get(provider)
        if row is not None and row.fbl is not None and row.fbl.kind == _REPORTS:
            channels[provider] = Channel(True, _fault(judged.get(provider)))
    return channels


def _by_provider(verdicts: Iterable[Verdict]) -> dict[str, Verdict]:
    first: dict[str, Verdict] = {}
    for verdict in verdicts:
        first.setdefault(dict(verdict.group).get("provider", ""), verdict)
    return first


def _fault(verdict: Verdict | None) -> str | None:
    """A loop that fell silent, or whose mailbox is not read. Too little mail to say so is no fault of the loop."""
    if verdict is None or not (verdict.answer is Answer.BREACH or verdict.reason == Reason.STALE):
        return None
    return verdict.summary
