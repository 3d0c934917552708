"""Reports that are documents rather than mails: DMARC aggregate XML, TLS-RPT and X-ARF JSON, SES notices, packed or not.

They come attached to a mail, as its whole body, or as bare files, one or several at once: in several parts, in one
zip, in chained gzip members, one after the other in one file. Each becomes a report of its own; one that cannot be
read beside readable ones stands among them as `unreadable`, so that nothing is lost without a word.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from collectors.mail import archive, dmarc, named_outside, payload, ses, tlsrpt, xarf
from collectors.mail.archive import Budget, UnreadableError
from collectors.mail.mime import Part
from collectors.mail.report import MOST_REPORTS, TOO_MANY, Aggregate, Kind, Report

_TYPES = re.compile(
    r"application/(?:.*zip.*|.*gz.*|x-compressed?|octet-stream|.*xml|.*json|tlsrpt.*)$|text/(?:xml|json)$"
)
_NAMES = re.compile(r"\.(?:xml|gz|gzip|zip|json)$", re.IGNORECASE)
_WORDS = ("text/plain", "text/html", "image/", "message/", "multipart/")
_ANNOUNCED = re.compile(r"report[ _-]?(?:domain|id)\s*:|^dmarc aggregate|submitter\s*:", re.IGNORECASE)
_BARE = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<|[{\[])|\xff\xfe<|\xfe\xff\x00<|\x1f\x8b|PK\x03\x04")
_END_OF_XML = re.compile(rb"</(?:[\w.-]{1,40}:)?feedback\s*>", re.IGNORECASE)
_SPACE = b"\xef\xbb\xbf \t\r\n"

_MOST_JSON = 4_000_000  # a parsed object takes many times the memory of its text
_JSON = json.JSONDecoder(strict=False)


def digest(data: bytes) -> str:
    """The same for the same content, whatever its line ends."""
    return hashlib.sha256(data.replace(b"\r\n", b"\n").strip()).hexdigest()


def looks_bare(raw: bytes) -> bool:
    """Whether a file is a document by itself and no mail (a mail starts with a field)."""
    return _BARE.match(raw[:200]) is not None


def read(data: bytes) -> Report:
    """The report in a document, with those beside it. Raises UnreadableError where none can be read."""
    first = together(_reports(data, Budget()))
    if first is None or first.kind is Kind.UNREADABLE:
        raise UnreadableError((first and first.error) or "no report inside")
    return first


def in_mail(mail: Part) -> Report | None:
    """The reports attached to a mail. A mail that announces one which cannot be read is unreadable."""
    reports: list[Report] = []
    announced = bool(_ANNOUNCED.search(mail.get("subject"))) or mail.params.get("report-type") == "tlsrpt"
    budget = Budget()
    for part in payload.parts(mail):
        if not _may_hold(part):
            continue
        named = part.filename.count("!") > 1
        announced = announced or named
        meant_as_report = named or payload.begins_as_document(part)  # else perhaps a picture or a calendar
        reports += [report for report in _reports(payload.read(part), budget)
                    if meant_as_report or announced or report.kind is not Kind.UNREADABLE]
        if len(reports) > MOST_REPORTS:
            reports.append(TOO_MANY)
            break
    first = together(reports)
    if first is None or (first.kind is Kind.UNREADABLE and not announced):
        return None
    return named_outside.completed(first, mail)


def together(reports: Iterable[Report]) -> Report | None:
    """The first report that can be read (else the first), with the others beside it; the same one twice is one."""
    distinct = list({report.identity or str(number): report for number, report in enumerate(reports)}.values())
    distinct.sort(key=lambda report: report.kind is Kind.UNREADABLE)
    return dataclasses.replace(distinct[0], others=tuple(distinct[1:])) if distinct else None


def _may_hold(part: Part) -> bool:
    if part.type.startswith(_WORDS) and not _NAMES.search(part.filename):
        return payload.begins_as_document(part) or b'"policies"' in part.raw(10_000)
    return bool(_TYPES.match(part.type) or _NAMES.search(part.filename))


def _reports(data: bytes, budget: Budget) -> Iterator[Report]:
    """Every report in a document, an archive of documents, or several one after the other. Never raises."""
    count = 0
    try:
        for inside in archive.unpack(data, budget):
            for piece in _pieces(inside):
                if (count := count + 1) > MOST_REPORTS:
                    yield TOO_MANY
                    return
                yield _report(piece, budget)
    except UnreadableError as error:
        yield Report(Kind.UNREADABLE, digest(data), str(error))


def _report(piece: bytes, budget: Budget) -> Report:
    identity = digest(piece)
    try:
        if piece.startswith((b"{", b"[")):
            report = _json(piece)
        else:
            aggregate = dmarc.read(piece, budget)
            report = Report(Kind.DMARC_AGGREGATE, error=_uncounted(aggregate), report=aggregate)
    except UnreadableError as error:
        report = Report(Kind.UNREADABLE, error=str(error))
    return dataclasses.replace(report, identity=identity)


def _pieces(inside: bytes) -> Iterator[bytes]:
    """The documents in a file that may hold several, one after the other or as a list."""
    inside = inside.strip(_SPACE)
    if inside.startswith((b"{", b"[")):
        yield from _json_pieces(inside)
        return
    at = 0
    for end in _END_OF_XML.finditer(inside):
        yield inside[at : end.end()]
        at = end.end()
    rest = inside[at:].strip(_SPACE)
    if not at or rest.startswith((b"<?xml", b"<feedback")):
        yield rest if at else inside


def _json_pieces(inside: bytes) -> Iterator[bytes]:
    if len(inside) > _MOST_JSON:
        raise UnreadableError(f"JSON of more than {_MOST_JSON} bytes")
    try:
        values = [orjson.loads(inside)]
    except orjson.JSONDecodeError:
        values = _one_after_the_other(inside.decode("utf-8", "replace"))
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    if len(values) <= 1:
        yield orjson.dumps(values[0]) if values and inside.startswith(b"[") else inside
        return
    for value in values:
        yield orjson.dumps(value)


def _one_after_the_other(text: str) -> list[Any]:
    values: list[Any] = []
    at = 0
    try:
        while text[at:at + 1]:
            value, at = _JSON.raw_decode(text, at)
            values.append(value)
            at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,"))
            if len(values) > MOST_REPORTS:
                break
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"broken JSON: {error}") from None
    return values


def _json(piece: bytes) -> Report:
    try:
        stated = orjson.loads(piece.decode("utf-8", "replace"))
    except orjson.JSONDecodeError as error:
        raise UnreadableError(f"broken JSON: {error}") from None
    if isinstance(stated, dict):
        if tlsrpt.is_report(stated):
            aggregate = tlsrpt.read(stated)
            return Report(Kind.TLS_REPORT, error=_uncounted(aggregate), report=aggregate)
        if xarf.is_report(stated):
            return xarf.read(stated)
        if notice := ses.read(stated):
            return notice
    raise UnreadableError("JSON, but no report we know")


def _uncounted(aggregate: Aggregate) -> str | None:
    """Why a report is not counted though it can be read: half its counts would be a lie."""
    if not aggregate.uncounted:
        return None
    examples = ", ".join(map(repr, aggregate.uncounted[:3]))
    return f"{len(aggregate.uncounted)} counts cannot be read: {examples}"
