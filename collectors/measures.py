"""Every measure: what is counted or read, in which unit, how late it comes and how long it holds.

`kind` (MeasureKind): *count* — a delta at a time, adds up; *state* — holds until it changes; *gauge* — a sampled value.
`lag` is how late the source reports; `max_age` is when a state or gauge is no longer believed; `detail` is what explains it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta

from collectors.details import CanaryFailures, Detail, ListAnswer, ReadFailure


class MeasureKind(enum.StrEnum):
    COUNT = "count"
    STATE = "state"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Measure:
    name: str
    kind: MeasureKind
    unit: str
    meaning: str
    lag: timedelta = timedelta(0)
    max_age: timedelta = timedelta(days=2)
    detail: type[Detail] = Detail


def _count(name: str, meaning: str, lag: timedelta = timedelta(0)) -> Measure:
    return Measure(name, MeasureKind.COUNT, "messages", meaning, lag)


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        _count("delivered", "messages the mailbox provider took over (2xx)"),
        _count("hard_bounce", "recipients refused for good (5xx, address-related)"),
        _count("soft_bounce", "recipients given up for a temporary or non-address reason"),
        _count("deferral", "attempts answered with 4xx"),
        _count("block", "refusals for reputation or policy"),
        _count("accepted", "recipients our own MTAs took over from the sender"),
        _count("refused_by_us", "recipients our own MTAs refused at submission"),
        _count("held_by_us", "attempts our own MTAs did not make, for a suspension of ours or of theirs; in no rate"),
        _count("not_attempted", "recipients given up without any attempt: by an administrator, or a relay's own list"),
        _count("async_bounced", "bounces that came after the delivery, from whom nobody vouches for; in no rate"),
        _count("unsubscribe", "recipients who asked to be left out", timedelta(minutes=5)),
        _count("complaint", "complaints (abuse, fraud, opt-out), once per recipient and mail, dated by the mail "
               "complained of", timedelta(hours=6)),
        _count("unverified_complaint", "complaints reported by somebody who does not speak for the recipient's mailbox "
               "provider, so perhaps forged: shown, and held against nobody", timedelta(hours=6)),
        _count("report", "feedback reports of any type, dated by receipt"),
        _count("unattributed_report", "reports that match no mail of ours, dated by receipt"),
        _count("unattributed_bounce", "recipients of bounced mail that was not ours (backscatter)"),
        _count("autoreply", "absence notes, challenges and other answers of machines"),
        _count("dmarc_pass", "messages that passed DMARC, dated by the end of the report's period", timedelta(days=2)),
        _count("dmarc_fail", "messages that failed DMARC, dated by the end of the report's period", timedelta(days=2)),
        Measure("tls_success", MeasureKind.COUNT, "sessions", "sessions to our domains encrypted as their policy asks, "
                "dated by the end of the report's period", timedelta(days=2)),
        Measure("tls_failure", MeasureKind.COUNT, "sessions", "sessions to our domains that were not",
                timedelta(days=2)),
        Measure("listing", MeasureKind.STATE, "1 listed, 0 not listed", "answer of a DNSBL about an IP or domain",
                max_age=timedelta(hours=26), detail=ListAnswer),
        Measure("list_score", MeasureKind.GAUGE, "the list's own scale", "answer of a score list (Sender Score, Mailspike, DNSWL)",
                max_age=timedelta(hours=26), detail=ListAnswer),
        Measure("canary", MeasureKind.STATE, "1 healthy, 0 failing", "whether a list answers its known test points rightly",
                max_age=timedelta(hours=26), detail=CanaryFailures),  # asked with the list, so no oftener than the list
        Measure("refused_readings", MeasureKind.COUNT, "readings", "readings of further new series, which were not counted "
                "(`engine.new_series`); written by the store itself"),
        Measure("mta_in_force", MeasureKind.STATE, "1 in force, 0 not", "whether a node of KumoMTA holds what it was given, as read back",
                max_age=timedelta(minutes=30)),
        Measure("mta_clock", MeasureKind.GAUGE, "seconds", "how far the clock of a KumoMTA node is off, or its records late",
                max_age=timedelta(minutes=30)),
        Measure("mailbox_read", MeasureKind.STATE, "1 read, 0 not read", "whether a mailbox could be read; why not, in its detail",
                max_age=timedelta(hours=1), detail=ReadFailure),
    )
}
