"""What the reported mail says where the report is silent."""

import pytest

from collectors.mail import html_text, mime, original, sources


def infer_ip(head: str) -> str | None:
    return original.infer(mime.read(head.encode() + b"\n\n")).source_ip


@pytest.mark.parametrize(
    ("head", "ip"),
    [
        ("X-Originating-IP: [192.0.2.1]\nReceived: from a ([198.51.100.1]) by b", "192.0.2.1"),
        ("X-Originating-IP: 10.0.0.1\nReceived-SPF: Pass (x) client-ip=192.0.2.2; helo=a", "192.0.2.2"),
        ("Authentication-Results: x; spf=pass (sender IP is 2001:db8::7)\n smtp.mailfrom=a", "2001:db8::7"),
        ("X-Forefront-Antispam-Report: CIP:192.0.2.3;CTRY:FR;", "192.0.2.3"),
        (
            "Received: from in (in [10.1.1.1]) by [192.0.2.99]\nReceived: from out (out [192.0.2.4]) by in",
            "192.0.2.4",
        ),
        ("Received: from out (HELO out) (192.0.2.5) by in", "192.0.2.5"),
        ("Received: from [IPv6:2001:db8::8] by in", "2001:db8::8"),
        ("Received: from out ([::ffff:192.0.2.6]) by in", "192.0.2.6"),
        ("Received: by in with local; x\nReceived: from localhost ([127.0.0.1]) by in", None),
        ("Received: from version 8.14.7.1.2 (x) by in", None),
        ("Subject: none", None),
    ],
)
def test_the_sending_ip_is_the_first_public_one_the_receiver_vouches_for(head: str, ip: str | None) -> None:
    assert infer_ip(head) == ip


@pytest.mark.parametrize(
    ("head", "recipients"),
    [
        ("X-HmXmrOriginalRecipient: a@example.org\nTo: b@example.org", ("a@example.org",)),
        ("Delivered-To: a@example.org\nTo: b@example.org", ("a@example.org",)),
        ("To: Pat <a@example.org>", ("a@example.org",)),
        ("To: a@example.org, b@example.org", ()),
        ("To: redacted@example.org", ()),
        ("To: 0f1e2d3c4b5a69788796a5b4c3d2e1f0@example.org", ()),
    ],
)
def test_the_recipient_is_inferred_only_where_one_is_named(head: str, recipients: tuple[str, ...]) -> None:
    assert original.infer(mime.read(head.encode() + b"\n\n")).original_rcpt_to == recipients


@pytest.mark.parametrize(
    "address", ["redacted@x.org", "[redacted]", "undisclosed", f"{'0a' * 16}@x.org", "xxxx@x.org"]
)
def test_a_blotted_out_address_is_known_as_such(address: str) -> None:
    assert original.is_redacted(address)


@pytest.mark.parametrize(
    "address", ["pat@example.org", "ed.acted@example.org", "max@example.org", "deadbeef@example.org"]
)
def test_an_ordinary_address_is_not(address: str) -> None:
    assert not original.is_redacted(address)


@pytest.mark.parametrize(
    ("sender", "agent", "provider"),
    [
        ("feedbackloop@fbl.cable.example", "ReturnPathFBL/2.0", "cable"),
        ("<feedbackloop@synacorfbl.senderscore.net>", "", "synacor"),
        ("abuse@comcast.example", "comcast Feedback Loop (V0.01)", "comcast"),
        ("staff@hotmail.com", "JMRP/1.0", "microsoft"),
        ("complaints@email-abuse.amazonses.com", "Yahoo!-Mail-Feedback/2.0", "yahoo"),
        ("robin@example.org", "HomeMade/1", None),
    ],
)
def test_the_source_of_a_report_is_recognised_by_its_marks(sender: str, agent: str, provider: str | None) -> None:
    assert sources.provider(mime.read(f"From: {sender}\n\n".encode()), agent) == provider


def test_html_becomes_lines_of_words() -> None:
    page = (
        "<html><style>p {x}</style><p>Your&nbsp;mail to <b>pat@example.org</b><br>"
        "failed &lt;550&gt;</p><script>1<2</script>."
    )
    assert html_text.words(page).split("\n") == ["", "Your mail to pat@example.org", "failed <550>", "."]
