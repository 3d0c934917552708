"""However reports are packed, encoded and put together, each is read, or what is wrong is named."""

import base64
import binascii
import gzip
import io
import json
import zipfile

import pytest

from collectors.mail import Kind, Report, parse

TYPE = "application/octet-stream"


def xml(name: str = "r1", count: object = 6, domain: str = "customer.example", begin: str = "1773014400") -> bytes:
    return (
        f'<?xml version="1.0"?>\n<feedback><report_metadata><org_name>receiver.example</org_name><report_id>{name}'
        f"</report_id><date_range><begin>{begin}</begin><end>1773100799</end></date_range></report_metadata>"
        f"<policy_published><domain>{domain}</domain></policy_published><record><row><source_ip>192.0.2.33</source_ip>"
        f"<count>{count}</count><policy_evaluated><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers>"
        f"<header_from>{domain}</header_from></identifiers></record></feedback>\n"
    ).encode()


def tls(name: str = "t1", policies: object = None, **changes: object) -> bytes:
    summary = {"total-successful-session-count": 9, "total-failure-session-count": 1}
    policy = {"policy": {"policy-type": "sts", "policy-domain": "customer.example"}, "summary": summary}
    return json.dumps({"organization-name": "receiver.example", "report-id": name,
                       "date-range": {"start-datetime": "2026-03-09T00:00:00Z", "end-datetime": "2026-03-09T23:59:59Z"},
                       "policies": [policy] if policies is None else policies, **changes}).encode()


def zipped(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def coded(data: bytes) -> bytes:
    return base64.encodebytes(data)


def uuencoded(data: bytes) -> bytes:
    lines = [binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45)]
    return b"begin 644 report.xml.gz\n" + b"".join(lines) + b"`\nend\n"


def attachment(data: bytes, type_: str = TYPE, name: str = "", encoding: str = "base64") -> bytes:
    named = f'; name="{name}"' if name else ""
    header = f"Content-Type: {type_}{named}\nContent-Transfer-Encoding: {encoding}\n\n"
    return header.encode() + (coded(data) if encoding == "base64" else data)


def mail(*parts: bytes, subject: str = "Report Domain: customer.example Submitter: receiver.example Report-ID: <r1>",
         extra: str = "", boundary: str = "b") -> bytes:
    head = (f"From: d@receiver.example\nTo: rua@customer.example\nSubject: {subject}\nMessage-ID: <m@receiver.example>\n"
            f'{extra}MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{boundary}"\n\n')
    line = f"--{boundary}".encode()
    return head.encode() + b"".join(line + b"\n" + part + b"\n" for part in parts) + line + b"--\n"


def forwarded(raw: bytes) -> bytes:
    return b"Content-Type: message/rfc822\n\n" + raw


def ids(report: Report) -> list[tuple[str | None, int]]:
    return [(each.report.id, each.report.messages) for each in report.all if each.report]


TEXT = b"Content-Type: text/plain\n\nAn aggregate report.\n"
BOTH = [("r1", 6), ("r2", 3)]
TWO = (xml("r1", 6), xml("r2", 3, "other.example"))
SEVERAL = {
    "two parts": mail(TEXT, attachment(gzip.compress(TWO[0])), attachment(gzip.compress(TWO[1]))),
    "two kinds of packing": mail(attachment(zipped(("a.xml", TWO[0]))), attachment(TWO[1], "text/xml")),
    "one zip": mail(attachment(zipped(("a.xml", TWO[0]), ("b.xml", TWO[1])))),
    "a zip of gzips": mail(attachment(zipped(("a.xml.gz", gzip.compress(TWO[0])), ("b.xml.gz", gzip.compress(TWO[1]))))),
    "a zip with a readme": mail(attachment(zipped(("a.xml", TWO[0]), ("readme.txt", b"no"), ("b", TWO[1])))),
    "chained gzip": mail(attachment(gzip.compress(TWO[0]) + gzip.compress(TWO[1]))),
    "one after the other": mail(attachment(TWO[0] + TWO[1], "application/xml")),
    "within one gzip": mail(attachment(gzip.compress(TWO[0] + TWO[1]))),
    "bare zip": zipped(("a.xml", TWO[0]), ("b.xml", TWO[1])),
    "bare gzip chain": gzip.compress(TWO[0]) + gzip.compress(TWO[1]),
    "bare": TWO[0] + TWO[1],
    "the same one twice and another": mail(*map(attachment, (TWO[0], TWO[1], TWO[0]))),
    "mails in a mail": mail(TEXT, *(forwarded(mail(TEXT, attachment(gzip.compress(each)), boundary="inner")) for each in TWO)),
    "one beside a forwarded one": mail(attachment(TWO[0]), forwarded(mail(TEXT, attachment(TWO[1]), boundary="inner"))),
}


@pytest.mark.parametrize("raw", SEVERAL.values(), ids=SEVERAL)
def test_every_report_of_a_mail_or_archive_is_read(raw: bytes) -> None:
    report = parse(raw)
    row = report.to_json()
    assert ids(report) == BOTH
    assert len({each.identity for each in report.all}) == 2
    assert (row["kind"], row["error"], row["report"]["id"]) == ("dmarc_aggregate", None, "r1")
    assert [(each["id"], each["messages"], each["domain"]) for each in row["reports"]] == [
        ("r1", 6, "customer.example"), ("r2", 3, "other.example")]


def test_a_single_report_is_not_listed_twice() -> None:
    assert "reports" not in parse(mail(TEXT, attachment(xml()))).to_json()


def test_several_tls_reports_are_read_from_a_list_and_from_lines() -> None:
    for raw in (b"[" + tls("a") + b"," + tls("b") + b"]", tls("a") + b"\n" + tls("b"),
                mail(attachment(gzip.compress(tls("a") + tls("b")), "application/tlsrpt+gzip"))):
        assert [each.report and each.report.id for each in parse(raw).all] == ["a", "b"]


@pytest.mark.parametrize("broken", [b"<feedback><record>", gzip.compress(xml())[:60], b"PK\x03\x04 garbage",
                                    xml(count="many")], ids=["xml", "gzip", "zip", "count"])
def test_what_cannot_be_read_beside_a_report_is_named(broken: bytes) -> None:
    report = parse(mail(attachment(broken), attachment(xml("good"))))
    assert report.report is not None
    assert "good" in [each.report.id for each in report.all if each.report]
    assert report.to_json()["error"].startswith("1 of 2 reports: ")


def test_a_picture_beside_a_report_is_no_report() -> None:
    report = parse(mail(attachment(xml()), attachment(b"\x89PNG\r\n\x1a\n", "image/png", "logo.png"), subject="x"))
    assert (report.others, report.to_json()["error"]) == ((), None)


def test_a_document_with_very_many_reports_says_what_was_left_out() -> None:
    report = parse(b"".join(xml(f"r{number}") for number in range(300)))
    assert len([each for each in report.all if each.report]) == 200
    assert "more than 200 reports" in report.to_json()["error"]


PACKED = {"gzip": gzip.compress(xml()), "zip": zipped(("a.xml", xml())), "xml": xml()}


def whole_body(data: bytes, header: str) -> bytes:
    return f"From: d@receiver.example\nSubject: Report Domain: customer.example\nMessage-ID: <w@x>\n{header}".encode() + data


@pytest.mark.parametrize("data", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("encode", [
    lambda data: mail(attachment(data, "application/zip", "a!b!1!2.zip")),
    lambda data: mail(attachment(data, "application/gzip", "a!b!1!2.xml.gz")),
    lambda data: mail(attachment(data, "text/plain", "report.zip")),
    lambda data: mail(b"Content-Type: application/gzip\n\n" + coded(data)),
    lambda data: mail(b"Content-Type: text/plain\n\n" + coded(data)),
    lambda data: mail(b"\n" + coded(data)),
    lambda data: mail(attachment(uuencoded(data), encoding="x-uuencode")),
    lambda data: mail(attachment(uuencoded(data), encoding="uuencode")),
    lambda data: mail(attachment(uuencoded(data), encoding="7bit")),
    lambda data: mail(b"Content-Type: text/plain\n\nThe report is below.\n\n" + uuencoded(data)),
    lambda data: mail(b"Content-Type: text/plain\n\nThe report is below.\n\n" + coded(data) + b"\n-- \nRegards\n"),
    lambda data: mail(attachment(coded(data), encoding="base64")),
    lambda data: mail(b"Content-Type: application/zip\n\nContent-Transfer-Encoding: base64\n\n" + coded(data)),
    lambda data: whole_body(coded(data), "Content-Type: application/zip\n\nContent-Transfer-Encoding: base64\n\n"),
    lambda data: whole_body(coded(data), "\nContent-Type: application/zip\n\nContent-Transfer-Encoding: base64\n\n"),
    lambda data: whole_body(coded(data), "Content-Type: application/gzip\nContent-Transfer-Encoding: base64\n\n"),
    lambda data: whole_body(coded(data), "\n"),
    lambda data: whole_body(uuencoded(data), "\n"),
    lambda data: mail(attachment(data)).replace(b"Content-Type: multipart", b"\nContent-Type: multipart"),
    lambda data: mail(attachment(data)).replace(b"MIME-Version", b"\nMIME-Version"),
], ids=["as zip", "as gzip", "as text", "undeclared base64", "base64 in a text", "no header", "x-uuencode", "uuencode",
        "uu undeclared", "uu in a text", "base64 below words", "encoded twice", "blank line in a part's header",
        "blank line in the header", "two blank lines", "whole body", "whole body undeclared", "whole body uu",
        "blank line before the multipart", "blank line before MIME-Version"])
def test_a_report_is_read_however_it_is_encoded_and_called(encode, data: bytes) -> None:
    report = parse(encode(data))
    assert (report.kind, report.to_json()["error"]) == (Kind.DMARC_AGGREGATE, None)
    assert ids(report) == [("r1", 6)]


def test_plain_xml_declared_as_base64_is_read() -> None:
    part = b"Content-Type: application/xml\nContent-Transfer-Encoding: base64\n\n" + xml()
    assert ids(parse(mail(part))) == [("r1", 6)]


NO_DOMAIN = [{"policy": {"policy-type": "sts"},
              "summary": {"total-successful-session-count": 9, "total-failure-session-count": 1}}]


@pytest.mark.parametrize(("extra", "subject", "domain"), [
    ("TLS-Report-Domain: customer.example\nTLS-Report-Submitter: receiver.example\n", "x", "customer.example"),
    ("TLS-Report-Domain: Customer.Example.\n", "Report Domain: other.example", "customer.example"),
    ("", "Report Domain: customer.example Submitter: receiver.example Report-ID: <t-1>", "customer.example"),
    ("", "Report Domain:customer.example; Submitter:receiver.example", "customer.example"),
    ("", "Report domain: customer.example, other.example Submitter: receiver.example", None),
    ("", "hello", None),
])
def test_a_policy_domain_that_only_the_mail_names_is_taken_from_there(extra: str, subject: str, domain: str) -> None:
    report = parse(mail(attachment(tls(policies=NO_DOMAIN), "application/tlsrpt+json"), subject=subject, extra=extra))
    assert report.report is not None
    assert report.report.domain == domain
    assert [policy.domain for policy in report.report.policies] == [domain or ""]


def test_what_a_dmarc_report_leaves_out_is_taken_from_subject_and_file_name() -> None:
    bare = xml().replace(b"<org_name>receiver.example</org_name><report_id>r1</report_id>", b"")
    bare = bare.replace(b"<domain>customer.example</domain>", b"").replace(b"<begin>1773014400</begin>", b"")
    name = "receiver.example!customer.example!1773014400!1773100799.xml"
    for subject, id_ in (("Report Domain: customer.example Report-ID: <r1>", "r1"), ("Report", None)):
        report = parse(mail(attachment(bare, name=name), subject=subject)).report
        assert report is not None
        assert (report.org, report.domain, report.id) == ("receiver.example", "customer.example", id_)
        assert report.begin is not None


def test_policies_of_a_tls_report_may_be_one_object() -> None:
    policy = {"policy": {"policy-type": "sts", "policy-domain": "customer.example"},
              "summary": {"total-successful-session-count": "1,234", "total-failure-session-count": 1.0},
              "failure-details": {"result-type": "certificate-expired", "failed-session-count": "1"}}
    report = parse(tls(policies=policy)).report
    assert report is not None
    assert (report.records, report.passed, report.failed) == (1, 1234, 1)
    assert report.policies[0].failures == (("certificate-expired", 1),)


@pytest.mark.parametrize("summary", [{}, {"total-successful-session-count": "many"},
                                     {"total-successful-session-count": 1, "total-failure-session-count": -1}])
def test_a_tls_policy_whose_counts_cannot_be_read_marks_the_report(summary: dict[str, object]) -> None:
    report = parse(tls(policies=[{"policy": {"policy-domain": "customer.example"}, "summary": summary}]))
    assert report.kind is Kind.TLS_REPORT
    assert "counts cannot be read" in (report.error or "")


@pytest.mark.parametrize("start", ["2026-03-09T00:00:00Z", 1773014400, "1773014400000", 1773014400.5, 1773014400000000,
                                   "2026-03-09T01:00:00+01:00", "2026-03-09 00:00:00 UTC"])
def test_the_period_of_a_report_is_read_however_it_is_written(start: object) -> None:
    in_tls = parse(tls(**{"date-range": {"start-datetime": start}})).report
    in_xml = parse(xml(begin=str(start))).report
    for report in (in_tls, in_xml):
        assert report is not None
        assert report.begin is not None
        assert report.begin.isoformat().startswith("2026-03-09T00:00:00")


def arf(number: int) -> bytes:
    return (f"From: f@receiver.example\nMessage-ID: <f{number}@receiver.example>\nMIME-Version: 1.0\nContent-Type: "
            'multipart/report; report-type=feedback-report; boundary="c"\n\n--c\nContent-Type: message/feedback-report\n\n'
            f"Feedback-Type: abuse\nUser-Agent: x\nVersion: 1\nOriginal-Rcpt-To: u{number}@receiver.example\n\n--c\n"
            f"Content-Type: message/rfc822\n\nMessage-ID: <o{number}@customer.example>\n\nHello\n--c--\n").encode()


def test_feedback_reports_forwarded_together_are_each_read() -> None:
    report = parse(mail(TEXT, *(forwarded(arf(number)) for number in range(3)), subject="Fwd: complaints"))
    assert [each.feedback and each.feedback.original_rcpt_to for each in report.all] == [
        ("u0@receiver.example",), ("u1@receiver.example",), ("u2@receiver.example",)]
    assert len({each.identity for each in report.all}) == 3
    assert len(report.to_json()["reports"]) == 3


def test_a_forwarded_report_is_the_same_as_the_one_that_came_directly() -> None:
    assert parse(mail(TEXT, forwarded(arf(1)), subject="Fwd")).identity == parse(arf(1)).identity


def test_feedback_reports_batched_in_one_mail_are_each_read() -> None:
    parts = [part for number in (1, 2) for part in (
        f"Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nOriginal-Rcpt-To: u{number}@x.example\n".encode(),
        f"Content-Type: message/rfc822\n\nMessage-ID: <o{number}@customer.example>\n\nHello\n".encode())]
    report = parse(mail(*parts, subject="x"))
    assert [each.feedback and each.feedback.message_id for each in report.all] == [
        "<o1@customer.example>", "<o2@customer.example>"]
    assert len({each.identity for each in report.all}) == 2
