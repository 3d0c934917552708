"""What is this mail? One answer for any bytes, by content rather than by header.

The order matters: what has a part of its own (feedback report, delivery status) is recognised before what is
guessed from words. A mail that is nothing itself may carry reports that somebody forwarded, each in a mail of its
own; several reports stand side by side. Never raises:
what cannot be understood is `unreadable` and says why, so that it can be parked instead of being lost or
tried for ever.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from collectors.mail import arf, automatic, bounce, document, dsn, mime, original, ses, xarf
from collectors.mail.archive import UnreadableError
from collectors.mail.document import digest
from collectors.mail.fields import MOST_FIELDS
from collectors.mail.mime import LIMITS, Limits, Part
from collectors.mail.report import Kind, Report

READERS: tuple[Callable[[Part], Report | None], ...] = (
    arf.read,
    document.in_mail,
    dsn.read,
    automatic.receipt,
    xarf.in_mail,
    ses.in_mail,
    automatic.unsubscribe,
    bounce.read,
    dsn.nameless,
    automatic.away,
)
_GUESSERS = (bounce.nameless, automatic.replied)  # tried when nothing was recognised, here or in a forwarded mail
_FORWARDED = frozenset({
    Kind.ARF, Kind.DSN, Kind.BOUNCE, Kind.DMARC_AGGREGATE, Kind.DMARC_FAILURE, Kind.TLS_REPORT, Kind.XARF,
})
_DOCUMENTS = frozenset({Kind.DMARC_AGGREGATE, Kind.TLS_REPORT})  # further ones may stand beside them
_MOST_FORWARDS = 2
_CUT = {  # bound of mime.Limits that a mail met → what of it was not looked at
    "parts": "only its first parts were read",
    "depth": "what is nested deeper in it was not read", "fields": f"of a header only the first {MOST_FIELDS:,} fields were read",
}  # fmt: skip
_SAME_EVERYWHERE = ("message-id", "date", "from")


def parse(raw: bytes, limits: Limits = LIMITS) -> Report:
    """The report in a mail, or in a bare XML, JSON, gzip or zip file."""
    try:
        return _parse(raw, limits)
    except Exception as wrong:  # noqa: BLE001 — poison must end parked, not kill its reader
        return Report(Kind.UNREADABLE, digest(raw[: limits.size]), f"{type(wrong).__name__}: {wrong}"[:300])


def _parse(raw: bytes, limits: Limits) -> Report:
    if not raw.strip():
        return Report(Kind.UNREADABLE, digest(raw), "empty")
    if len(raw) > limits.size:
        return Report(Kind.UNREADABLE, digest(raw[: limits.size]), f"larger than {limits.size} bytes")
    if document.looks_bare(raw):
        try:
            return document.read(raw)
        except UnreadableError as wrong:
            return Report(Kind.UNREADABLE, digest(raw), str(wrong))
    mail = mime.read(raw, limits)
    if not mail.fields:
        return Report(Kind.UNREADABLE, digest(raw), "neither a mail nor a report")
    report = _recognised(mail, 0) or next(filter(None, (guess(mail) for guess in _GUESSERS)), Report(Kind.OTHER))
    if report.kind in _FORWARDED:
        cut = (words for bound, words in _CUT.items() if bound in mail.cut)
        report = dataclasses.replace(report, remarks=(*report.remarks, *cut))
    headers = original.report_headers(mail)
    first, *others = (
        dataclasses.replace(each, identity=each.identity or identity(mail), report_headers=headers, others=())
        for each in report.all
    )
    return dataclasses.replace(first, others=tuple(others))


def _recognised(mail: Part, forwards: int) -> Report | None:
    """What a mail states, with the reports of mails forwarded in it; what a report is about is not entered."""
    report = next(filter(None, (reader(mail) for reader in READERS)), None)
    if report is not None and report.kind not in _DOCUMENTS:
        return report
    reports = list(report.all) if report else []
    if forwards < _MOST_FORWARDS:
        reports += _forwarded(mail, forwards + 1)
    return document.together(reports)


def _forwarded(mail: Part, forwards: int) -> Iterator[Report]:
    for part in mail.parts:
        inner = part.children[0] if part.is_mail and part.children else None
        report = _recognised(inner, forwards) if inner else None
        if inner and report and report.kind in _FORWARDED:
            for each in report.all:
                yield dataclasses.replace(each, identity=each.identity or identity(inner), others=())


def identity(mail: Part) -> str:
    """The same for the same mail wherever it is found: what is added on the way is left out."""
    values = [mail.get(name).encode("utf-8", "replace") for name in _SAME_EVERYWHERE]
    return digest(b"\0".join([*values, mail.raw()]))
