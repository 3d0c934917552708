"""SMTP TLS reports (RFC 8460): sessions to our domain by policy, and why some failed.

Counts are those of the summaries; the failure details do not always add up to them. `mx-host` may be a string or
a list, contact and details may be missing, policies empty: all seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from collectors.mail import fields
from collectors.mail.report import Aggregate, TlsPolicy

_MOST_POLICIES, _MOST_DETAILS = 1_000, 1_000


def is_one(said: Mapping[str, Any]) -> bool:
    return "policies" in said and ("organization-name" in said or "report-id" in said or "date-range" in said)


def read(said: Mapping[str, Any]) -> Aggregate:
    """The report in a JSON object."""
    listed = said.get("policies")
    policies = tuple(_policy(one) for one in (listed if isinstance(listed, list) else [])[:_MOST_POLICIES])
    passed, failed = sum(one.success for one in policies), sum(one.failure for one in policies)
    period = _object(said, "date-range")
    return Aggregate(
        org=_text(said, "organization-name") or None,
        id=_text(said, "report-id") or None,
        domain=next((one.domain for one in policies if one.domain), None),
        begin=fields.moment(_text(period, "start-datetime")),
        end=fields.moment(_text(period, "end-datetime")),
        records=len(policies),
        messages=passed + failed,
        passed=passed,
        failed=failed,
        policies=policies,
    )


def _policy(said: Any) -> TlsPolicy:
    one = said if isinstance(said, dict) else {}
    about, summary = _object(one, "policy"), _object(one, "summary")
    details = one.get("failure-details")
    failures: Counter[str] = Counter()
    for detail in (details if isinstance(details, list) else [])[:_MOST_DETAILS]:
        if isinstance(detail, dict):
            failures[_text(detail, "result-type")] += _count(detail, "failed-session-count")
    return TlsPolicy(
        domain=_text(about, "policy-domain").lower(),
        type=_text(about, "policy-type"),
        success=_count(summary, "total-successful-session-count"),
        failure=_count(summary, "total-failure-session-count"),
        failures=tuple(sorted(failures.items())),
    )


def _object(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def _text(said: Mapping[str, Any], name: str) -> str:
    found = said.get(name)
    return found.strip() if isinstance(found, str) else ""


def _count(said: Mapping[str, Any], name: str) -> int:
    found = said.get(name)
    if isinstance(found, str) and found.isdecimal() and len(found) < 13:
        return int(found)
    return found if isinstance(found, int) and 0 <= found < 10**12 else 0
