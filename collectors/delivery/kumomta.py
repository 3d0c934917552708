"""KumoMTA's log records, as its log hooks post them and as they stand in its log files: one JSON object each.

Source: KumoMTA docs/reference/log_record.md, crates/kumo-log-types (JsonLogRecord). Traps that are taken care of: the message
that carries a record to a hook is logged as a Delivery itself (`reception_protocol` LogRecord); what kumod holds back is
logged as a TransientFailure whose text begins with "KumoMTA internal: "; a recipient is a text or a list; seconds or
`event_time`; a line that does not begin with `{` is a template or segment header of the operator's, no corruption.

May be wrong: a Feedback record is a mail that anybody can have sent to the listener, so it is not `verified`; so is an OOB
record. A message moved to another node (XferOut, XferIn) counts there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from collectors.delivery.fields import LONGEST_NAME, LONGEST_TEXT, ip_of, mail_address
from collectors.delivery.outcomes import Event, Ignored, Outcome, Read, Unreadable
from collectors.instants import checked
from collectors.mail.report import COMPLAINTS

FORMAT = "kumomta"
TEMPLATE = "template"
INTERNAL = "KumoMTA internal: "
_HOOK_QUEUE = ".tsa.kumomta"
_OUTCOMES = {
    "Reception": Outcome.ACCEPTED,
    "Delivery": Outcome.DELIVERED,
    "TransientFailure": Outcome.DEFERRED,
    "Bounce": Outcome.BOUNCED,
    "Expiration": Outcome.EXPIRED,
    "AdminBounce": Outcome.NOT_ATTEMPTED,
    "Rejection": Outcome.REFUSED_BY_US,
    "OOB": Outcome.ASYNC_BOUNCED,
    "Feedback": Outcome.COMPLAINED,
}
_ATTEMPTS = frozenset({Outcome.DELIVERED, Outcome.DEFERRED, Outcome.BOUNCED})
_SMTP = frozenset({"ESMTP", "SMTP"})
_FROM_OUTSIDE = frozenset({Outcome.ASYNC_BOUNCED, Outcome.COMPLAINED})
_MOST_RECIPIENTS = 10_000
_COMPLAINT_AGE = timedelta(days=7)  # of the mail complained of; older, or in the future: the report's own time


class QueueName(NamedTuple):
    """`campaign:tenant@domain!routing_domain`; a campaign is only read where an @ is."""

    campaign: str | None
    tenant: str | None
    domain: str | None
    routing_domain: str | None = None


def queue_name(text: str) -> QueueName:
    """The parts of a scheduled queue's name."""
    before, at, domain = text.rpartition("@")
    domain, _, routing = domain.partition("!")
    if not at:
        return QueueName(None, None, domain or None, routing or None)
    campaign, colon, tenant = before.partition(":")
    if not colon:
        campaign, tenant = "", before
    return QueueName(campaign or None, tenant or None, domain or None, routing or None)


def read(line: bytes) -> Read:
    """One record. Never raises."""
    if line.lstrip()[:1] != b"{":
        return Ignored(TEMPLATE)
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Unreadable(f"not JSON: {error}")
    try:
        return read_record(record)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
        return Unreadable(_what_is_wrong(error))


def read_record(record: Mapping[str, Any]) -> Read:
    """The same of a record that was decoded. Raises KeyError, TypeError, ValueError or AttributeError for what is none."""
    kind = record["type"]
    if not isinstance(kind, str):
        raise TypeError("type: a text is wanted")
    outcome = _OUTCOMES.get(kind)
    if outcome is None:
        return Ignored(kind[:LONGEST_NAME])
    queue = _text(record, "queue") or ""
    if record.get("reception_protocol") == "LogRecord" or queue.endswith(_HOOK_QUEUE):
        return Ignored("LogRecord")
    protocol = record.get("delivery_protocol")
    if outcome in _ATTEMPTS and isinstance(protocol, str) and protocol not in _SMTP:
        return Ignored(protocol[:LONGEST_NAME])
    if outcome is Outcome.COMPLAINED:
        return _feedback(record)
    return _of_recipients(record, outcome, queue)


def _of_recipients(record: Mapping[str, Any], outcome: Outcome, queue: str) -> list[Event]:
    response = record["response"]
    text = response["content"]
    if not isinstance(text, str):
        raise TypeError("response.content: a text is wanted")
    if outcome in _ATTEMPTS and text.startswith(INTERNAL):
        outcome = Outcome.HELD_BY_US
    enhanced, code = response.get("enhanced_code"), response["code"]
    peer = record.get("peer_address") or {}
    common: dict[str, Any] = {
        "outcome": outcome,
        "at": _at(record),
        "sender": mail_address(record.get("sender")),
        "names": _names(record, queue_name(queue)),
        "ip": _sent_from(record),
        "source": _text(record, "egress_source"),
        "mx": (peer.get("name") or None) if outcome in _ATTEMPTS else None,
        "provider_name": _text(record, "provider_name"),
        "message_id": _message_id(record),
        "status": f"{enhanced['class']}.{enhanced['subject']}.{enhanced['detail']}" if enhanced else None,
        "reply_code": f"{int(code):03}",
        "text": text[:LONGEST_TEXT] or None,
        "verified": outcome not in _FROM_OUTSIDE,
        "node": _text(record, "nodeid"),
        # of other types it is empty, localhost, or the scheduled queue's
        "queue": _text(record, "site") if outcome in _ATTEMPTS else None,
    }
    return [Event(recipient=recipient, **common) for recipient in _recipients(record["recipient"])]


def _feedback(record: Mapping[str, Any]) -> Read:
    """A complaint; the record's own recipient is the address that reports go to."""
    report = record["feedback_report"]
    kind = str(report["feedback_type"]).lower()
    if not COMPLAINTS.get(kind, False):
        return Ignored(f"Feedback: {kind[:LONGEST_NAME]}")
    added = report.get("supplemental_trace")
    added = added if isinstance(added, dict) else {}
    named = added.get("recipient") or next(iter(report.get("original_rcpt_to") or ()), None)
    names = {key: value for key in ("tenant", "campaign") if (value := _text(added, key))}
    received_at = _at(record)
    return [Event(
        Outcome.COMPLAINED, _complained_at(report, received_at), mail_address(named),
        sender=mail_address(report.get("original_mail_from")), names=names, ip=ip_of(report.get("source_ip")),
        category=kind, verified=False, node=_text(record, "nodeid"),
    )]  # fmt: skip


def _complained_at(report: Mapping[str, Any], received_at: datetime) -> datetime:
    try:
        arrived_at = checked(datetime.fromisoformat(str(report.get("arrival_date"))))
    except ValueError:
        return received_at
    return arrived_at if received_at - _COMPLAINT_AGE <= arrived_at <= received_at else received_at


def _at(record: Mapping[str, Any]) -> datetime:
    stated = record.get("event_time")
    at = datetime.fromisoformat(stated) if isinstance(stated, str) else datetime.fromtimestamp(int(record["timestamp"]), UTC)
    return checked(at)


def _recipients(stated: Any) -> Iterable[str | None]:
    if isinstance(stated, str):
        return (mail_address(stated),)
    if not isinstance(stated, list) or len(stated) > _MOST_RECIPIENTS:
        raise TypeError(f"recipient: a text or a list of at most {_MOST_RECIPIENTS:,} is wanted")
    return [mail_address(each) for each in stated] or (None,)


def _names(record: Mapping[str, Any], queue: QueueName) -> dict[str, str]:
    """What may name the customer, for the operator's mapping."""
    names = {
        "tenant": queue.tenant, "campaign": queue.campaign, "pool": _text(record, "egress_pool"),
        **{f"header:{key.lower()}": _first(value) for key, value in (record.get("headers") or {}).items()},
        **{f"meta:{key}": _first(value) for key, value in (record.get("meta") or {}).items()},
    }  # fmt: skip
    return {key: value for key, value in names.items() if value}


def _first(value: Any) -> str | None:
    """A header or meta value: a text, or a list of them."""
    while isinstance(value, list) and value:
        value = value[0]
    return value.strip()[:LONGEST_NAME] or None if isinstance(value, str) else None


def _message_id(record: Mapping[str, Any]) -> str | None:
    headers = record.get("headers") or {}
    return next((_first(value) for key, value in headers.items() if key.lower() == "message-id"), None)


def _sent_from(record: Mapping[str, Any]) -> str | None:
    return ip_of((record.get("source_address") or {}).get("address"))


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name}: a text is wanted")
    return value[:LONGEST_TEXT]


def _what_is_wrong(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]}: missing"
    return f"not a log record: {error}"
