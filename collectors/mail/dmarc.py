"""DMARC aggregate reports: RFC 7489 appendix C and its successor RFC 9990, as receivers really write them.

Names are matched without namespaces, values without regard to case, fields may be missing. A message passes
when the receiver evaluated DKIM or SPF as aligned and passing. Where the XML is broken it is read by its
known names and marked `repaired`; a document that was cut off is refused, since half its counts would be a
lie.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from collectors.mail import fields, ip, safe_xml
from collectors.mail.archive import UnreadableError
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
_MOST_ROWS = 100_000


def read(data: bytes) -> Aggregate:
    """The report in an XML document. Raises UnreadableError."""
    text = safe_xml.decode(data)
    try:
        return _aggregate(safe_xml.elements(text, "feedback", _READ))
    except safe_xml.BrokenError:
        if "<record" not in text:
            raise
        if "</feedback" not in text:
            raise UnreadableError("cut off before its end") from None
    tree = safe_xml.repaired(text, _KNOWN)
    return _aggregate((one for one in tree.iter() if one.tag in _READ), repaired=True)


def _aggregate(elements: Iterable[Element], *, repaired: bool = False) -> Aggregate:
    found: dict[str, dict[str, str]] = {}
    rows: list[SourceRow] = []
    for element in elements:
        name = safe_xml.local(element.tag)
        if name == "record":
            rows.append(_row(element))
            if len(rows) > _MOST_ROWS:
                raise UnreadableError("more records than the bound")
        elif name not in found:
            found[name] = _texts(element)
    if "report_metadata" not in found and "policy_published" not in found:
        raise UnreadableError("no DMARC report")
    about, policy = found.get("report_metadata", {}), found.get("policy_published", {})
    messages = sum(row.count for row in rows)
    passed = sum(row.count for row in rows if row.aligned)
    return Aggregate(
        org=about.get("org_name") or None,
        id=about.get("report_id") or None,
        domain=policy.get("domain", "").lower().rstrip(".") or None,
        begin=_moment(about.get("begin", "")),
        end=_moment(about.get("end", "")),
        records=len(rows),
        messages=messages,
        passed=passed,
        failed=messages - passed,
        rows=tuple(rows),
        published={name: policy[name] for name in _POLICY if policy.get(name)},
        repaired=repaired,
    )


def _texts(element: Element) -> dict[str, str]:
    """Local name → text of everything below; the first of a name counts."""
    found: dict[str, str] = {}
    for one in element.iter():
        found.setdefault(safe_xml.local(one.tag), (one.text or "").strip())
    return found


def _row(record: Element) -> SourceRow:
    below = {safe_xml.local(one.tag): one for one in record}
    row, identifiers = below.get("row"), below.get("identifiers")
    said = _texts(row) if row is not None else {}
    names = _texts(identifiers) if identifiers is not None else {}
    count = said.get("count", "")
    return SourceRow(
        source_ip=ip.read(said.get("source_ip", "")) or said.get("source_ip", ""),
        count=int(count) if count.isdecimal() and len(count) < 13 else 0,
        disposition=said.get("disposition", "").lower(),
        dkim=said.get("dkim", "").lower(),
        spf=said.get("spf", "").lower(),
        header_from=names.get("header_from", "").lower(),
        envelope_from=names.get("envelope_from", "").lower(),
        reasons=_reasons(row) if "reason" in said else (),
    )


def _reasons(row: Element | None) -> tuple[str, ...]:
    """Why the receiver did not do what the policy asks (forwarded, mailing_list, local_policy …)."""
    if row is None:
        return ()
    kinds = (_texts(one).get("type", "") for one in row.iter() if safe_xml.local(one.tag) == "reason")
    return tuple(kind.lower() for kind in kinds if kind)[:10]


def _moment(said: str) -> datetime | None:
    if said.isdecimal() and len(said) < 12:
        return datetime.fromtimestamp(int(said), UTC)
    return fields.moment(said)
