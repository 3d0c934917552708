"""SMTP TLS reports (RFC 8460): sessions to our domain by policy, and why some failed.

Counts are those of the summaries; the failure details do not always add up to them. `mx-host` may be a
string or a list, contact and details may be missing, policies empty: all seen.
"""

from __future__ import annotations

from collections import Counter

from collectors.mail import fields
from collectors.mail.json_object import Object, count, inside, listed, text
from collectors.mail.report import Aggregate, TlsPolicy


def is_one(said: Object) -> bool:
    return "policies" in said and ("organization-name" in said or "report-id" in said or "date-range" in said)


def read(said: Object) -> Aggregate:
    """The report in a JSON object."""
    policies = tuple(_policy(one) for one in listed(said, "policies"))
    passed, failed = sum(one.success for one in policies), sum(one.failure for one in policies)
    period = inside(said, "date-range")
    return Aggregate(
        org=text(said, "organization-name") or None,
        id=text(said, "report-id") or None,
        domain=next((one.domain for one in policies if one.domain), None),
        begin=fields.moment(text(period, "start-datetime")),
        end=fields.moment(text(period, "end-datetime")),
        records=len(policies),
        messages=passed + failed,
        passed=passed,
        failed=failed,
        policies=policies,
    )


def _policy(said: Object) -> TlsPolicy:
    about, summary = inside(said, "policy"), inside(said, "summary")
    failures: Counter[str] = Counter()
    for detail in listed(said, "failure-details"):
        failures[text(detail, "result-type")] += count(detail, "failed-session-count")
    return TlsPolicy(
        domain=text(about, "policy-domain").lower(),
        type=text(about, "policy-type"),
        success=count(summary, "total-successful-session-count"),
        failure=count(summary, "total-failure-session-count"),
        failures=tuple(sorted(failures.items())),
    )

