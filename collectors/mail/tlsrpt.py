"""SMTP TLS reports (RFC 8460): sessions to our domain by policy, and why some failed.

Counts are those of the summaries; the failure details do not always add up to them. `mx-host` may be a
string or a list, contact and details may be missing, policies empty or one object instead of a list: all seen.
"""

from __future__ import annotations

from collections import Counter

from collectors.mail.json_object import Object, count, inside, listed, moment, text
from collectors.mail.report import Aggregate, TlsPolicy

_SUCCESS, _FAILURE = "total-successful-session-count", "total-failure-session-count"
_MOST_POLICIES = 10_000


def is_report(stated: Object) -> bool:
    return "policies" in stated and any(name in stated for name in ("organization-name", "report-id", "date-range"))


def read(stated: Object) -> Aggregate:
    """The report in a JSON object."""
    uncounted: list[str] = []
    listed_policies = listed(stated, "policies", _MOST_POLICIES + 1)
    policies = tuple(_policy(policy, uncounted) for policy in listed_policies)
    passed, failed = sum(policy.success for policy in policies), sum(policy.failure for policy in policies)
    if len(policies) > _MOST_POLICIES:
        uncounted.append(f"more than {_MOST_POLICIES} policies")
    period = inside(stated, "date-range")
    return Aggregate(
        org=text(stated, "organization-name") or None,
        id=text(stated, "report-id") or None,
        domain=next((policy.domain for policy in policies if policy.domain), None),
        begin=moment(period, "start-datetime"),
        end=moment(period, "end-datetime"),
        records=len(policies),
        messages=passed + failed,
        passed=passed,
        failed=failed,
        policies=policies,
        uncounted=tuple(uncounted),
    )


def _policy(stated: Object, uncounted: list[str]) -> TlsPolicy:
    about, summary = inside(stated, "policy"), inside(stated, "summary")
    if summary.get(_SUCCESS) is None and summary.get(_FAILURE) is None:
        uncounted.append("a policy without counts")
    failures: Counter[str] = Counter()
    for detail in listed(stated, "failure-details"):
        failures[text(detail, "result-type")] += count(detail, "failed-session-count", uncounted)
    return TlsPolicy(
        domain=text(about, "policy-domain").lower().rstrip("."),
        type=text(about, "policy-type"),
        success=count(summary, _SUCCESS, uncounted),
        failure=count(summary, _FAILURE, uncounted),
        failures=tuple(sorted(failures.items())),
    )
