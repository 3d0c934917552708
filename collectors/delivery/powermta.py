"""PowerMTA's accounting files: CSV whose first line names the columns.

Source: PowerMTA 5.0 User's Guide, 3.3.11 and 11.2. A header stands at the top of each file and each start of a pipe; it is the union of
the columns of all record types in the file, so columns that a type has not are empty. RFC 4180 with CRLF; fields may contain line
breaks, so records are put together by `whole_records` before they are read. `privacy-policy` hides local parts: as `...`, or as
a hash (SipHash-64, HMAC-SHA256) in hexadecimal digits; such a recipient is nobody's address, and only the domain is kept.

May be wrong: `tq` is an attempt of a queue, without a recipient; a local part of 16 or 64 hexadecimal digits is taken for a hash;
`rb` and `f` are drawn from mails that anybody can send, so they are not `verified`; `queue-filter` leaves records out for good.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from collectors.delivery.fields import (
    LONGEST_NAME,
    LONGEST_TEXT,
    ip_of,
    mail_address,
    reply_code,
    stated_time,
    status_code,
)
from collectors.delivery.outcomes import Event, Ignored, Outcome, Read, Unreadable
from collectors.mail.report import COMPLAINTS
from collectors.replies.judgement_table import Category

FORMAT = "powermta"
_OUTCOMES = {
    "d": Outcome.DELIVERED,
    "b": Outcome.BOUNCED,
    "t": Outcome.DEFERRED,
    "tq": Outcome.DEFERRED,
    "r": Outcome.ACCEPTED,
    "rb": Outcome.ASYNC_BOUNCED,
    "f": Outcome.COMPLAINED,
}
_ATTEMPTS = frozenset({"d", "b", "t", "tq"})
_USUAL_TYPES = frozenset({"d", "b", "t"})
_DELIVERIES = frozenset({"smtp", "discard", "file", "pipe"})
_FROM_OUTSIDE = frozenset({"rb", "f"})
# the columns of `d`, `b` and `t` as PowerMTA writes them when nobody chose others
USUAL_COLUMNS = (
    "type", "timeLogged", "timeQueued", "orig", "rcpt", "orcpt", "dsnAction", "dsnStatus", "dsnDiag", "dsnMta", "bounceCat", "srcType", "srcMta",
    "dlvType", "dlvSourceIp", "dlvDestinationIp", "dlvEsmtpAvailable", "dlvSize", "vmta", "jobId", "envId", "queue", "vmtaPool",
)  # fmt: skip
CATEGORIES: Mapping[str, Category] = {
    "bad-connection": Category.NETWORK,
    "bad-domain": Category.DOMAIN_NOT_FOUND,
    "bad-mailbox": Category.INVALID_RECIPIENT,
    "content-related": Category.CONTENT,
    "inactive-mailbox": Category.DISABLED,
    "invalid-sender": Category.AUTHENTICATION,
    "message-expired": Category.EXPIRED,
    "no-answer-from-host": Category.NETWORK,
    "policy-related": Category.POLICY,
    "protocol-errors": Category.PROTOCOL,
    "quota-issues": Category.MAILBOX_FULL,
    "relaying-issues": Category.RELAYING,
    "routing-errors": Category.NETWORK,
    "spam-related": Category.CONTENT,
    "virus-related": Category.CONTENT,
}
_EXPIRED = "message-expired"
_HIDDEN = re.compile(r"\.\.\.|[0-9a-fA-F]{16}|[0-9a-fA-F]{64}")
_LONGEST_RECORD = 256 * 1024
_BEGINS = re.compile(rb"(?:d|b|t|tq|r|f|rb|rs),(?:\d{4}-\d\d-\d\d|\d\d/\d\d/\d{4}|\d{10}\b)|type,")
csv.field_size_limit(_LONGEST_RECORD)


def whole_records(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Numbered lines → records: a record goes on in the next line while a quote is open; its number is that of its first line.

    Where a quote is never closed, that record alone is lost: the next line that begins as a record does ends it.
    """
    number, parts, size, quotes = 0, list[bytes](), 0, 0
    for at, line in lines:
        if parts and (size > _LONGEST_RECORD or _BEGINS.match(line)):
            yield number, b"".join(parts)
            parts, size, quotes = [], 0, 0
        if not parts:
            number = at
        parts.append(line if line.endswith(b"\n") else line + b"\n")
        size, quotes = size + len(line), quotes + line.count(b'"')
        if quotes % 2 == 0:
            yield number, b"".join(parts)
            parts, size, quotes = [], 0, 0
    if parts:
        yield number, b"".join(parts)


def is_whole(record: bytes) -> bool:
    """Whether no quote is open at its end."""
    return record.count(b'"') % 2 == 0


class PowerMta:
    """Reads records by the header line before them."""

    def __init__(self) -> None:
        self._columns: Sequence[str] = ()

    def begin(self, written_at: datetime, *, goes_on: bool = False) -> None:  # noqa: ARG002 - its times have a year
        """Each file has a header of its own."""
        if not goes_on:
            self._columns = ()

    def __call__(self, record: bytes) -> Read | None:
        try:
            fields = next(csv.reader(record.decode("utf-8", "replace").splitlines(keepends=True), strict=True))
        except (csv.Error, StopIteration) as error:
            return Unreadable(f"not CSV: {error}")
        if fields[0] == "type":
            self._columns = [name.strip() for name in fields]
            return None
        columns = self._columns or (USUAL_COLUMNS if _is_usual(fields) else ())
        if not columns:
            return Unreadable("no header line (type,timeLogged,…) before it")
        if len(fields) > len(columns) or (self._columns and len(fields) < len(columns)):
            return Unreadable(f"{len(fields)} fields where the header names {len(columns)}")
        try:
            return _read({name: value for name, value in zip(columns, fields, strict=False) if value})
        except ValueError as error:
            return Unreadable(str(error))


def _is_usual(fields: Sequence[str]) -> bool:
    """Whether a record without a header is one of the usual columns beyond doubt; the last one (vmtaPool) came later."""
    if len(fields) not in (len(USUAL_COLUMNS), len(USUAL_COLUMNS) - 1):
        return False
    record = dict(zip(USUAL_COLUMNS, fields, strict=False))
    return record["type"] in _USUAL_TYPES and "@" in record["rcpt"] and record["dlvType"] in _DELIVERIES and "/" in record["queue"]


def _read(record: Mapping[str, str]) -> Read:
    kind = record.get("type", "")
    outcome = _OUTCOMES.get(kind)
    if outcome is None:
        return Ignored(kind[:LONGEST_NAME] or "no type")
    delivery = record.get("dlvType", "smtp")
    if kind in _ATTEMPTS and delivery != "smtp":
        return Ignored(delivery[:LONGEST_NAME])
    if kind == "f" and not COMPLAINTS.get(complaint := record.get("feedbackType", "abuse").lower(), False):
        return Ignored(f"f: {complaint[:LONGEST_NAME]}")
    if kind == "b" and record.get("bounceCat") == _EXPIRED:
        outcome = Outcome.EXPIRED
    return [_event(record, kind, outcome)]


def _event(record: Mapping[str, str], kind: str, outcome: Outcome) -> Event:
    recipient, domain = _recipient(record.get("rcpt"))
    domain, rollup = (domain, None) if domain and kind != "tq" else _queue(record.get("queue", ""))
    text = record.get("dsnDiag", "").removeprefix("smtp;").strip()
    host = record.get("dsnMta", "").partition(" ")[0]
    changes: dict[str, Any] = {"text": text[:LONGEST_TEXT] or None, "reply_code": reply_code(text)}
    if outcome in (Outcome.COMPLAINED, Outcome.ACCEPTED):
        changes = {}
    if outcome is Outcome.EXPIRED:
        changes["category"] = Category.EXPIRED
    return Event(
        outcome, stated_time(record.get("timeLogged", "")), recipient,
        sender=mail_address(record.get("orig")), names=_names(record), ip=ip_of(record.get("dlvSourceIp")),
        source=record.get("vmta"), mx=host or None if kind in _ATTEMPTS else None,
        provider_name=rollup or _queue(record.get("queue", ""))[1],
        message_id=_message_id(record), status=status_code(record.get("dsnStatus")) or status_code(text[4:]),
        verified=kind not in _FROM_OUTSIDE, queue=record.get("queue"), domain=domain, hint=CATEGORIES.get(record.get("bounceCat", "")), **changes,
    )  # fmt: skip


def _recipient(stated: str | None) -> tuple[str | None, str | None]:
    """The recipient where it is shown, and its domain."""
    address = mail_address(stated)
    if address is None:
        return None, None
    local, _, domain = address.rpartition("@")
    return None if _HIDDEN.fullmatch(local) else address, domain


def _queue(text: str) -> tuple[str | None, str | None]:
    """Domain and provider of `gmail.com/vmta1` and `yahoo.rollup/vmta1`."""
    name = text.rpartition("/")[0]
    return (None, name.removesuffix(".rollup")) if name.endswith(".rollup") else (name or None, None)


def _names(record: Mapping[str, str]) -> dict[str, str]:
    """What may name the customer, for the operator's mapping."""
    names = {f"meta:{name}": value for name in ("vmta", "jobId", "envId", "userString", "rcvSmtpUser") if (value := record.get(name))}
    names |= {f"header:{name[7:].lower()}": value for name, value in record.items() if name.lower().startswith("header_")}
    pool, job = record.get("vmtaPool") or record.get("vmta"), record.get("jobId")
    return {key: value[:LONGEST_NAME] for key, value in {**names, "pool": pool, "campaign": job}.items() if value}


def _message_id(record: Mapping[str, str]) -> str | None:
    return next((value.strip().strip("<>") for name, value in record.items() if name.lower() == "header_message-id"), None)
