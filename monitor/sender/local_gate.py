"""May this be sent? Answered on the spot from what is known, and stated how well that is known. No network, no waiting.

What is known is one object that is swapped whole, so any thread may ask while another takes in what changed. Staleness adds
reasons and may hold, and never lets through what was held: a restriction that is known ends at its `until` and not before.
"""

from __future__ import annotations

import enum
import itertools
import math
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from monitor.gate import (
    Decided,
    Effect,
    Reason,
    ReasonKind,
    Request,
    StreamKind,
    build_index,
    decide,
    read_request,
)
from monitor.gate.allowances import Allowance, Allowances
from monitor.gate.decide import LATEST_RETRY_SECONDS, SOONEST_RETRY_SECONDS
from monitor.gate.limits import aside_of, used_up
from monitor.gate.matching import values_of
from monitor.sender.clock import Clock
from monitor.sender.decision import Decision, Held
from monitor.sender.filters import Filters
from monitor.sender.grants import Grants, Key, fields_of
from monitor.sender.known import NEVER_STALE, Known
from monitor.sender.pacing import Pacing, Rates
from monitor.sender.recipient import plain_address

FRESH_SECONDS = 30.0
_AWAY_RETRY_SECONDS = 30
_NOTHING = build_index((), version=0, built_at=NEVER_STALE)
_SEND, _SLOW, _HOLD = Decided.SEND, Decided.SLOW, Decided.HOLD
_KIND = -1  # the place of the stream's kind among the values of a request


class State(enum.StrEnum):
    """How well what is decided by is known."""

    FRESH = "fresh"
    STALE = "stale"
    AWAY = "away"
    EMPTY = "empty"


class LocalGate:
    """What the sync and the async gate share: what is known, and what follows for one mail."""

    def __init__(self, keep_seconds: float, away: Mapping[str, str], clock: Clock, filters: Filters, grants: Grants) -> None:
        self.clock, self.filters, self.grants = clock, filters, grants
        self.known: Known | None = None
        self.stale_since: datetime | None = None
        self.reconnects = 0
        self.trouble: str | None = None  # why the stream cannot be followed, where the service says so
        self._keep, self._away = keep_seconds, {StreamKind(kind): Decided(word) for kind, word in away.items()}
        self._heard: float | None = None  # by the monotonic clock
        self._age = 0.0  # of a copy from the disk, when it was read
        self._began = time.monotonic()
        self._pacing, self._lock = Pacing(), threading.Lock()
        self._slow: dict[frozenset[tuple[str, str]], dict[str, int]] = {}
        self._counts = {word: itertools.count() for word in Decided}

    # what is known

    def take(self, known: Known) -> None:
        """What is so from now on."""
        before, self.known = self.known, known
        slow: dict[frozenset[tuple[str, str]], dict[str, int]] = {}
        for row in known.restrictions.values():
            if row.effect is Effect.SLOW and row.rate_per_hour is not None:
                slow.setdefault(frozenset(row.scope.items()), {})[row.id] = row.rate_per_hour
        self._slow = slow
        with self._lock:
            self._pacing.keep_only({of for rates in slow.values() for of in rates})
        if before is None or before.parts["allowances"] != known.parts["allowances"]:
            self.grants.reopen({row.id for row in known.allowances.rows if row.exhausted})

    def take_copy(self, known: Known, age: float) -> None:
        """What was so when it was written to the disk."""
        self._age = max(age, 0.0)
        self.take(known)

    def heard(self, stale_since: datetime | None) -> None:
        """The service spoke just now; since when its database has not answered, if so."""
        self.stale_since, self.trouble = stale_since, None
        self._heard = time.monotonic()

    @property
    def age_seconds(self) -> float:
        """Since the service was last heard; of nothing known, since the start."""
        if self._heard is not None:
            return time.monotonic() - self._heard
        return time.monotonic() - self._began + self._age

    @property
    def state(self) -> State:
        if self.known is None:
            return State.EMPTY
        age = self.age_seconds
        if age > self._keep:
            return State.AWAY
        fresh = self._heard is not None and age <= FRESH_SECONDS and self.stale_since is None
        return State.FRESH if fresh else State.STALE

    def metrics(self) -> dict[str, float]:
        known = self.known
        return {
            "version": known.version if known else 0, "age_seconds": self.age_seconds, "reconnects": self.reconnects,
            "restrictions": len(known.restrictions) if known else 0, "allowances": len(known.allowances.rows) if known else 0,
            **{f"decisions_{word}": _counted(count) for word, count in self._counts.items()},
        }

    # one mail

    def ask(self, fields: Mapping[str, Any]) -> Decision:
        """Raises ValueError where the service answers 422."""
        decision, _, _ = self._decide(read_request(fields))
        next(self._counts[decision.decision])
        return decision

    def before_send(self, recipient: str | None, count: int, fields: Mapping[str, Any]) -> Decision:
        """Raises Held, and ValueError where the service answers 422."""
        if recipient is not None:
            # a hold that lets a share through chooses by it; several messages to one recipient are no mailing
            alone = {"message": plain_address(recipient)} if count == 1 else {}
            fields = {"recipient_domain": _domain_of(recipient), **alone, **fields}
        request = read_request({**fields, "count": count})
        try:
            decision = self._let_through(request, recipient)
        except Held as held:
            next(self._counts[held.decision.decision])
            raise
        next(self._counts[decision.decision])
        return decision

    def _let_through(self, request: Request, recipient: str | None) -> Decision:
        decision, applying, key = self._decide(request)
        if decision.decision is _HOLD:
            raise Held(decision, decision.retry_after_seconds)
        if recipient is not None:
            self._check_recipient(request, recipient, decision)
        return self._take(request, decision, applying, key)

    def _decide(self, request: Request) -> tuple[Decision, list[Allowance], Key]:
        known, state, now = self.known, self.state, self.clock.now()
        index = known.index if known is not None else _NOTHING
        decision = Decision.of(decide(request, index, now))
        allowances = known.allowances if known is not None else Allowances()
        applying: list[Allowance] = []
        key: Key = ()
        if allowances.rows:
            values, of_others = values_of(request, index)
            applying = allowances.applying(values, of_others=of_others)
            decision.reasons += tuple(aside_of(row) for row in allowances.aside(values) if row.exhausted and row.resets_at > now)
            key = tuple(row.id for row in applying)
        if applying:
            decision.allowance_left = self.grants.left(key)
            exhausted = [row for row in applying if row.exhausted and row.resets_at > now]
            if exhausted and decision.allowance_left == 0:
                decision = _exhausted(decision, exhausted, now)
        if state is not State.FRESH:
            kind = values_of(request, index)[0][_KIND]
            decision = self._stale(decision, state, StreamKind(kind) if kind in set(StreamKind) else StreamKind.MARKETING)
        return decision, applying, key

    def _stale(self, decision: Decision, state: State, kind: StreamKind) -> Decision:
        word = self._away[kind] if state in {State.AWAY, State.EMPTY} else _SEND
        reason = Reason(
            kind=ReasonKind.STALE, scope={}, effect=word, rule=None, incident=None, text=self._why_stale(state, kind, word), until=None,
            lifts_when="Vigie is heard again, with its database",
        )  # fmt: skip
        if word is _HOLD and decision.decision is not _HOLD:
            return Decision.of(
                decision, reason, decision=_HOLD, rate_per_hour=None, connections=None, retry_after_seconds=_AWAY_RETRY_SECONDS
            )
        return Decision.of(decision, reason)

    def _why_stale(self, state: State, kind: StreamKind, word: Decided) -> str:
        trouble = f" ({self.trouble})" if self.trouble else ""
        if state is State.EMPTY:
            return f"Vigie was not heard yet{trouble}: {kind} mail is {_WORDS[word]}"
        if self._heard is not None and self.age_seconds <= FRESH_SECONDS and self.stale_since is not None:
            return f"restrictions as of {self.stale_since:%Y-%m-%dT%H:%M:%SZ}; the database has not answered since"
        since = f"Vigie was not heard for {self.age_seconds:.0f} s{trouble}"
        return f"{since}: {kind} mail is {_WORDS[word]}" if state is State.AWAY else f"{since}; decided by what it said then"

    def _check_recipient(self, request: Request, recipient: str, decision: Decision) -> None:
        suppressed = self.filters.suppressed(request.customer, request.stream, recipient)
        if suppressed is False:
            return
        text = "the recipient is suppressed" if suppressed else "whether the recipient is suppressed is being asked"
        reason = Reason(
            kind=ReasonKind.SUPPRESSION, scope={"customer": request.customer}, effect=_HOLD, rule=None, incident=None, text=text, until=None,
            lifts_when="the suppression is lifted",
        )  # fmt: skip
        retry = None if suppressed else 1
        raise Held(Decision.of(decision, reason, decision=_HOLD, rate_per_hour=None, retry_after_seconds=retry), retry)

    def _take(self, request: Request, decision: Decision, applying: list[Allowance], key: Key) -> Decision:
        rates = self._rates(decision) if decision.decision is _SLOW else {}
        if not rates and not applying:
            return decision
        now = time.monotonic()
        with self._lock:
            wait = self._pacing.wait_seconds(rates, now)
            if wait > 0:
                seconds = math.ceil(wait)
                raise Held(Decision.of(decision, retry_after_seconds=seconds), seconds)
            if applying and not self.grants.take(key, request.count, min(row.cap for row in applying), _named(request)):
                raise self._not_at_hand(decision, applying, key)
            self._pacing.take(rates, request.count, now)
        if applying:
            decision.allowance_left = self.grants.left(key)
        return decision

    def _not_at_hand(self, decision: Decision, applying: list[Allowance], key: Key) -> Held:
        seconds, pool = self.grants.closed(key)
        row = applying[0]
        reason = used_up(row) if seconds > 1 else Reason(
            kind=ReasonKind.ALLOWANCE, scope=dict(row.scope), effect=_HOLD, rule=None, incident=None,
            text="no messages of the allowance are reserved yet; they are being fetched", until=None, lifts_when="they are here",
        )  # fmt: skip
        held = Decision.of(
            decision, reason, decision=_HOLD, rate_per_hour=None, retry_after_seconds=seconds, pool=pool or decision.pool,
            allowance_left=self.grants.left(key),
        )
        return Held(held, seconds)

    def _rates(self, decision: Decision) -> Rates:
        rates: dict[str, int] = {}
        for reason in decision.reasons:
            if reason.effect == Effect.SLOW:
                rates |= self._slow.get(frozenset(reason.scope.items()), {})
        return rates


_WORDS = {_SEND: "sent", _HOLD: "held"}


def _exhausted(decision: Decision, rows: list[Allowance], now: datetime) -> Decision:
    """As the service answers once nothing is left (`monitor.gate.decide`)."""
    retry, pool = decision.retry_after_seconds, decision.pool
    if decision.decision is not _HOLD:
        pools = {row.pool for row in rows}
        pool = pools.pop() if len(pools) == 1 else None
        seconds = (max(row.resets_at for row in rows) - now) // timedelta(seconds=1) + 1
        retry = min(max(seconds, SOONEST_RETRY_SECONDS), LATEST_RETRY_SECONDS)
    return Decision.of(
        decision, decision=_HOLD, rate_per_hour=None, connections=None, retry_after_seconds=retry, pool=pool,
        reasons=(*map(used_up, rows), *decision.reasons), valid_until=min(decision.valid_until, *(row.resets_at for row in rows)),
    )  # fmt: skip


def _named(request: Request) -> dict[str, Any]:
    return fields_of([(name, getattr(request, name)) for name in Request.__slots__])


def _domain_of(recipient: str) -> str:
    local, at, domain = recipient.strip().removeprefix("<").removesuffix(">").rpartition("@")
    if not local or not at or not domain:
        raise ValueError("recipient: a mail address is wanted, such as ann@example.org")
    return domain


def _counted(count: itertools.count[int]) -> int:
    """How often `next` was called: the one way to count that no thread waits at."""
    return int(count.__reduce__()[1][0])
