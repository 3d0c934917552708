"""Every measure: what is counted or read, in which unit, how late it comes and how long it holds.

`kind` (MeasureKind): *count* — a delta at a time, adds up; *state* — holds until it changes; *gauge* — a sampled value;
*daily* — a provider's own figure of one of its days, `at` where the day begins: reported again it is a revision, and the newest counts.
`lag` is how late the source reports; `max_age` is when a state or gauge is no longer believed; `detail` is what explains it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta

from collectors.details import CanaryFailures, Detail, ListAnswer, ProviderVerdict, ReadFailure


class MeasureKind(enum.StrEnum):
    COUNT = "count"
    STATE = "state"
    GAUGE = "gauge"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Measure:
    name: str
    kind: MeasureKind
    unit: str
    meaning: str
    lag: timedelta = timedelta(0)
    max_age: timedelta = timedelta(days=2)
    detail: type[Detail] = Detail

    @property
    def adds_up(self) -> bool:
        """Whether its values are summed over a window: of counts all, of a day's figures those that count something."""
        return self.kind is MeasureKind.COUNT or (self.kind is MeasureKind.DAILY and self.unit in _COUNTED)


_COUNTED = frozenset({"messages", "commands", "hits", "complaints"})


def _count(name: str, meaning: str, lag: timedelta = timedelta(0)) -> Measure:
    return Measure(name, MeasureKind.COUNT, "messages", meaning, lag)


def _daily(name: str, unit: str, meaning: str, lag: timedelta = timedelta(days=3)) -> Measure:
    """Believed until the day after the one it should have come with."""
    return Measure(name, MeasureKind.DAILY, unit, meaning, lag, lag + timedelta(days=2))


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
        _daily("google_spam_rate", "share", "Google's own: of the authenticated mail in inboxes, what its users called spam"),
        _daily("google_auth_rate", "share", "Google's own: of the mail from the domain, what passed the aspect (spf, dkim, dmarc)"),
        _daily("google_tls_rate", "share", "Google's own: of the mail in the aspect's direction (inbound, outbound), what came encrypted"),
        _daily("google_tls_count", "messages", "Google's own: messages in the aspect's direction that came encrypted"),
        _daily("google_error_rate", "share", "Google's own: of the authenticated mail, what it refused or deferred (aspect: TYPE/REASON)"),
        _daily("google_error_count", "messages", "Google's own: messages it refused or deferred (aspect: TYPE/REASON)"),
        _daily("google_fbl_rate", "share", "Google's own: of the mail with the aspect's feedback id, what its users called spam"),
        Measure("google_compliance", MeasureKind.STATE, "1 compliant, 0 not", "whether Google finds the aspect's requirement met",
                max_age=timedelta(days=2), detail=ProviderVerdict),
        Measure("source_access", MeasureKind.STATE, "1 it answers, 0 not", "whether a provider's API answers for this domain, address "
                "or collector; why not, in its reason", max_age=timedelta(days=2), detail=ReadFailure),
        Measure("mailbox_read", MeasureKind.STATE, "1 read, 0 not read", "whether a mailbox could be read; why not, in its detail",
                max_age=timedelta(hours=1), detail=ReadFailure),
    )
}
