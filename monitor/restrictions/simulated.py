"""What would have been held of recorded mail? The records' counts beside restrictions: one decision for each subject.

Restrictions are those in force now, and those that are tried. A record says what was sent, so mail that was held then is not
among them: what a hold in force stops already is not seen again. Of mail that a hold lets a share through, all counts as held.
A record that names no customer meets what holds whatever the customer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from collectors.observation import Observation, Subject
from monitor.gate import Decided, Effect, Index, Request, answer, matching
from monitor.wire import Wire

# measures of attempts: what came of each message that was handed to a provider
ATTEMPTS = frozenset({"delivered", "hard_bounce", "soft_bounce", "deferral", "block"})


class WouldRestrict(Wire):
    """How many recorded messages one restriction would have met; `alone`: that no other would have held or slowed as well."""

    id: str
    scope: dict[str, str]
    effect: Effect
    text: str
    tried: bool
    messages: int
    alone: int


class Simulated(Wire):
    """The recorded messages by what they would have been answered; `rejected`: lines that could not be read."""

    messages: int
    send: int
    slow: int
    hold: int
    rejected: int


@dataclass(slots=True)
class Simulation:
    """`tried`: the ids of restrictions that are not in force."""

    index: Index
    now: datetime
    tried: frozenset[str] = frozenset()
    _decided: Counter[Decided] = field(default_factory=Counter)
    _met: Counter[str] = field(default_factory=Counter)
    _alone: Counter[str] = field(default_factory=Counter)

    def take(self, observations: Iterable[Observation]) -> None:
        """Count what records say of messages."""
        for each in observations:
            if each.measure in ATTEMPTS and each.value:
                self._take(each.subject, int(each.value))

    def _take(self, about: Subject, messages: int) -> None:
        request = Request(
            customer=about.customer or "", stream=about.stream, campaign=about.campaign, ip=about.ip, domain=about.domain,
            provider=about.provider,
        )  # fmt: skip
        match = matching(request, self.index, self.now)
        self._decided[answer(match, self.index, self.now).decision] += messages
        for row in match.rows:
            self._met[row.id] += messages
        if len(match.rows) == 1:
            self._alone[match.rows[0].id] += messages

    def restrictions(self) -> list[WouldRestrict]:
        """Those tried, and those that met any; what met most comes first."""
        rows = [row for row in self.index.restrictions if self._met[row.id] or row.id in self.tried]
        return [
            WouldRestrict(
                id=row.id, scope=dict(row.scope), effect=row.effect, text=row.text, tried=row.id in self.tried,
                messages=self._met[row.id], alone=self._alone[row.id],
            )
            for row in sorted(rows, key=lambda row: (-self._met[row.id], row.id))
        ]  # fmt: skip

    def total(self, rejected: int) -> Simulated:
        send, slow, hold = (self._decided[each] for each in (Decided.SEND, Decided.SLOW, Decided.HOLD))
        return Simulated(messages=send + slow + hold, send=send, slow=slow, hold=hold, rejected=rejected)
