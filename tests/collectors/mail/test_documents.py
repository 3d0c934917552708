"""DMARC and TLS reports row by row, and documents that mean harm."""

import gzip
import io
import zipfile
from datetime import UTC, datetime

import pytest

from collectors.mail import archive, dmarc, document, parse, safe_xml
from collectors.mail.archive import Budget, UnreadableError
from collectors.mail.report import Kind
from tests.places import MAIL_CASES

HEAD = "<feedback><report_metadata><report_id>r</report_id></report_metadata>"
ROW = (
    "<record><row><source_ip>192.0.2.1</source_ip><count>2</count>"
    "<policy_evaluated><dkim>fail</dkim><spf>pass</spf>"
    "</policy_evaluated></row><identifiers><header_from>Acme.Example.NET</header_from></identifiers></record>"
)


def test_a_dmarc_report_keeps_each_row() -> None:
    report = parse((MAIL_CASES / "dmarc-gzip-attached" / "message.eml").read_bytes()).report
    assert report is not None
    good, bad = report.rows
    assert (good.source_ip, good.count, good.dkim, good.spf, good.aligned) == (
        "192.0.2.33",
        120,
        "pass",
        "fail",
        True,
    )
    assert (good.envelope_from, good.header_from) == ("mail.acme.example.net", "acme.example.net")
    assert (bad.disposition, bad.reasons, bad.aligned) == ("quarantine", ("mailing_list",), False)
    assert report.published == {"p": "quarantine", "sp": "reject", "adkim": "r", "aspf": "r", "pct": "100"}
    assert (report.begin, report.repaired) == (datetime(2026, 7, 13, tzinfo=UTC), False)


def test_a_repaired_report_says_so() -> None:
    report = parse((MAIL_CASES / "dmarc-bare-broken" / "message.xml").read_bytes()).report
    assert report is not None
    assert report.repaired
    assert report.rows[0].header_from == "ac<me & co"


def test_a_tls_report_keeps_each_policy() -> None:
    report = parse((MAIL_CASES / "tlsrpt-gzip-in-mail" / "message.eml").read_bytes()).report
    assert report is not None
    sts, tlsa = report.policies
    assert (sts.type, sts.success, sts.failure, sts.failures) == ("sts", 40, 2, (("certificate-expired", 2),))
    assert (tlsa.type, tlsa.success) == ("tlsa", 7)


@pytest.mark.parametrize("count", ["", "many", "-3", "1.5", "9" * 40])
def test_a_count_that_is_none_is_marked_and_the_report_says_so(count: str) -> None:
    raw = (HEAD + ROW + ROW.replace(">2<", f">{count}<") + "</feedback>").encode()
    report = parse(raw)
    assert report.report is not None
    assert (report.report.records, report.report.messages, report.report.uncounted) == (2, 2, (count[:40],))
    assert report.error == f"1 counts cannot be read: {count[:40]!r}"
    assert report.to_json()["report"]["uncounted"] == 1


@pytest.mark.parametrize(("count", "messages"), [("1,234", 1234), ("1.234", 1234), ("10.0", 10), ("1e3", 1000),
                                                 (" 12 ", 12)])
def test_a_count_is_read_however_it_is_written(count: str, messages: int) -> None:
    report = parse((HEAD + ROW.replace(">2<", f">{count}<") + "</feedback>").encode())
    assert report.report is not None
    assert (report.report.messages, report.error) == (messages, None)


def test_a_record_without_its_parts_is_still_a_record() -> None:
    report = dmarc.read((HEAD + "<record/><record><row/></record></feedback>").encode(), Budget())
    assert (report.records, report.passed, report.failed) == (2, 0, 0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no XML"),
        ("<html><body>no</body></html>", "no DMARC report"),
        (
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><feedback>&x;</feedback>',
            "declares entities",
        ),
        ("<!doctype a [<!element x>]><feedback/>", "declares entities"),
        (HEAD + ROW, "cut off before its end"),
        (HEAD + "<a>" * 100, "nested deeper or wider than the bound"),
        (HEAD + "<a/>" * 5_000 + "</feedback>", "more unknown elements than the bound"),
        (
            HEAD + "<record>" + "<a/>" * 50_000 + "</record></feedback>",
            "nested deeper or wider than the bound",
        ),
        (
            HEAD + "<a " + " ".join(f"b{n}='1'" for n in range(50_000)) + "/></feedback>",
            "a tag or a text longer than the bound",
        ),
        (HEAD + "<record>&lt" + "<p>" * 600_000 + "</feedback>", "nested deeper or wider than the bound"),
    ],
)
def test_xml_beyond_what_a_report_is_gets_refused(text: str, why: str) -> None:
    with pytest.raises(UnreadableError, match=why):
        dmarc.read(text.encode(), Budget())


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_xml_in_another_charset_is_read(charset: str) -> None:
    declared = f'<?xml version="1.0" encoding="{charset.removesuffix("-sig")}"?>'
    text = declared + HEAD.replace(">r<", ">Jürgen<") + ROW + "</feedback>"
    assert dmarc.read(text.encode(charset), Budget()).id == "Jürgen"


def test_entities_are_refused_in_every_charset() -> None:
    text = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY x "y">]><feedback>&x;</feedback>'
    with pytest.raises(UnreadableError, match="declares entities"):
        safe_xml.decode(text.encode("utf-16"))


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, data in members:
            made.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(b"<x/>"),
        gzip.compress(b"<x/>") + b"\r\n",
        gzip.compress(b"<x") + gzip.compress(b"/>"),
        zipped(("a.xml", b"<x/>")),
        zipped(("folder/", b""), ("readme.txt", b"no"), ("a.XML", b"<x/>")),
        zipped(("report", b"<x/>")),
        zipped(("a.xml.gz", gzip.compress(b"<x/>"))),
        zipped(("__MACOSX/._a.xml", b"no"), ("a.xml", b"<x/>")),
        b"<x/>",
    ],
    ids=["gzip", "bytes-after", "two-members", "zip", "zip-of-more", "odd-name", "gzip-in-zip", "zip-of-a-mac", "bare"],
)
def test_a_document_is_unpacked_by_its_first_bytes(packed: bytes) -> None:
    assert list(archive.unpack(packed, Budget())) == [b"<x/>"]


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (gzip.compress(b"x" * 10_000), "unpacks to more than the bound"),
        (gzip.compress(b"x" * 600) * 3, "unpacks to more than the bound"),
        (zipped(("a", b"x" * 10_000)), "unpacks to more than the bound"),
        (zipped(*((str(n), b"x") for n in range(50))), "holds more files than the bound"),
        (zipped(("a", b"x"), method=zipfile.ZIP_LZMA), "cannot be bounded"),
        (zipped(("a", zipped(("b", zipped(("c", b"x")))))), "an archive in an archive"),
        (zipped(("folder/", b"")), "empty zip"),
        (b"\x1f\x8b garbage", "broken gzip"),
        (b"PK\x03\x04 garbage", "broken zip"),
    ],
    ids=["gzip", "gzips", "zip", "files", "lzma", "nested", "empty", "no-gzip", "no-zip"],
)
def test_an_archive_that_costs_too_much_is_refused(packed: bytes, why: str) -> None:
    with pytest.raises(UnreadableError, match=why):
        list(archive.unpack(packed, Budget(1_000, 20)))


@pytest.mark.parametrize(
    "text", [b"{", b'{"a": 1}', b"[]", b'{"a":' + b"[" * 100_000, b'{"policies": 3, "report-id": []']
)
def test_json_that_is_no_report_is_refused(text: bytes) -> None:
    with pytest.raises(UnreadableError):
        document.read(text)


def test_a_tls_report_with_nonsense_in_it_is_read_as_far_as_it_goes() -> None:
    report = document.read(
        b'{"policies": [1, {"policy": "x", "summary": {"total-failure-session-count": -5}}], "report-id": 7}'
    )
    assert report.kind is Kind.TLS_REPORT
    assert report.report is not None
    assert (report.report.id, report.report.records, report.report.failed) == (None, 1, 0)
    assert report.report.uncounted == ("-5",)
    assert report.error is not None
