"""One list in one sweep: tried, asked, asked again, tried again. What it says counts only between two good checks.

  opening   its test entries, at each resolver; skipped where it was good lately
  asking    its targets, at the resolvers through which it is good; texts of what is listed beside it
  again     the hits and the ends of listings that would change what is known, once more
  closing   its test entries again: good, and all that was answered counts; else nothing does

A long stage is checked in between (each minute, and after hits in a row such as only a list of the whole world
has): what was answered until then is let go. After failures in a row it is asked no further. Pure but for the
lanes it puts questions into.
"""

from __future__ import annotations

import enum
import time
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from collectors.clients.dns import Lane, Question, Reply, Server
from collectors.clients.dns_wire import Answer
from collectors.contract import Reason, Target
from collectors.details import ListKind
from collectors.dnsbl.canary import Health, judge, points
from collectors.dnsbl.catalogue import DnsList
from collectors.dnsbl.decode import Verdict, decode, unknown
from collectors.dnsbl.pacers import operator_of
from collectors.dnsbl.question import Zone
from collectors.dnsbl.result import Result, is_worth_asking_again

FAILURES_IN_A_ROW = 10  # after so many questions that taught nothing a list is asked no further
_TEXT_FAILURES = 3
_HITS_IN_A_ROW = 10  # after which a list is tried: does it list the world?
_CHECK_SECONDS = 60.0  # answers wait no longer than this for the next check
_LONGEST_TEXT = 1000


class Stage(enum.Enum):
    OPENING = enum.auto()
    ASKING = enum.auto()
    AGAIN = enum.auto()
    CLOSING = enum.auto()
    DONE = enum.auto()


class Text(NamedTuple):
    """A listing that waits for its text; `doubtful`: and then to be asked again."""

    round: Round
    result: Result
    doubtful: bool


class Again(NamedTuple):
    """An answer that is asked for once more."""

    round: Round
    result: Result


class Point(NamedTuple):
    """A test entry."""

    round: Round
    server: Server
    point: str


class Round:
    """`targets` fit the list, `owners` are their labels, `was_listed` names those that were listed when last asked;
    `take` counts questions against the operator's day.

    `done`: results that count; `failed`: set to why nothing (more) does.
    """

    def __init__(
        self,
        zone: Zone,
        targets: Sequence[Target],
        lane: Lane,
        *,
        owners: Mapping[str, bytes],
        was_listed: Collection[str],
        take: Callable[[int], bool] | None,
        lanes: list[Lane],
        now: datetime,
    ) -> None:
        self.zone, self.entry, self.targets, self.lane, self.now = zone, zone.entry, targets, lane, now
        self.stage = Stage.OPENING
        self.done: list[Result] = []
        self.failed: Verdict | None = None
        self.checks: dict[Server, dict[str, Reply]] = {}  # the test entries that are under way, by resolver
        self.vouching: set[Server] = set()  # whose checks the answers so far wait for
        self.healths: dict[Server, Health] = {}
        self.checked = True  # whether test entries are asked at all
        self.waiting = 0  # questions and texts without a reply
        self.asked_count = self.heard_count = 0
        self._owners, self._was_listed, self._take, self._lanes = owners, was_listed, take, lanes
        self._spend = take or _free
        self._rest = iter(targets)
        self._left = len(targets)
        self._held: list[Result] = []
        self._doubtful: list[Result] = []
        self._released: set[str] = set()
        self._vouched = 0  # how many of the held the check under way vouches for
        self._held_since = 0.0
        self._given_up: Verdict | None = None
        self._texts: Lane | None = None
        self._check_lanes: dict[Server, Lane] = {}
        self._points: dict[str, bytes] = {}
        self._failures = self._text_failures = self._hits = 0
        self._next_look = _HITS_IN_A_ROW

    # --- what goes out

    def begin(self, server: Server) -> None:
        """Ask the targets through a resolver, beside those already in use."""
        self.lane.servers = (*self.lane.servers, server)
        self.lane.route = []
        if self.stage is Stage.OPENING:
            self.stage = Stage.ASKING
            self.lane.questions = self._questions()

    def _questions(self) -> Iterator[Question]:
        owners, suffix = self._owners, self.zone.a
        take = self._take
        for target in self._rest:
            self._left -= 1
            if take is None or take(1):
                self.waiting += 1
                self.asked_count += 1
                yield Question(owners[target.name] + suffix, (self, target))
            else:
                self._let_go([Result(target, self.entry, spent(self.entry))])

    def look(self) -> None:
        """Have what was answered so far vouched for."""
        self._vouched = len(self._held)
        self.vouching = set(self.lane.servers)
        self.check(self.lane.servers)

    def check(self, servers: Sequence[Server]) -> None:
        """Ask the test entries at these resolvers."""
        self._points = points(self.entry)
        for server in servers:
            self.checks[server] = {}
            lane = self._check_lanes.get(server)
            if lane is None:
                lane = self._check_lanes[server] = Lane([server], pacer=self.lane.pacer)
                self._lanes.append(lane)
            for point, owner in self._points.items():
                lane.add(Question(owner + self.zone.a, Point(self, server, point)))

    # --- what comes in

    def hear(self, target: Target, reply: Reply) -> None:
        """The answer about a target."""
        if self.stage is Stage.DONE:
            return
        self.waiting -= 1
        answer = reply.answer
        if answer is None:
            verdict = self._verdict(reply, target)
        else:
            self.heard_count += 1
            verdict = decode(answer, self.entry, target.role)
        result = Result(target, self.entry, verdict, None, reply.elapsed_seconds)
        if verdict.listed:
            self._hear_hit(result)
            return
        self._hits = 0
        if verdict.listed is None:
            self._failures += 1
            if self._failures == FAILURES_IN_A_ROW and self.stage is Stage.ASKING:
                self._give_up(verdict)
        else:
            self._failures = 0
        if target.name in self._was_listed and self._is_doubtful(result):
            self._doubtful.append(result)
        elif self._held:
            self._held.append(result)
        else:
            self._keep(result)

    def _hear_hit(self, result: Result) -> None:
        """Ask for the text; try the list where too many come in a row."""
        self._failures = 0
        self._hits += self.entry.kind is ListKind.BLOCK
        if self._hits >= self._next_look and not self.vouching and self._spend_check():
            self._next_look *= 4
            self.look()
        doubtful = self._is_doubtful(result)
        if not (self.entry.txt_reason and self._text_failures < _TEXT_FAILURES and self._spend(1)):
            self._keep_listed(result, doubtful=doubtful)
            return
        if self._texts is None:
            self._texts = Lane(self.lane.servers, pacer=self.lane.pacer, window=8)
            self._lanes.append(self._texts)
        self.waiting += 1
        self._texts.add(Question(self._owners[result.target.name] + self.zone.txt, Text(self, result, doubtful)))

    def _verdict(self, reply: Reply, target: Target) -> Verdict:
        if reply.answer is None:
            reason = reply.reason or Reason.TIMEOUT
            return unknown(reason, _SILENCE.get(reason))
        return decode(reply.answer, self.entry, target.role)

    def _is_doubtful(self, result: Result) -> bool:
        return self.checked and is_worth_asking_again(result, result.target.name in self._was_listed)

    def hear_text(self, token: Text, reply: Reply) -> None:
        """The text explains a listing, it never changes a verdict; three failures, and none is asked for any more."""
        if self.stage is Stage.DONE:
            return
        self.waiting -= 1
        self._text_failures = 0 if reply.answer else self._text_failures + 1
        if self._text_failures >= _TEXT_FAILURES and self._texts:
            self._texts.close(Reason.TIMEOUT)
        self._keep_listed(token.result._replace(text=_readable(self.zone, reply.answer)), doubtful=token.doubtful)

    def hear_again(self, token: Again, reply: Reply) -> None:
        """The second answer counts; an unknown one leaves the target unknown."""
        if self.stage is Stage.DONE:
            return
        self.waiting -= 1
        verdict = self._verdict(reply, token.result.target)
        text = token.result.text if verdict.listed else None
        self._keep(token.result._replace(verdict=verdict, text=text))

    def hear_point(self, token: Point, reply: Reply) -> Server | None:
        """The resolver whose check is complete with this; its outcome is in `healths`."""
        replies = self.checks.get(token.server)
        if replies is None:
            return None
        replies[token.point] = reply
        if len(replies) < len(self._points):
            return None
        del self.checks[token.server]
        self.vouching.discard(token.server)
        self.healths[token.server] = judge(self.entry, replies, self.now)
        return token.server

    # --- what follows

    def advance(self) -> None:
        """Go on to the next stage where this one is over."""
        if self.waiting:
            if self.stage is Stage.ASKING and self._is_due() and self._spend_check():
                self.look()
            return
        if self.stage is Stage.ASKING and not self._left and not self.waiting and not self.vouching:
            again, self._doubtful = self._doubtful, []
            self.stage = Stage.AGAIN
            for result in again:
                if self._given_up:
                    self._keep(result._replace(verdict=self._given_up, text=None))
                    continue
                if not self._spend(1):
                    self._keep(result)
                    continue
                self.waiting += 1
                self.lane.add(Question(self._owners[result.target.name] + self.zone.a, Again(self, result)))
        if self.stage is Stage.AGAIN and not self.waiting and not self.vouching:
            self.stage = Stage.CLOSING
            if self.checked:
                self.look()
            else:
                self.close()

    def vouch(self) -> None:
        """A check was good: what was answered before it was asked counts."""
        if self.stage is Stage.CLOSING:
            self.close()
            return
        self._let_go(self._held[: self._vouched])
        self._held = self._held[self._vouched :]
        self._held_since = time.monotonic()

    def close(self) -> None:
        """All is answered and counts."""
        self.stage = Stage.DONE
        self.done.extend(self._held)
        self._held = []

    def fail(self, verdict: Verdict) -> None:
        """Nothing counts that has not been let go before."""
        self.stage, self.failed = Stage.DONE, verdict
        for lane in (self.lane, self._texts, *self._check_lanes.values()):
            if lane:
                lane.close(verdict.reason or Reason.CANARY_FAILED)

    def unanswered(self) -> Iterator[Target]:
        """The targets of a list that failed, without those let go before."""
        return (target for target in self.targets if target.name not in self._released)

    def _keep_listed(self, result: Result, *, doubtful: bool) -> None:
        if doubtful:
            self._doubtful.append(result)
        else:
            self._keep(result)

    def _keep(self, result: Result) -> None:
        if not self._held:
            self._held_since = time.monotonic()
        (self._held if self.checked else self.done).append(result)

    def _let_go(self, results: Sequence[Result]) -> None:
        self._released.update(result.target.name for result in results)
        self.done.extend(results)

    def _is_due(self) -> bool:
        old = bool(self._held) and time.monotonic() - self._held_since > _CHECK_SECONDS
        return self.checked and old and not self.vouching

    def _spend_check(self) -> bool:
        return self.checked and self._spend(len(points(self.entry)))

    def _give_up(self, verdict: Verdict) -> None:
        """Ask no further; what was answered still has to be vouched for."""
        reason = verdict.reason or Reason.TIMEOUT
        self.lane.close(reason)
        self._left = 0
        why = f"not asked any further: {FAILURES_IN_A_ROW} questions in a row brought nothing but {reason}"
        self._given_up = unknown(reason, why)
        self._let_go([Result(target, self.entry, self._given_up) for target in self._rest])


_SILENCE = {
    Reason.TIMEOUT: "no answer in time",
    Reason.NETWORK: "the resolver cannot be reached",
}


def _free(count: int) -> bool:
    del count
    return True


def spent(entry: DnsList) -> Verdict:
    return unknown(Reason.BUDGET, f"the questions {operator_of(entry)} allows in a day are used up")


def _readable(zone: Zone, answer: Answer | None) -> str | None:
    """The text of a list in one line, without its key and without what a terminal would obey."""
    texts = answer.texts if answer else ()
    joined = zone.redacted("; ".join(texts))
    clean = "".join(" " if unicodedata.category(sign)[0] == "C" else sign for sign in joined)
    return clean[:_LONGEST_TEXT].strip() or None
