"""Has a rate of complaints left what is healthy? For rates that are looked at all the time, cluster by campaign and come late. Pure.

`of: campaign` judges each campaign by itself and holds no more than it; `of: mailing` does that for mail that names no campaign, of
which only the stream can be held. `of: stream` finds that a stream has left the healthy rate
and is above the line since; `of: line` that its mean is above the line itself, which takes longer and is sure enough for a
hold of days, in which a person looks. What the detectors do, and what they promise: `monitor.rules.detectors`.

A stream with less mail than `at_least.a_day` is judged together with the others of its customer at the provider that
have too little, and so is a customer's mail where complaints do not say of which stream they are. After a hold the evidence begins
anew; mail that was let through since it began clears the stream, or says that it is as bad as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from collectors.contract import Reason
from monitor.rules.bounds import lower_bound
from monitor.rules.conditions.excess_rule import BY, BY_CAMPAIGN, Excess, ExcessNumbers, Of
from monitor.rules.detectors import clustering
from monitor.rules.detectors.assess import (
    Finding,
    Mail,
    campaign_evidence,
    judge_campaign,
    judge_line,
    judge_release,
    judge_stream,
    since,
)
from monitor.rules.detectors.change import Change
from monitor.rules.detectors.counts import HOUR, merged
from monitor.rules.detectors.mailing import judge_mailing
from monitor.rules.detectors.reporting import DAY
from monitor.rules.evidence import Evidence, Hold, StreamMail
from monitor.rules.numbers import Numbers, RateNumbers
from monitor.rules.texts import filled, minute, percent
from monitor.rules.verdict import Answer, Group, Member, Verdict, key_of, unknown

_RECENT = 14 * DAY  # how much mail a stream has is its mean over so long
_CAMPAIGN_OVER = 7 * DAY  # a campaign without mail for so long is over
_RUNNING = DAY / 4  # and without for so long there is nothing left to hold
_ALONE_FOR = timedelta(days=3)
_MOST_ALONE = 2  # more bad campaigns in that time say something of their stream
_GIVES_WAY = 0.3  # of the evidence asked for
_CONFIDENCE = 0.975  # of the bound that is shown
_NOT_ABOVE = "its rate is not above the line beyond doubt"
_FINDERS = {Of.STREAM: judge_stream, Of.LINE: judge_line, Of.MAILING: judge_mailing}


@dataclass(frozen=True, slots=True)
class _Case:
    """One thing to be judged. `parts`: the streams taken together; `why`: why they are."""

    group: Group
    mail: Mail
    parts: Sequence[Group] = ()
    why: str = ""


def judge(rule: Excess, evidence: Evidence, now: datetime) -> list[Verdict]:
    """One verdict per group of which something new is known, that has an open incident, or (but campaigns) was judged before."""
    opened = evidence.opened(rule.id)
    streams = [
        each for each in evidence.mail(rule.signal, opened)
        if all(chosen.takes(each.labels.get(name)) for name, chosen in rule.where.items() if name != "campaign")
    ]  # fmt: skip
    if not streams and not evidence.expected(rule.id):
        return []
    judging = _Judging(rule, evidence.holds(rule.id), frozenset(opened), now)
    if rule.beside:
        judging.alone = _held_alone(evidence.holds(rule.beside), now)
    if rule.of is Of.CAMPAIGN:
        return [verdict for each in streams for verdict in judging.campaigns(each)]
    verdicts = judging.mailings(streams) if rule.of is Of.MAILING else judging.streams(streams)
    known = {*opened, *(verdict.group for verdict in verdicts)}
    # no complaint came since: no evidence grew
    return verdicts + [Verdict(group, Answer.CLEAR, _NOT_ABOVE) for group in evidence.expected(rule.id) if group not in known]


class _Judging:
    """One rule at one instant."""

    def __init__(
        self, rule: Excess, holds: Mapping[Group, Sequence[Hold]], opened: frozenset[Group], now: datetime
    ) -> None:
        self.rule, self.holds, self.opened, self.now = rule, holds, opened, now
        self.at, self.lines = now.timestamp(), rule.lines
        self.alone: Mapping[Group, frozenset[str]] = {}

    # ── streams ──

    def streams(self, streams: Sequence[StreamMail]) -> list[Verdict]:
        verdicts: list[Verdict] = []
        families: dict[Group, list[StreamMail]] = {}
        for each in streams:
            if {"customer", "provider"} <= each.labels.keys():
                families.setdefault(_group(each.labels, ("customer", "provider")), []).append(each)
        for group, family in families.items():
            verdicts += self._family(group, family)
        return verdicts

    def mailings(self, streams: Sequence[StreamMail]) -> list[Verdict]:
        """Of each stream the mail that names no campaign, or all of it where complaints and mail do not name the same ones."""
        verdicts = []
        for each in streams:
            group = _group(each.labels, BY)
            unnamed = each.mail.counts.comparable().clusters_of(None)
            if len(group) == len(BY) and (group in self.opened or any(cluster.complaints for cluster in unnamed)):
                verdicts.append(self._verdict(_Case(group, each.mail), self._covering(each.labels)))
        return verdicts

    def _family(self, group: Group, family: Sequence[StreamMail]) -> Iterator[Verdict]:
        """The streams of a customer at a provider: each that has mail enough, and the others together."""
        named = [each for each in family if "stream" in each.labels]
        alone = [each for each in named if self._is_large(each.mail) or _group(each.labels, BY) in self.opened]
        raised: list[StreamMail] = []
        for each in alone:
            verdict = self._verdict(_Case(_group(each.labels, BY), each.mail), self._covering(each.labels))
            raised += [each] if verdict.answer is Answer.BREACH else []
            yield verdict
        nameless = [each for each in family if "stream" not in each.labels]
        small = [each for each in named if each not in alone]
        if any(cluster.complaints for each in nameless for cluster in each.mail.counts.clusters.values()):
            parts, why = [each for each in family if each not in raised], "complaints do not all say of which stream they are"
        else:
            parts, why = small, f"under {self.rule.at_least.a_day} messages a day each"
        holds = self.holds.get(group, ())
        # held under another group it is judged there; what was judged for one is not judged again
        parts = [each for each in parts if all(hold in holds or hold.until is not None for hold in self._covering(each.labels))]
        if parts and (group in self.opened or sum(_complaints(each) for each in parts) >= self.lines.least):
            yield self._verdict(self._together(group, parts, why), holds)

    def _covering(self, labels: Mapping[str, str]) -> list[Hold]:
        """The rule's holds of this mail, whatever group they were put on for, the oldest first."""
        every = (hold for holds in self.holds.values() for hold in holds)
        return sorted((hold for hold in every if hold.scope and hold.scope.items() <= labels.items()), key=lambda hold: hold.since)

    def _together(self, group: Group, parts: Sequence[StreamMail], why: str) -> _Case:
        # complaints of no stream are of no campaign we know either: then all mail is taken as one
        apart = all("stream" in each.labels for each in parts)
        counts = merged(
            (each.labels["stream"] if apart else None, each.mail.counts, self._restart(each.labels)) for each in parts
        )
        groups = [_group(each.labels, BY) for each in parts]
        return _Case(group, replace(parts[0].mail, counts=counts), groups, why)

    def _restart(self, labels: Mapping[str, str]) -> float:
        return max((hold.until.timestamp() for hold in self._covering(labels) if hold.until is not None), default=0.0)

    def _is_large(self, mail: Mail) -> bool:
        oldest = (mail.counts.oldest or 0) * HOUR
        span = min(max(self.at - oldest, DAY), _RECENT)
        return mail.counts.delivered_since(self.at - span) >= self.rule.at_least.a_day * span / DAY

    def _verdict(self, case: _Case, holds: Sequence[Hold]) -> Verdict:
        bad = tuple((_began(hold), (hold.until or self.now).timestamp()) for hold in holds)
        alone = self.alone.get(case.group, _NONE)
        mail = replace(case.mail, counts=case.mail.counts.comparable(), bad=bad, alone=alone)
        if holds and holds[-1].until is None:
            return self._held(case, mail, holds)
        newest = holds[-1] if holds else None
        after = since(mail, newest.until.timestamp()) if newest and newest.until else mail
        finding = _FINDERS[self.rule.of](after, self.lines, self.at)
        if finding.raised and finding.change:
            return self._unproved(case.group, finding.change) or self._breach(case, finding, finding.change)
        return self._no_breach(case, mail, newest)

    def _held(self, case: _Case, mail: Mail, holds: Sequence[Hold]) -> Verdict:
        """While it is held: what the mail let through says, and whether it was held for a campaign that is held alone by now."""
        hold = holds[-1]
        if mail.alone and self._gives_way(mail, holds):
            names = ", ".join(sorted(filter(None, mail.alone)))
            return Verdict(case.group, Answer.CLEAR, f"what it was held for is held by itself: campaign {names}")
        release = judge_release(since(mail, hold.since.timestamp()), self.lines, self._bad_rate(hold), self.at)
        let_through = f"{release.complaints:,} complaints of {release.delivered:,.0f} delivered since"
        if release.clear:
            return Verdict(case.group, Answer.CLEAR, f"healthy again: {let_through} the hold began {minute(hold.since)}")
        numbers = hold.evidence
        text = (isinstance(numbers, ExcessNumbers) and numbers.text) or f"held since {minute(hold.since)}"
        # what was held for stands until it is cleared or its time is over
        return Verdict(case.group, Answer.BREACH, text, members=self._members(case, text, numbers), evidence=numbers)

    def _gives_way(self, mail: Mail, holds: Sequence[Hold]) -> bool:
        ends = [hold.until.timestamp() for hold in holds if hold.until is not None]
        finding = _FINDERS[self.rule.of](since(mail, max(ends)) if ends else mail, self.lines, self.at)
        return finding.share < _GIVES_WAY

    def _no_breach(self, case: _Case, mail: Mail, newest: Hold | None) -> Verdict:
        if newest is None or newest.until is None:
            return Verdict(case.group, Answer.CLEAR, _NOT_ABOVE)
        release = judge_release(since(mail, newest.since.timestamp()), self.lines, self._bad_rate(newest), self.at)
        counted = f"{release.complaints:,} complaints of {release.delivered:,.0f} delivered since the hold began"
        if release.still and newest.until + timedelta(hours=1) > self.now and newest.timed_out:
            change = Change(0.0, newest.since.timestamp(), release.complaints, release.exposed, release.delivered)
            return self._breach(case, Finding(raised=True, change=change), change)
        if release.clear or self.now - newest.until >= self.rule.clear_after:
            return Verdict(case.group, Answer.CLEAR, f"healthy again: {counted}")
        return Verdict(case.group, Answer.BETWEEN, f"not held any more and not yet cleared: {counted}")

    def _bad_rate(self, hold: Hold) -> float:
        return hold.evidence.figure or 2 * self.lines.line

    def _breach(self, case: _Case, finding: Finding, change: Change) -> Verdict:
        numbers = self._numbers(change)
        if case.parts:
            numbers = replace(numbers, parts=len(case.parts), together=case.why)
        if finding.spread and finding.spread.clusters:
            clusters = list(case.mail.counts.clusters.values())
            mean = sum(each.delivered for each in clusters) / len(clusters)
            numbers = replace(numbers, clustering=clustering.words(finding.spread, mean))
        text = self._text(case, numbers)
        return Verdict(case.group, Answer.BREACH, text, members=self._members(case, text, numbers), evidence=numbers)

    def _members(self, case: _Case, text: str, numbers: Numbers) -> tuple[Member, ...]:
        """What may be held: the stream, or each of those taken together for their small size."""
        groups = [case.group] if not case.parts else [part for part in case.parts if len(part) == len(BY)]
        if case.why.startswith("complaints"):
            groups = []  # nobody can say which stream it is
        scopes = [(group, scope) for group in groups if (scope := self._scope(group))]
        held_for = replace(numbers, text=text) if isinstance(numbers, ExcessNumbers) else numbers
        return tuple(Member(key_of(group), scope, text, self.now, held_for) for group, scope in scopes)

    def _scope(self, group: Group) -> dict[str, str]:
        wanted: tuple[str, ...] = self.rule.effect.scope if self.rule.effect else ()
        scope = {name: value for name, value in group if name in wanted}
        return scope if len(scope) == len(wanted) else {}

    # ── campaigns ──

    def campaigns(self, each: StreamMail) -> Iterator[Verdict]:
        """Those of a stream with mail lately that are above the line, or were; one that only complaints name is a mailing's."""
        if not each.labels.keys() >= set(BY):
            return
        counts = each.mail.counts
        first_hour = (self.at - _CAMPAIGN_OVER) // HOUR
        sums: dict[str, list[float]] = {}
        for key, cluster in counts.clusters.items():
            if key[0] is not None and cluster.first_hour >= first_hour:
                total = sums.setdefault(key[0], [0.0, 0.0])
                total[0] += cluster.complaints
                total[1] += cluster.delivered
        unnamed = any(cluster.delivered for cluster in counts.clusters_of(None))
        for campaign, (complaints, delivered) in sums.items():
            group = _group({**each.labels, "campaign": campaign}, BY_CAMPAIGN)
            if (complaints >= self.lines.least and (delivered or not unnamed)) or group in self.opened:
                yield self._campaign(group, campaign, each.mail)

    def _campaign(self, group: Group, campaign: str, mail: Mail) -> Verdict:
        holds = self.holds.get(group, ())
        newest = holds[-1] if holds else None
        if newest is not None and newest.until is not None:
            mail = replace(mail, restarts={campaign: newest.until.timestamp()})
        change = judge_campaign(mail, campaign, self.lines, self.at)
        if change.evidence >= campaign_evidence(mail, self.lines, self.at) and change.complaints >= self.lines.least:
            if no_rate := self._unproved(group, change):
                return no_rate
            # of one that was sent long ago there is nothing left to hold
            if newest or mail.counts.sent_since(self.at - _RUNNING, campaign):
                return self._breach(_Case(group, mail), Finding(raised=True, change=change), change)
        if newest is not None and newest.until is None:
            return self._breach(_Case(group, mail), Finding(raised=True, change=change), change)
        return Verdict(group, Answer.BETWEEN if newest else Answer.CLEAR, _NOT_ABOVE)

    def _unproved(self, group: Group, change: Change) -> Verdict | None:
        """Unknown where the deliveries are: who sends us no records of them has no rate. None where enough are known."""
        if change.delivered >= max(self.rule.at_least.denominator, change.complaints):
            return None
        reason = Reason.INSUFFICIENT if change.delivered else Reason.NO_DATA
        counted = f"{change.complaints:,} complaints, but only {change.delivered:,.0f} messages known to be delivered"
        return unknown(group, reason, f"{counted}: that gives no rate; are all deliveries reported?")

    # ── words ──

    def _numbers(self, change: Change) -> ExcessNumbers:
        k, n = change.complaints, max(round(change.delivered), change.complaints, 1)
        exposed = max(round(change.exposed), k, 1)
        return ExcessNumbers(
            words=self.rule.signal.words, numerator=k, denominator=n, exposed=exposed, rate=k / exposed,
            lower=lower_bound(k, exposed, _CONFIDENCE), line=self.lines.line, since=_instant(change.since),
            evidence=float(f"{min(change.evidence, 1e12):.4g}"),
        )

    def _text(self, case: _Case, numbers: ExcessNumbers) -> str:
        k, n, exposed = numbers.numerator, numbers.denominator, numbers.exposed
        late = f", of which {exposed / n:.0%} of the complaints are known by now" if exposed < 0.95 * n else ""
        together = f"; {len(case.parts)} streams taken together, {case.why}" if case.parts else ""
        began = minute(numbers.since)
        text = f"{numbers.words} {percent(numbers.rate or 0.0)} ({k:,} of {n:,}{late}) since {began}, above {percent(self.lines.line)}{together}"
        if not self.rule.summary:
            return text
        shares = {name: percent(getattr(numbers, name)) for name in ("rate", "lower", "line")}
        return filled(self.rule.summary, {**dict(case.group), **numbers.encode(), **shares, "since": began, "text": text})


_NONE: frozenset[str] = frozenset()


def _held_alone(holds: Mapping[Group, Sequence[Hold]], now: datetime) -> dict[Group, frozenset[str]]:
    """By stream: the campaigns that were lately held by themselves and not lifted by anybody, where they are few."""
    alone: dict[Group, set[str]] = {}
    for group, each in holds.items():
        if any(hold.since > now - _ALONE_FOR and (hold.until is None or hold.timed_out) for hold in each):
            labels = dict(group)
            alone.setdefault(_group(labels, BY), set()).add(labels.get("campaign", ""))
    return {group: frozenset(names) for group, names in alone.items() if len(names) <= _MOST_ALONE}


def _complaints(each: StreamMail) -> int:
    return sum(cluster.complaints for cluster in each.mail.counts.clusters.values())


def _group(labels: Mapping[str, str], by: Iterable[str]) -> Group:
    return tuple((name, labels[name]) for name in by if name in labels)


def _began(hold: Hold) -> float:
    """When what it was put on for began."""
    numbers = hold.evidence
    return (numbers.since if isinstance(numbers, RateNumbers) else hold.since).timestamp()


def _instant(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
