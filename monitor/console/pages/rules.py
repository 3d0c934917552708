"""The rules: what each is about and how its groups stand; of one, what it says of each group and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import HTTPException
from sqlmodel import Session

from monitor.config.quantities import duration_text
from monitor.console.page import Visit
from monitor.incidents.states import State
from monitor.judging.backtest import JUDGED
from monitor.judging.verdict_rows import judged_rule, rule_statuses, worst_verdicts
from monitor.judging.wire import RuleStatus
from monitor.rules.load import RUNBOOKS
from monitor.rules.model import Rule

_MOST_VERDICTS = 300
STATES = (  # as they are counted, the worst first
    State.FIRING, State.RECOVERING, State.PENDING, State.ERROR, State.NODATA, State.INSUFFICIENT, State.UNEVALUATED, State.OK,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listed:
    """A rule of the configuration (None: it was judged, and is configured no more) and how it was judged (None: not yet)."""

    id: str
    rule: Rule | None
    status: RuleStatus | None

    @property
    def firing(self) -> int:
        return sum(self.states.get(state, 0) for state in (State.FIRING, State.RECOVERING))

    @property
    def states(self) -> Mapping[str, int]:
        return self.status.states if self.status else {}

    @property
    def backtest(self) -> str | None:
        """The command that tries it on stored history; None: counts alone do not say what it judges."""
        condition = self.rule.condition if self.rule else None
        return f"vigie rules backtest --since 7d --rule {self.id}" if condition in JUDGED else None


def rules(visit: Visit) -> dict[str, object]:
    """All of them: those that fire first."""
    configured = {rule.id: rule for rule in visit.console.rules}
    statuses = {status.id: status for status in visit.look(rule_statuses)}
    listed = [Listed(name, configured.get(name), statuses.get(name)) for name in sorted({*configured, *statuses})]
    return {"rules": sorted(listed, key=lambda each: -each.firing), "states": STATES}


def rule(visit: Visit) -> dict[str, object]:
    """One of them, with what it says of each group, the worst first, and its runbook."""
    name = visit.named["rule_id"]
    configured = next((each for each in visit.console.rules if each.id == name), None)

    def shown(session: Session) -> dict[str, object]:
        try:
            judged_rule(session, name)
        except LookupError:
            if configured is None:
                raise HTTPException(404, f"no rule {name}") from None
        status = next((each for each in rule_statuses(session) if each.id == name), None)
        return {"listed": Listed(name, configured, status), "verdicts": worst_verdicts(session, name, _MOST_VERDICTS)}

    timers = [] if configured is None else [
        (words, duration_text(span)) for words, span in (("for", configured.for_), ("keep_firing_for", configured.keep_firing_for)) if span
    ]
    return visit.look(shown) | {"states": STATES, "timers": timers, "runbook": _page_of(configured)}


def _page_of(configured: Rule | None) -> str | None:
    """The page of the runbook, of a rule Vigie comes with."""
    path = RUNBOOKS / f"{configured.id}.md" if configured is not None else None
    return path.read_text("utf-8") if path is not None and path.is_file() else None
