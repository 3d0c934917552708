"""DMARC aggregate reports: RFC 7489 appendix C and its successor RFC 9990, as receivers really write them.

Names are matched without namespaces, values without regard to case, fields may be missing. A message passes
when the receiver evaluated DKIM or SPF as aligned and passing. Where the XML is broken it is read by its
known names and marked `repaired`; a document that was cut off is refused, since half its counts would be a
lie.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element

from collectors.mail import counts, ip, safe_xml, times
from collectors.mail.archive import Budget, UnreadableError
from collectors.mail.report import Aggregate, SourceRow

_READ = frozenset({"report_metadata", "policy_published", "record"})
_KNOWN = _READ | {
    "feedback", "version", "org_name", "email", "extra_contact_info", "report_id", "date_range", "begin",
    "end", "error", "generator", "domain", "version_published", "adkim", "aspf", "p", "sp", "pct", "fo", "np",
    "testing", "discovery_method", "row", "source_ip", "count", "policy_evaluated", "disposition", "dkim",
    "spf", "reason", "type", "comment", "identifiers", "envelope_to", "envelope_from", "header_from",
    "auth_results", "selector", "result", "human_result", "scope",
}
_POLICY = ("p", "sp", "np", "adkim", "aspf", "pct", "fo", "testing", "discovery_method")


def read(data: bytes, budget: Budget) -> Aggregate:
    """The report in an XML document. Raises UnreadableError."""
    text = safe_xml.decode(data)
    try:
        return _aggregate(safe_xml.elements(text, "feedback", _READ), budget)
    except safe_xml.BrokenError:
        if "<record" not in text:
            raise
        if "</feedback" not in text:
            raise UnreadableError("cut off before its end") from None
    tree = safe_xml.repaired(text, _KNOWN)
    return _aggregate((element for element in tree.iter() if element.tag in _READ), budget, repaired=True)


def _aggregate(elements: Iterable[Element], budget: Budget, *, repaired: bool = False) -> Aggregate:
    stated: dict[str, dict[str, str]] = {}
    rows: list[SourceRow] = []
    uncounted: list[str] = []
    for element in elements:
        name = safe_xml.local(element.tag)
        if name == "record":
            budget.read(records=1)
            rows.append(_row(element, uncounted))
        elif name not in stated:
            stated[name] = _texts(element)
    if "report_metadata" not in stated and "policy_published" not in stated:
        raise UnreadableError("no DMARC report")
    about, policy = stated.get("report_metadata", {}), stated.get("policy_published", {})
    messages = sum(row.count for row in rows)
    passed = sum(row.count for row in rows if row.aligned)
    return Aggregate(
        org=about.get("org_name") or None,
        id=about.get("report_id") or None,
        domain=policy.get("domain", "").lower().rstrip(".") or None,
        begin=times.moment(about.get("begin", "")),
        end=times.moment(about.get("end", "")),
        records=len(rows),
        messages=messages,
        passed=passed,
        failed=messages - passed,
        rows=tuple(rows),
        published={name: policy[name] for name in _POLICY if policy.get(name)},
        repaired=repaired,
        uncounted=tuple(uncounted),
    )


def _texts(element: Element) -> dict[str, str]:
    """Local name → text of everything below; the first of a name counts."""
    texts: dict[str, str] = {}
    for below in element.iter():
        texts.setdefault(safe_xml.local(below.tag), (below.text or "").strip())
    return texts


def _row(record: Element, uncounted: list[str]) -> SourceRow:
    below = {safe_xml.local(element.tag): element for element in record}
    row, identifiers = below.get("row"), below.get("identifiers")
    stated = _texts(row) if row is not None else {}
    names = _texts(identifiers) if identifiers is not None else {}
    count = counts.count(stated.get("count", ""))
    if count is None:
        uncounted.append(stated.get("count", "")[:40])
    return SourceRow(
        source_ip=ip.read(stated.get("source_ip", "")) or stated.get("source_ip", ""),
        count=count or 0,
        disposition=stated.get("disposition", "").lower(),
        dkim=stated.get("dkim", "").lower(),
        spf=stated.get("spf", "").lower(),
        header_from=names.get("header_from", "").lower(),
        envelope_from=names.get("envelope_from", "").lower(),
        reasons=_reasons(row) if "reason" in stated else (),
    )


def _reasons(row: Element | None) -> tuple[str, ...]:
    """Why the receiver did not do what the policy asks (forwarded, mailing_list, local_policy …)."""
    if row is None:
        return ()
    kinds = (_texts(reason).get("type", "") for reason in row.iter() if safe_xml.local(reason.tag) == "reason")
    return tuple(kind.lower() for kind in kinds if kind)[:10]
