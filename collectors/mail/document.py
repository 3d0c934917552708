"""Reports that are a document rather than a mail: DMARC aggregate XML, TLS-RPT and X-ARF JSON, packed or not.

They come attached to a mail, as its whole body, or as bare files. What they are is told by their first bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re

import orjson

from collectors.mail import archive, dmarc, ses, tlsrpt, xarf
from collectors.mail.archive import UnreadableError
from collectors.mail.mime import LIMITS, Part
from collectors.mail.report import Kind, Report

_PACKED_OR_XML = re.compile(rb"\s*(?:<\?xml|<feedback|H4sI|UEsDB|PD94bWw|PGZlZWRiYWNr|\x1f\x8b|PK\x03\x04)")
_TYPES = re.compile(
    r"application/(?:.*zip.*|.*gz.*|x-compressed?|octet-stream|.*xml|.*json|tlsrpt.*)$|text/xml$"
)
_NAMES = re.compile(r"\.(?:xml|gz|zip|json)$", re.IGNORECASE)
_ANNOUNCED = re.compile(r"report[ _-]?(?:domain|id)\s*:|^dmarc aggregate|submitter\s*:", re.IGNORECASE)
_BARE = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<|[{\[])|\xff\xfe<|\xfe\xff\x00<|\x1f\x8b|PK\x03\x04")

_MOST_JSON = 4_000_000  # a parsed object takes many times the memory of its text


def digest(data: bytes) -> str:
    """The same for the same content, whatever its line ends."""
    return hashlib.sha256(data.replace(b"\r\n", b"\n").strip()).hexdigest()


def looks_bare(raw: bytes) -> bool:
    """Whether a file is a document by itself and no mail (a mail starts with a field)."""
    return _BARE.match(raw[:200]) is not None


def read(data: bytes) -> Report:
    """The report in a document. Raises UnreadableError."""
    inside = archive.unpack(data).lstrip(b"\xef\xbb\xbf \t\r\n")
    if len(inside) > LIMITS.decoded:
        raise UnreadableError(f"a document of more than {LIMITS.decoded} bytes")
    if inside.startswith(b"{"):
        return dataclasses.replace(_json(inside), identity=digest(inside))
    return Report(Kind.DMARC_AGGREGATE, identity=digest(inside), report=dmarc.read(inside))


def in_mail(mail: Part) -> Report | None:
    """The report attached to a mail. A mail that announces one which cannot be read is unreadable."""
    wrong, named = "", False
    for part in mail.parts:
        if not _may_hold(part):
            continue
        try:
            return read(part.content())
        except UnreadableError as why:
            wrong = wrong or str(why)
            named = named or part.filename.count("!") > 1
    announced = wrong and (
        named or mail.params.get("report-type") == "tlsrpt" or _ANNOUNCED.search(mail.get("subject"))
    )
    return Report(Kind.UNREADABLE, error=wrong) if announced else None


def _may_hold(part: Part) -> bool:
    if part.children or part.is_mail:
        return False
    if part.type.startswith(("text/plain", "text/html", "image/", "message/", "multipart/")):
        return bool(_PACKED_OR_XML.match(part.raw(200)) or _NAMES.search(part.filename))
    return bool(_TYPES.match(part.type) or _NAMES.search(part.filename))


def _json(inside: bytes) -> Report:
    if len(inside) > _MOST_JSON:
        raise UnreadableError(f"JSON of more than {_MOST_JSON} bytes")
    try:
        said = orjson.loads(inside.decode("utf-8", "replace"))
    except orjson.JSONDecodeError as wrong:
        raise UnreadableError(f"broken JSON: {wrong}") from None
    if isinstance(said, dict):
        if tlsrpt.is_one(said):
            return Report(Kind.TLS_REPORT, report=tlsrpt.read(said))
        if xarf.is_one(said):
            return xarf.read(said)
        if (ses.is_one(said) or "Message" in said) and (notice := ses.read(said)):
            return notice
    raise UnreadableError("JSON, but no report we know")
