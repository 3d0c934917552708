"""The turns of the collectors: one run of one of them, by its own rhythm or at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from collectors.contract import Collector, Context
from monitor.intake.run import Runner, Tally
from monitor.jobs.schedule import Work

log = logging.getLogger(__name__)


def job_of(collector: str) -> str:
    """The name of its job."""
    return f"collect:{collector}"


@dataclass(frozen=True, slots=True)
class Collecting:
    """The configured collectors by name, how often each runs, and the context of one run of one of them."""

    collectors: Mapping[str, Collector]
    intervals: Mapping[str, timedelta]
    runner: Runner
    context: Callable[[str], Context]

    def run(self, name: str, *, keep: bool = False) -> Tally:
        """One run of one collector, now; see Runner."""
        return self.runner.run(self.collectors[name], self.context(name), keep=keep)

    def jobs(self) -> list[Work]:
        """One per collector."""
        return [Work(job_of(name), self.intervals[name], partial(self._turn, name)) for name in self.collectors]

    def _turn(self, name: str) -> None:
        tally = self.run(name)
        log.info("collector %s: %s%s", name, tally.outcome, f", {tally.text}" if tally.text else "")
