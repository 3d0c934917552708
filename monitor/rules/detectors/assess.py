"""What the detectors say of one stream and its campaigns by now.

Three questions of one stream's mail at one provider, each with its own evidence:

campaign: is this campaign's own rate above the line? An e-process; holds the campaign only.
stream:   has the stream left the healthy rate, and is it above the line since? Sequential, by campaigns.
line:     is the stream's mean above the line itself? Sequential; good enough for a hold until a person looks.

And after a hold began: does the mail let through since then clear it?
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from monitor.rules.detectors.change import Change, Likelihoods, Raised, Sent, find_change, worth_looking
from monitor.rules.detectors.clustering import USUAL, Spread, Spreads, Weights, exposed
from monitor.rules.detectors.counts import DAY_HOURS, HOUR, Campaign, Cell, MailCounts
from monitor.rules.detectors.likelihood import mixture
from monitor.rules.detectors.reporting import ReportingLag

HEALTHY, LINE = 0.001, 0.003
_ABOVE_HEALTHY = ((1, 0.1), (2, 0.7), (4, 0.12), (10, 0.08))  # times the line: how much such a rate weighs
_ABOVE_LINE = ((1.5, 0.25), (2, 0.45), (4, 0.2), (10, 0.1))
MONTH_HOURS = 30 * DAY_HOURS
_CLEAR = math.log(20)  # so much more likely at the healthy rate than at the bad one
_STILL = math.log(5)
_CERTAIN_COMPLAINTS = 6
_OF_OTHERS = 2  # complaints that are not of the one campaign with the most


@dataclass(frozen=True, slots=True)
class Mail:
    """One stream's mail at one provider. `since`: where its evidence begins; `restarts`: the same for campaigns.

    `bad`: from when to when it was found to be too high. `alone`: campaigns that are held by themselves, and are no evidence of the rest.
    """

    counts: MailCounts
    lag: ReportingLag
    usual: Weights = USUAL
    since: float = -math.inf
    restarts: dict[Campaign, float] = field(default_factory=dict)
    bad: tuple[tuple[float, float], ...] = ()
    alone: frozenset[Campaign] = frozenset()

    def spreads(self, now: float) -> Spreads:
        return Spreads(self.counts, self.lag, now, self.usual, self.bad)


@dataclass(frozen=True, slots=True)
class Lines:
    """Rates (0-1) and how much evidence is asked for. `days`: between false alarms, as `find_change` promises them.

    `days_by_spread`: the same by how much campaigns differ (one for each of CORRELATIONS), in the place of `days`.
    """

    healthy: float = HEALTHY
    line: float = LINE
    days: float = 120
    days_by_spread: Weights = ()
    least: int = _CERTAIN_COMPLAINTS
    false_campaigns: float = 0.02  # a month

    def asked(self, spread: Spread) -> float:
        """The evidence that is enough of a stream whose campaigns differ so much."""
        if not self.days_by_spread:
            return self.days
        return sum(weight * days for weight, days in zip(spread.weights, self.days_by_spread, strict=True))


@dataclass(frozen=True, slots=True)
class Finding:
    """`raised`: beyond doubt. `change`: the evidence, since when, and what was counted since; None where no span is above the line.

    `share`: of the evidence that is asked for.
    """

    raised: bool
    change: Change | None = None
    spread: Spread | None = None
    share: float = 0.0


def judge_stream(mail: Mail, lines: Lines, now: float) -> Finding:
    """Has it left `healthy`, and is its rate since then above `line`? One campaign alone says so only where they are known to be alike."""
    finding = _changed(mail, lines, _raised(lines.healthy, lines.line, _ABOVE_HEALTHY), now)
    change, spread = finding.change, finding.spread
    if change is None or spread is None or change.complaints - change.most >= _OF_OTHERS or spread.alike:
        return finding
    return replace(finding, raised=False)


def judge_line(mail: Mail, lines: Lines, now: float) -> Finding:
    """Is its mean above `line` itself?"""
    return _changed(mail, lines, _raised(lines.line, lines.line, _ABOVE_LINE), now)


def _raised(innocent: float, line: float, weights: Sequence[tuple[float, float]]) -> Raised:
    return Raised(innocent, tuple(line * factor for factor, _ in weights), tuple(weight for _, weight in weights))


def _changed(mail: Mail, lines: Lines, raised: Raised, now: float) -> Finding:
    span = (mail.since, now)
    sent = Sent(mail.counts, mail.lag, mail.alone)
    if not worth_looking(sent, span, lines.line, lines.least):
        return Finding(raised=False)
    spreads = mail.spreads(now)
    change = find_change(sent, raised, span, spreads)
    spread = spreads.before(int(change.since // HOUR))
    share = change.evidence / lines.asked(spread)
    is_raised = share >= 1 and change.complaints >= lines.least and change.rate > lines.line
    return Finding(is_raised, change, spread, share)


def judge_campaign(mail: Mail, campaign: Campaign, lines: Lines, now: float) -> Change:
    """Its own rate against the line: `evidence` is the e-value. It is enough from `campaign_evidence` on."""
    total, mails = Cell(), 0.0
    for cell in mail.counts.cells(mail.restarts.get(campaign, -math.inf), campaign):
        total.add(cell)
        mails += exposed(cell, mail.lag, now)
    alternatives = [lines.line * factor for factor in (2, 4, 10, 20)]
    evidence = math.exp(min(mixture(total.complaints, mails, lines.line, alternatives), 600.0))
    since = mail.counts.first_hours.get(campaign, now // HOUR) * HOUR
    return Change(evidence, since, total.complaints, mails, total.delivered)


def campaign_evidence(mail: Mail, lines: Lines, now: float) -> float:
    """The e-value at which a campaign is held: as many false holds a month as `false_campaigns` at most."""
    oldest = int(now // HOUR) if mail.counts.oldest is None else mail.counts.oldest
    months = max((now // HOUR - oldest) / MONTH_HOURS, 0.25)
    return max(len(mail.counts.first_hours) - 1, 1) / months / lines.false_campaigns


@dataclass(frozen=True, slots=True)
class Release:
    """What the mail sent since a hold began says: `clear`, `still` bad, or neither."""

    clear: bool
    still: bool
    complaints: int
    exposed: float
    delivered: float


def judge_release(mail: Mail, lines: Lines, bad_rate: float, now: float) -> Release:
    """The mail since `mail.since`: is the healthy rate 20 times likelier than the bad one? Or five times less likely?"""
    bad = min(max(bad_rate, lines.line), 2 * lines.line)
    middle = (lines.healthy + lines.line) / 2
    first = math.ceil(max(mail.since / HOUR, mail.counts.oldest or 0))
    weights = mail.spreads(now).before(first).weights
    likelihoods = Likelihoods(Raised(lines.healthy, (bad,), (1.0,)), (weights,))
    total, mails = Cell(), 0.0
    for hour in range(first, int(now // HOUR) + 1):
        for campaign, cell in mail.counts.hours.get(hour, {}).items():
            exposure = exposed(cell, mail.lag, now)
            likelihoods.add(mail.counts.key(campaign, hour), cell.complaints, exposure)
            total.add(cell)
            mails += exposure
    log = math.log(likelihoods.ratio(weights))
    still = log >= _STILL and total.complaints > 1 and total.complaints > lines.line * mails
    return Release(log <= -_CLEAR and total.complaints < middle * mails, still, total.complaints, mails, total.delivered)


def since(mail: Mail, at: float) -> Mail:
    """The same mail, with evidence from an instant on."""
    return replace(mail, since=max(mail.since, at))
