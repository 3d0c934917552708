"""What is stored of a rule's verdicts, as the judge keeps it in memory between passes.

Of a rate most groups are well, or have too little mail to say anything, and say the same from pass to pass: of these only four
numbers are kept, in columns by the number of the group. All others, and all of any other rule, are kept as their rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from monitor.config.severity import Severity
from monitor.database.tables import EPOCH, VerdictRow, from_micros, to_micros
from monitor.incidents.states import OPEN, State
from monitor.judging.groups import Groups
from monitor.judging.rate_screen import (
    ABSENT,
    ANSWERS,
    BETWEEN,
    CLEAR,
    CODES,
    INSUFFICIENT,
    NO_DATA,
    STALE,
    Codes,
    Mask,
)
from monitor.rules.model import Rule
from monitor.rules.verdict import Group, key_of

FORGET_AFTER = timedelta(days=14)  # a group of which nothing was known for so long is expected no more
STATES: dict[int, State] = {
    BETWEEN: State.OK, CLEAR: State.OK, INSUFFICIENT: State.INSUFFICIENT, NO_DATA: State.NODATA, STALE: State.NODATA,
}  # fmt: skip
_FIRST_ROOM = 64


class Stored(NamedTuple):
    """What the columns say of a row."""

    state: str
    answer: str
    reason: str | None
    severity: str
    labels: dict[str, str]
    since: datetime
    heard_at: datetime | None
    judged_at: datetime


class Brief:
    """The columns: `code` of the answer (ABSENT: kept as a row, or not at all), and microseconds since 1970."""

    def __init__(self, rule: Rule, groups: Groups) -> None:
        self.rule, self.groups = rule, groups
        self.code: Codes = np.zeros(0, np.int8)
        self.heard, self.since, self.written = (np.zeros(0, np.int64) for _ in range(3))

    def reach(self) -> int:
        """Have a place for each group; returns how many there are."""
        count = len(self.groups)
        if count > len(self.code):
            more = max(count - len(self.code), len(self.code) // 4, _FIRST_ROOM)
            self.code = np.pad(self.code, (0, more))
            self.heard, self.since, self.written = (np.pad(each, (0, more)) for each in (self.heard, self.since, self.written))
        return count

    def takes(self, row: VerdictRow | Stored) -> bool:
        """Whether a row says no more than its columns would."""
        code = CODES.get((row.answer, row.reason))
        return (
            code is not None and STATES[code].value == row.state and row.labels == self.rule.labels and row.severity == severity_of(self.rule)
        )

    def put(self, number: int, row: VerdictRow | Stored) -> None:
        self.reach()
        self.code[number] = CODES[row.answer, row.reason]
        self.heard[number] = to_micros(row.heard_at) if row.heard_at else 0
        self.since[number], self.written[number] = to_micros(row.since), to_micros(row.judged_at)

    def row(self, number: int) -> VerdictRow | None:
        """As it would be read from the database, but for its words."""
        if number >= len(self.code) or self.code[number] == ABSENT:
            return None
        code, group = int(self.code[number]), self.groups.groups[number]
        answer, reason = ANSWERS[code]
        heard = int(self.heard[number])
        return VerdictRow(
            rule=self.rule.id, key=key_of(group), subject=dict(group), labels=self.rule.labels, state=STATES[code].value, answer=answer,
            reason=reason, severity=severity_of(self.rule), since=from_micros(int(self.since[number])),
            heard_at=from_micros(heard) if heard else None, judged_at=from_micros(int(self.written[number])),
        )  # fmt: skip

    def expected(self, now: datetime) -> Mask:
        """The groups that are judged though nothing may be known of them now."""
        return np.asarray((self.code != ABSENT) & (self.heard > to_micros(max(now - FORGET_AFTER, EPOCH))))


class RuleRows:
    """Of one rule. `groups`: how its groups are numbered, where it is judged in columns."""

    def __init__(self, rule: Rule | None, groups: Groups | None = None) -> None:
        self.whole: dict[Group, VerdictRow] = {}
        self.brief = Brief(rule, groups) if rule is not None and groups is not None else None

    def row(self, group: Group) -> VerdictRow | None:
        """None: it was not judged before."""
        row = self.whole.get(group)
        if row is None and self.brief is not None and (number := self.brief.groups.of(group)) is not None:
            row = self.brief.row(number)
        return row

    def put(self, group: Group, row: VerdictRow) -> None:
        number = self.brief.groups.of(group) if self.brief is not None else None
        if self.brief is not None and number is not None:
            if self.brief.takes(row):
                self.whole.pop(group, None)
                self.brief.put(number, row)
                return
            if self.brief.reach():
                self.brief.code[number] = ABSENT
        self.whole[group] = row

    def put_brief(self, group: Group, row: Stored) -> bool:
        """Where it is said by columns; False: it wants its row."""
        number = self.brief.groups.of(group) if self.brief is not None else None
        if self.brief is None or number is None or not self.brief.takes(row):
            return False
        self.brief.put(number, row)
        return True

    def forget(self, group: Group) -> None:
        self.whole.pop(group, None)
        if self.brief is not None and (number := self.brief.groups.of(group)) is not None and self.brief.reach():
            self.brief.code[number] = ABSENT

    def groups(self) -> Iterator[Group]:
        """All of them."""
        yield from self.whole
        if self.brief is not None:
            yield from (self.brief.groups.groups[number] for number in np.flatnonzero(self.brief.code).tolist())

    def in_states(self, states: Collection[State]) -> list[Group]:
        """Those in one of these states, of which a row is kept: all open ones are."""
        return [group for group, row in self.whole.items() if row.state in states]

    def whole_expected(self, now: datetime) -> list[Group]:
        """Of those that are kept as rows: the ones that are judged though nothing may be known of them now."""
        return [group for group, row in self.whole.items() if is_expected(row, now)]

    def expected(self, now: datetime) -> list[Group]:
        """All that are."""
        groups = self.whole_expected(now)
        if self.brief is not None:
            groups += [self.brief.groups.groups[number] for number in np.flatnonzero(self.brief.expected(now)).tolist()]
        return groups


def is_expected(row: VerdictRow, now: datetime) -> bool:
    return row.state in OPEN or (row.heard_at is not None and now - row.heard_at < FORGET_AFTER)


def severity_of(rule: Rule) -> str:
    """Of what says none of its own."""
    return Severity(rule.severity if rule.severity in tuple(Severity) else Severity.WARNING).value
