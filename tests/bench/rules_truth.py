"""How often are the rules about complaints wrong, and how late are they right? Against worlds whose truth is known.

`python -m tests.bench.rules_truth` prints one JSON line. A stream of some mails a day is healthy (0.08 %) or turns bad (0.6 %) after a
week or more; campaigns' own rates are Beta(mean, clustering); sent evenly (two campaigns a day) or in bursts (one mailing
in two hours), complaints known at once or late (median four hours, up to three days). The loop is closed: what is held is not sent,
but for the probe. The shipped rules judge through the simulation of `vigie rules simulate`; the peers on the same worlds:

naive   24 h, rate above 0.3 %
wilson  24 h, Wilson's 95 % lower bound above 0.3 %
exact   24 h, Clopper-Pearson 97.5 % above 0.3 %, at least 3 complaints and 100 mails (the first release)
dg      deliverability-guard's ladder: Beta(0.5, 500) prior, 95 % of the posterior above its pause line of 0.2 %, 24 h

A false episode is one for which neither the running campaign's true rate nor that of the mail of the last 24 h is above the line.
VIGIE_BENCH_MONTHS: stream-months a cell (500 for the table of the README; a small number says whether it still works).
"""

from __future__ import annotations

import json
import math
import os
import random
import statistics
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from multiprocessing import get_context
from typing import Any, Protocol

from monitor.config.load import read_rules
from monitor.judging.simulate import Simulation
from monitor.judging.simulated_facts import Line
from monitor.rules.bounds import beta_cdf, lower_bound
from monitor.rules.load import SHIPPED, check_rules
from tests.monitor.rules.detectors.worlds import DAY, SLOT, Complaints, Slot, Stream, slots

VOLUMES = (50, 200, 1000, 10_000, 100_000)
CLUSTERINGS = (0, 0.0002, 0.001, 0.01)
HEALTHY, BAD, LINE = 0.0008, 0.006, 0.003
WARM_DAYS, JUDGED_DAYS = 7, 30
MONTHS = int(os.environ.get("VIGIE_BENCH_MONTHS", "4"))
START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
LABELS = {"customer": "acme", "stream": "news", "provider": "gmail"}
HOLD = DAY  # of the peers


class Player(Protocol):
    """A rule in a closed loop."""

    def deliver(self, slot: Slot, count: int) -> None: ...
    def complain(self, campaign: str, at: float, known_at: float) -> None: ...
    def look(self, now: float) -> bool:
        """Whether something fires now that did not."""
    def lets_through(self, slot: Slot) -> float:
        """The share of this mail that may be sent."""


class Ours:
    """The shipped rules about complaints that hold."""

    def __init__(self) -> None:
        self._simulation = Simulation([rule for rule in check_rules(read_rules(SHIPPED)) if "complaint" in rule.id and rule.effect])
        self._active: dict[str, tuple[Mapping[str, str], float]] = {}
        self._fired_at = -math.inf
        self._fired = False

    def deliver(self, slot: Slot, count: int) -> None:
        self._take(slot.at, slot.at, "delivered", slot.campaign, count)

    def complain(self, campaign: str, at: float, known_at: float) -> None:
        self._take(known_at, at, "complaint", campaign, 1)

    def look(self, now: float) -> bool:
        self._heed(self._simulation.until(_instant(now)))
        fired, self._fired = self._fired, False
        if not fired:
            return False
        # what fires within a day is one episode
        is_new, self._fired_at = now - self._fired_at > DAY, now
        return is_new

    def lets_through(self, slot: Slot) -> float:
        labels = {**LABELS, "campaign": slot.campaign}
        shares = [probe for scope, probe in self._active.values() if scope.items() <= labels.items()]
        return min(shares, default=1.0)

    @property
    def holds(self) -> bool:
        return any("campaign" not in scope for scope, _ in self._active.values())

    def _take(self, known_at: float, at: float, measure: str, campaign: str, count: int) -> None:
        line = Line(_instant(known_at), _instant(at), measure, {**LABELS, "campaign": campaign}, float(count))
        self._heed(self._simulation.take(line))

    def _heed(self, events: Iterable[Mapping[str, Any]]) -> None:
        for event in events:
            if event["event"] == "incident":
                self._fired = self._fired or event["state"] == "firing"
            elif event["lifted"]:
                self._active.pop(event["id"], None)
            else:
                self._active[event["id"]] = event["scope"], event["probe"] or 0.0


@dataclass
class Window:
    """A peer: counts of 24 h, a test of them, a hold of 24 h, and counting anew."""

    test: Any
    hours: float = 24
    _mails: deque[tuple[float, int]] = field(default_factory=deque)
    _complaints: deque[float] = field(default_factory=deque)
    _held_until: float = -1.0
    _since: float = -1.0
    _sent: int = 0
    _new: bool = False

    def deliver(self, slot: Slot, count: int) -> None:
        self._mails.append((slot.at, count))
        self._sent += count

    def complain(self, campaign: str, at: float, known_at: float) -> None:
        self._complaints.append(at)
        self._new = True

    def look(self, now: float) -> bool:
        first = max(now - self.hours * 3600, self._since)
        while self._mails and self._mails[0][0] < first:
            self._sent -= self._mails.popleft()[1]
        if now < self._held_until or not self._new:
            return False
        self._new = False
        self._complaints = deque(at for at in self._complaints if at >= first)
        k = len(self._complaints)
        if not 0 < k <= self._sent or not self.test(k, self._sent):
            return False
        self._held_until = self._since = now + HOLD
        return True

    def lets_through(self, slot: Slot) -> float:
        return 0.0 if slot.at < self._held_until else 1.0


def _wilson(k: int, n: int) -> bool:
    z, p = 1.96, k / n
    centre, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - spread) / (1 + z * z / n) > LINE


def _guard(k: int, n: int) -> bool:
    a, b = k + 0.5, n - k + 499.5
    return beta_cdf(0.002, a, b, math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)) < 0.05


PEERS = {
    "naive": lambda k, n: k / n > LINE,
    "wilson": _wilson,
    "exact": lambda k, n: k >= 3 and n >= 100 and lower_bound(k, n, 0.975) > LINE,
    "dg": _guard,
}


@dataclass
class Outcome:
    """Of one stream. `delay_hours`: from the first bad mail; None: never found. `release_hours`: from the repair."""

    unexcused: int = 0
    episodes: int = 0
    wrongly_held: float = 0.0
    wanted: float = 0.0
    delay_hours: float | None = None
    release_hours: float | None = None


@dataclass
class World:
    """`bad_from`: when it turns bad, in seconds; None: never."""

    volume: float
    clustering: float
    burst: bool
    lag: bool
    seed: int

    def stream(self, bad_from: float | None, repaired: list[float]) -> Stream:
        def mean(at: float) -> float:
            return BAD if bad_from is not None and at >= bad_from and not (repaired and at >= repaired[0]) else HEALTHY

        return Stream(self.volume, self.clustering, mean, self.burst, self.lag)


def play(world: World, player: Player, *, turns_bad: bool) -> Outcome:
    """One stream: healthy for a month, or bad after the warm-up until a day after it was found, then repaired."""
    rng, outcome = random.Random(world.seed), Outcome()
    bad_from = (WARM_DAYS + int(rng.random() * 10) / 2) * DAY if turns_bad else None
    repaired: list[float] = []
    complaints = Complaints(random.Random(world.seed + 1), lag=world.lag)
    recent: deque[Slot] = deque()
    due = 0.0
    for slot in slots(world.stream(bad_from, repaired), rng, WARM_DAYS + JUDGED_DAYS):
        share = player.lets_through(slot)
        due += slot.count * share
        count, due = int(due), due - int(due)
        _note(outcome, slot, share, recent, judged=slot.at >= WARM_DAYS * DAY and not turns_bad)
        if count:
            player.deliver(slot, count)
            recent.append(Slot(slot.at, slot.campaign, count, slot.rate))
            complaints.sent(slot.at, slot.campaign, count, slot.rate)
        for known_at, at, campaign in complaints.known(slot.at + SLOT - 1):
            player.complain(campaign, at, known_at)
        now = slot.at + SLOT
        while recent and recent[0].at < now - DAY:
            recent.popleft()
        fired = player.look(now)
        if bad_from is None:
            if fired and slot.at >= WARM_DAYS * DAY:
                outcome.episodes += 1
                outcome.unexcused += not _excused(slot, recent)
        elif _found(outcome, now, bad_from, repaired, fired=fired) and _released(outcome, player, now, repaired):
            break
    return outcome


def _found(outcome: Outcome, now: float, bad_from: float, repaired: list[float], *, fired: bool) -> bool:
    if fired and now > bad_from and outcome.delay_hours is None:
        outcome.delay_hours = (now - bad_from) / 3600
        repaired.append(now + 6 * 3600)
    return outcome.delay_hours is not None


def _released(outcome: Outcome, player: Player, now: float, repaired: list[float]) -> bool:
    if not isinstance(player, Ours):
        return True
    if now >= repaired[0] and not player.holds:
        outcome.release_hours = (now - repaired[0]) / 3600
        return True
    return False


def _note(outcome: Outcome, slot: Slot, share: float, recent: Iterable[Slot], *, judged: bool) -> None:
    if judged and slot.count:
        outcome.wanted += slot.count
        if share < 1 and slot.rate <= LINE:
            outcome.wrongly_held += slot.count * (1 - share)


def _excused(slot: Slot, recent: Iterable[Slot]) -> bool:
    mails = list(recent)
    sent = sum(each.count for each in mails)
    return slot.rate > LINE or (sent > 0 and sum(each.count * each.rate for each in mails) / sent > LINE)


def _instant(at: float) -> datetime:
    return datetime.fromtimestamp(START + at, UTC)


def players() -> Iterator[tuple[str, Any]]:
    yield "", Ours
    for name, test in PEERS.items():
        yield f"{name}_", lambda test=test: Window(test)


def months_of(volume: int) -> int:
    """Large streams take long; their figures vary least."""
    return max(MONTHS // 2, 2) if volume >= 100_000 else MONTHS


def cell(volume: int, clustering: float, *, burst: bool, lag: bool) -> dict[str, float | None]:
    figures: dict[str, float | None] = {}
    months = months_of(volume)
    suffix = f"{volume}_{clustering:g}{'_bursts' if burst else ''}{'_lag' if lag else ''}"
    for prefix, make in players():
        if prefix and (burst or lag) and "all" not in os.environ.get("VIGIE_BENCH_PEERS", ""):
            continue
        calm = [play(World(volume, clustering, burst, lag, seed), make(), turns_bad=False) for seed in range(months)]
        bad = [play(World(volume, clustering, burst, lag, 10_000 + seed), make(), turns_bad=True) for seed in range(months)]
        false = sum(each.unexcused for each in calm) / months
        delays = [math.inf if each.delay_hours is None else each.delay_hours for each in bad]
        median = statistics.median(delays)
        figures[f"{prefix}false_per_month_{suffix}"] = round(false, 4)
        figures[f"{prefix}delay_hours_{suffix}"] = None if math.isinf(median) else round(median, 1)
        if not prefix:
            releases = [each.release_hours for each in bad if each.release_hours is not None]
            figures |= {
                f"false_error_{suffix}": round(math.sqrt(max(false, 1 / months) / months), 4),
                f"episodes_per_month_{suffix}": round(sum(each.episodes for each in calm) / months, 4),
                f"wrongly_held_percent_{suffix}": round(
                    100 * sum(each.wrongly_held for each in calm) / max(1, sum(each.wanted for each in calm)), 3),
                f"release_hours_{suffix}": round(statistics.median(releases), 1) if releases else None,
                f"released_{suffix}": round(len(releases) / max(1, sum(each.delay_hours is not None for each in bad)), 3),
            }  # fmt: skip
    return figures


def run(volumes: Iterable[int] = VOLUMES, clusterings: Iterable[float] = CLUSTERINGS) -> dict[str, Any]:
    """Every cell in a process of its own, the longest first, behind whatever else the machine has to do."""
    figures: dict[str, float | None] = {"months_per_cell": float(MONTHS)}
    cells = sorted(product(volumes, clusterings, (False, True), (False, True)), reverse=True)
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), initializer=os.nice, initargs=(15,)) as pool:
        for new in pool.map(_cell, cells):
            print(json.dumps(new), file=sys.stderr, flush=True)
            figures |= new
    return {"bench": "rules_truth", "figures": figures, "ratio": {}}


def _cell(place: tuple[int, float, bool, bool]) -> dict[str, float | None]:
    volume, clustering, burst, lag = place
    return cell(volume, clustering, burst=burst, lag=lag)


if __name__ == "__main__":
    print(json.dumps(run(
        [int(each) for each in sys.argv[1].split(",")] if len(sys.argv) > 1 else VOLUMES,
        [float(each) for each in sys.argv[2].split(",")] if len(sys.argv) > 2 else CLUSTERINGS,
    )))
