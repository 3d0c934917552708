"""What Google Postmaster Tools v2 is asked about a domain, and what its rows say. Pure.

Source: the discovery document of gmailpostmastertools v2. A metric whose required filter is left out fails the whole query, so each
definition stands here with its filter. A row names its metric by the name we gave it; what else it carries is opaque.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, NamedTuple

from collectors.contract import Reason
from collectors.observation import Parked

PAGE_SIZE: Final = 200
_REASONS: Final = {
    "reject": ("bad_attachment", "bad_or_missing_ptr_record", "ip_in_rbls", "low_domain_reputation", "low_ip_reputation",
               "spammy_content", "stamp_policy_error", "other"),
    "temp_fail": ("anomalous_traffic_pattern", "other"),
}
FEEDBACK_IDS: Final = "feedback_ids"
SPAM_RATE: Final = "google_spam_rate"


class Metric(NamedTuple):
    """`measure` None: the feedback ids, which are no figure."""

    standard: str
    filter: str
    measure: str | None
    aspect: str | None


def _errors() -> Iterator[tuple[str, str | None]]:
    """(filter, aspect) of all delivery errors, of each type, and of each reason."""
    yield "", None
    for kind, reasons in _REASONS.items():
        yield f'error_type = "{kind}"', kind
        for reason in reasons:
            yield f'error_type = "{kind}" AND error_reason = "{reason}"', f"{kind}/{reason}"


def _metrics() -> Iterator[Metric]:
    yield Metric("SPAM_RATE", "", SPAM_RATE, None)
    for method in ("spf", "dkim", "dmarc"):
        yield Metric("AUTH_SUCCESS_RATE", f'auth_type = "{method}"', "google_auth_rate", method)
    for direction in ("inbound", "outbound"):
        where = f'traffic_direction = "{direction}"'
        yield Metric("TLS_ENCRYPTION_RATE", where, "google_tls_rate", direction)
        yield Metric("TLS_ENCRYPTION_MESSAGE_COUNT", where, "google_tls_count", direction)
    for where, aspect in _errors():
        yield Metric("DELIVERY_ERROR_RATE", where, "google_error_rate", aspect)
        yield Metric("DELIVERY_ERROR_COUNT", where, "google_error_count", aspect)
    yield Metric("FEEDBACK_LOOP_ID", "", None, None)


METRICS: Final[Mapping[str, Metric]] = {
    f"m{number}" if metric.measure else FEEDBACK_IDS: metric for number, metric in enumerate(_metrics())
}


def feedback_metrics(ids: Sequence[str]) -> dict[str, Metric]:
    """One definition for each feedback id, which is all that can be asked."""
    return {
        f"f{number}": Metric("FEEDBACK_LOOP_SPAM_RATE", f"feedback_loop_id = {json.dumps(id_, ensure_ascii=False)}", "google_fbl_rate", id_)
        for number, id_ in enumerate(ids)
    }


def query(domain: str, metrics: Mapping[str, Metric], first: date, last: date) -> dict[str, Any]:
    """The body of one query; its `parent` stands in it as well as in the path."""
    return {
        "parent": f"domains/{domain}",
        "metricDefinitions": [
            {"name": name, "baseMetric": {"standardMetric": metric.standard}} | ({"filter": metric.filter} if metric.filter else {})
            for name, metric in metrics.items()
        ],
        "timeQuery": {"dateRanges": {"dateRanges": [{"start": _day(first), "end": _day(last)}]}},
        "aggregationGranularity": "DAILY",
        "pageSize": PAGE_SIZE,
    }


def _day(day: date) -> dict[str, int]:
    return {"year": day.year, "month": day.month, "day": day.day}


class Figure(NamedTuple):
    measure: str
    aspect: str | None
    day: date
    value: float


@dataclass(slots=True)
class Said:
    """What the rows of a domain said. `feedback_ids`: by day, in Google's order."""

    figures: list[Figure] = field(default_factory=list)
    feedback_ids: dict[date, tuple[str, ...]] = field(default_factory=dict)
    parked: list[Parked] = field(default_factory=list)

    def days_of(self, measure: str) -> set[date]:
        return {figure.day for figure in self.figures if figure.measure == measure}


def read_rows(rows: object, metrics: Mapping[str, Metric], domain: str, into: Said) -> None:
    """Rows that cannot be read are parked; a metric nobody asked for is one."""
    if rows is None:  # no row at all
        return
    if not isinstance(rows, list):
        into.parked.append(_parked(domain, rows, "domainStats is no list"))
        return
    for row in rows:
        try:
            _read_row(row, metrics, into)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            into.parked.append(_parked(domain, row, f"a row of domainStats cannot be read ({type(error).__name__})"))


def _read_row(row: Any, metrics: Mapping[str, Metric], into: Said) -> None:
    metric = metrics[row["metric"]]
    stated = row["date"]
    day = date(int(stated["year"]), int(stated["month"]), int(stated["day"]))
    if metric.measure is None:
        ids = row["value"].get("stringList", {}).get("values", [])
        into.feedback_ids[day] = tuple(id_ for id_ in ids if isinstance(id_, str) and id_)
        return
    into.figures.append(Figure(metric.measure, metric.aspect, day, _number(row["value"])))


def _number(value: Mapping[str, Any]) -> float:
    """A oneof; whole numbers come as texts. Raises ValueError for what is no number of something."""
    for name in ("doubleValue", "floatValue", "intValue"):
        stated = value.get(name)
        if stated is not None:
            number = float(stated)
            if isinstance(stated, bool) or not math.isfinite(number) or number < 0:
                raise ValueError(name)
            return number
    raise ValueError("no number")


def _parked(domain: str, row: object, text: str) -> Parked:
    return Parked(f"google_postmaster:{domain}", Reason.MALFORMED.value, text, json.dumps(row, ensure_ascii=False)[:100_000].encode("utf-8", "replace"))


class Verdict(NamedTuple):
    """`compliant` None: Google says nothing."""

    domain: str
    aspect: str
    compliant: bool | None
    status: str
    reason: str | None


_VERDICTS: Final = {  # the key, and where its status stands
    "oneClickUnsubscribeVerdict": ("one_click_unsubscribe_verdict", "status"),
    "honorUnsubscribeVerdict": ("honor_unsubscribe_verdict", "status"),
    "deliverabilityStatusVerdict": ("deliverability_verdict", "state"),
}


def read_compliance(answer: Any) -> list[Verdict]:
    """Of the registrable domain and, where there is one, of the subdomain; raises ValueError for another shape."""
    verdicts: list[Verdict] = []
    try:
        for block in (answer.get("complianceData"), answer.get("subdomainComplianceData")):
            if block:
                verdicts += _read_block(block)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("complianceStatus") from error
    return verdicts


def _read_block(block: Mapping[str, Any]) -> Iterator[Verdict]:
    domain = str(block["domainId"]).lower()
    for row in block.get("rowData", ()):
        yield _verdict(domain, str(row["requirement"]).lower()[:128], row, "status")
    for key, (aspect, nested) in _VERDICTS.items():
        if block.get(key):
            yield _verdict(domain, aspect, block[key], nested)


def _verdict(domain: str, aspect: str, row: Mapping[str, Any], nested: str) -> Verdict:
    status = str((row.get(nested) or {}).get("status", "STATE_UNSPECIFIED"))
    compliant = None if status == "STATE_UNSPECIFIED" else status == "COMPLIANT"  # a word we do not know is no yes
    reason = row.get("reason")
    return Verdict(domain, aspect, compliant, status, reason if isinstance(reason, str) else None)
