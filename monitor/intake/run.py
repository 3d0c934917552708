"""One run of one collector: ask, store, acknowledge, and leave a row that says how it went."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from collectors.contract import Collector, CollectorError, Context, Reason
from collectors.observation import Batch, Observation
from monitor.facts import Store, Taken
from monitor.facts.runs import Outcome

log = logging.getLogger(__name__)

Take = Callable[[Sequence[Batch]], list[Taken]]

BATCHES_AT_ONCE = 500
BYTES_AT_ONCE = 16_000_000


@dataclass(slots=True)
class Tally:
    """What a run did."""

    outcome: Outcome = Outcome.OK
    reason: str | None = None
    text: str | None = None
    batches: int = 0
    repeats: int = 0
    observations: int = 0
    unknowns: int = 0
    traces: int = 0
    parked: int = 0
    seen: list[Observation] = field(default_factory=list)

    def add(self, taken: Taken) -> None:
        batch = taken.batch
        self.batches += 1
        if not taken.new:
            self.repeats += 1
            return
        self.observations += len(batch.observations)
        self.unknowns += sum(1 for each in batch.observations if each.value is None)
        self.traces += len(batch.traces)
        self.parked += len(batch.parked)

    def counts(self) -> dict[str, int]:
        names = ("batches", "repeats", "observations", "unknowns", "traces", "parked")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs collectors against one store; `take` stores a batch and has it judged."""

    store: Store
    take: Take
    clock: Callable[[], datetime]

    def run(self, collector: Collector, context: Context, *, keep: bool = False) -> Tally:
        """One run; never raises for what the collector does. With `keep`, its observations are in `seen`.

        Batches are committed before the source hears of them, and heard of before more is asked for: so a
        crash repeats at most one group of batches, which their keys make harmless.
        """
        now = self.clock()
        run_id = self.store.open_run(collector.name, now)
        tally = Tally()
        try:
            for group in _groups(collector.collect(context, now)):
                for taken in self._committed(group):
                    if taken.batch.acknowledge is not None:
                        taken.batch.acknowledge()
                    tally.add(taken)
                    if keep:
                        tally.seen.extend(taken.batch.observations)
        except CollectorError as error:
            tally.outcome, tally.reason, tally.text = Outcome.FAILED, error.reason.value, error.text
        except Exception as error:
            log.exception("collector %s", collector.name)
            tally.outcome, tally.reason = Outcome.FAILED, Reason.INTERNAL.value
            tally.text = f"{type(error).__name__}: see the log"
        else:
            if tally.unknowns:
                tally.outcome, tally.text = Outcome.PARTIAL, f"{tally.unknowns} of {tally.observations} answers are unknown"
        self.store.close_run(
            run_id, self.clock(), outcome=tally.outcome, reason=tally.reason, text=tally.text, **tally.counts()
        )
        return tally

    def _committed(self, group: Sequence[Batch]) -> list[Taken]:
        """The group in one commit; where that fails, each alone, so that one batch does not keep back the others."""
        try:
            return self.take(group)
        except Exception:
            if len(group) == 1:
                raise
            log.warning("%d batches could not be stored together; now one by one", len(group), exc_info=True)
        return [taken for batch in group for taken in self.take([batch])]


def _groups(batches: Iterator[Batch]) -> Iterator[list[Batch]]:
    """Batches that may be committed together, bounded in number and in bytes kept."""
    group: list[Batch] = []
    size = 0
    for batch in batches:
        group.append(batch)
        size += sum(len(kept.body) for kept in batch.evidence) + sum(len(kept.body) for kept in batch.parked)
        if not batch.together or len(group) >= BATCHES_AT_ONCE or size >= BYTES_AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group
