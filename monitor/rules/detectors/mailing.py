"""Is mail that names no campaign above the line by now, a mailing of the last two days?

Without names nobody can say where a mailing begins, so it may have begun at any hour s of these two days. For each of them e(s)
is the e-value of the mail since then against the line (`likelihood.mixture`), and the evidence is M = sum over s of e(s) / 24. Mails
whose own chances are at or below the line reach M ≥ c once in c days at most, whatever differs between mailings
(J. Shin, A. Ramdas, A. Rinaldo, NEJSDS 2(2), 2024): no clustering is assumed, for the mail itself is judged, not the stream.

May be wrong where two mailings go out at once: then the mean of both is judged, and both are held.
"""

from __future__ import annotations

import math

from monitor.rules.detectors.assess import Finding, Lines, Mail
from monitor.rules.detectors.change import Change
from monitor.rules.detectors.clustering import exposed
from monitor.rules.detectors.counts import DAY_HOURS, HOUR, Cell
from monitor.rules.detectors.likelihood import mixture

_SPAN_HOURS = 2 * DAY_HOURS
_RAISED = (2, 4, 10, 20)  # times the line
_MOST = 600.0  # of a logarithm


def judge_mailing(mail: Mail, lines: Lines, now: float) -> Finding:
    """Mail without a campaign against the line itself; `lines.days`: between false alarms."""
    last = int(now // HOUR)
    first = max(last - _SPAN_HOURS + 1, math.ceil(max(mail.since, 0.0) / HOUR))
    alternatives = [lines.line * factor for factor in _RAISED]
    counted, mails, evidence, most = Cell(), 0.0, 0.0, 0.0
    best: Change | None = None
    for hour in range(last, first - 1, -1):
        cell = mail.counts.hours.get(hour, {}).get(None)
        if cell is not None:
            counted.add(cell)
            mails += exposed(cell, mail.lag, now)
        if not counted.complaints:
            continue
        value = math.exp(min(mixture(counted.complaints, mails, lines.line, alternatives), _MOST)) / DAY_HOURS
        evidence += value
        if value > most and cell is not None:
            most, best = value, Change(0.0, hour * HOUR, counted.complaints, mails, counted.delivered)
    if best is None:
        return Finding(raised=False)
    change = Change(evidence, best.since, best.complaints, best.exposed, best.delivered)
    return Finding(evidence >= lines.days and change.complaints >= lines.least and change.rate > lines.line, change)
