"""The tree of a mail, under its bounds."""

import pytest

from collectors.mail import mime
from collectors.mail.mime import Limits, Part


def types(part: Part) -> list[str]:
    return [part.type, *(kind for child in part.children for kind in types(child))]


def multipart(*parts: str, boundary: str = "b", end: str = "--") -> bytes:
    body = "".join(f"--{boundary}\n{part}\n" for part in parts)
    head = f'Content-Type: multipart/mixed; boundary="{boundary}"\n\npreamble\n'
    return f"{head}{body}--{boundary}{end}\nepilogue".encode()


def test_a_mail_without_a_type_is_text() -> None:
    mail = mime.read(b"Subject: hi\n\nbody")
    assert (mail.type, mail.text()) == ("text/plain", "body")


def test_parts_end_before_the_line_end_of_their_delimiter() -> None:
    mail = mime.read(multipart("Content-Type: text/plain\n\none", "\ntwo\n"))
    assert [part.text() for part in mail.children] == ["one", "two\n"]


def test_a_delimiter_must_be_a_line_of_its_own() -> None:
    mail = mime.read(multipart("\nx --b\n--bee\n--b c\ny"))
    assert [part.text() for part in mail.children] == ["x --b\n--bee\n--b c\ny"]


def test_a_part_that_is_cut_off_is_kept() -> None:
    mail = mime.read(multipart("\none", "\ntwo").split(b"two")[0] + b"tw")
    assert [part.text() for part in mail.children] == ["one", "tw"]


def test_a_nested_multipart_may_share_the_beginning_of_its_boundary() -> None:
    inner = multipart("\nin", boundary="b-1").decode()
    mail = mime.read(multipart(inner, "\nout"))
    assert types(mail) == ["multipart/mixed", "multipart/mixed", "text/plain", "text/plain"]


def test_a_wrongly_declared_boundary_is_guessed_from_the_body() -> None:
    raw = multipart("Content-Type: text/html\n\none", "Content-Type: text/plain\n\ntwo", boundary="real")
    raw = raw.replace(b'="real"', b'="other"')
    assert types(mime.read(raw)) == ["multipart/mixed", "text/html", "text/plain"]


def test_a_multipart_without_any_delimiter_is_a_leaf() -> None:
    mail = mime.read(b"Content-Type: multipart/report; boundary=zz\n\nonly words")
    assert (mail.children, mail.text()) == ((), "only words")


def test_an_attached_mail_is_listed_but_not_entered() -> None:
    mail = mime.read(multipart("Content-Type: message/rfc822\n\nSubject: in\n\ninner"))
    assert [part.type for part in mail.parts] == ["multipart/mixed", "message/rfc822"]
    assert mail.attached is not None
    assert mail.attached.get("subject") == "in"


@pytest.mark.parametrize("top", [">From a@example.org Tue\n", "From a@example.org Tue\n", "\n\n", "\ufeff"])
def test_what_stands_on_top_of_an_attached_mail_is_passed_over(top: str) -> None:
    mail = mime.read(multipart(f"Content-Type: message/rfc822\n\n{top}Subject: in\n\ninner"))
    assert mail.attached is not None
    assert mail.attached.get("subject") == "in"


def test_an_attached_mail_may_be_encoded() -> None:
    mail = mime.read(
        b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogaW4KCmlubmVy"
    )
    assert mail.children[0].get("subject") == "in"


@pytest.mark.parametrize(
    ("head", "body", "text"),
    [
        (
            "Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=utf-8",
            b"J=C3=BCr=\ngen",
            "Jürgen",
        ),
        ("Content-Transfer-Encoding: BASE64", b"SGVsbG8", "Hello"),
        ("Content-Transfer-Encoding: base64", b"SGVs!!bG8=*", "Hello"),
        ("Content-Type: text/plain; charset=iso-8859-1", b"J\xfcrgen", "Jürgen"),
        ("Content-Type: text/plain; charset=no-such-thing", b"J\xfcrgen", "Jürgen"),
        ("Content-Type: text/plain; charset=punycode", b"plain", "plain"),
        ("Content-Type: text/plain; charset=hex", b"6869", "6869"),
        ("Content-Type: text/plain", "Jürgen".encode(), "Jürgen"),
    ],
)
def test_text_is_decoded_as_far_as_it_can_be(head: str, body: bytes, text: str) -> None:
    assert mime.read(head.encode() + b"\n\n" + body).text() == text


def test_line_ends_of_an_old_macintosh_are_line_ends() -> None:
    mail = mime.read(b"Subject: hi\rFrom: a@example.org\r\rbody")
    assert (mail.get("from"), mail.text()) == ("a@example.org", "body")


def test_too_many_parts_are_left_out_and_named() -> None:
    mail = mime.read(multipart(*["\nx"] * 50), Limits(parts=10))
    assert len(mail.children) < 12
    assert mail.cut == {"parts"}


def test_too_deep_a_nest_is_left_out_and_named() -> None:
    raw = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(50))
    mail = mime.read(raw, Limits(depth=5))
    assert len(types(mail)) == 6
    assert mail.cut == {"depth"}


def test_too_many_fields_are_left_out_and_the_body_still_found() -> None:
    mail = mime.read(b"Subject: first\n" + b"X-A: b\n" * 5_000 + b"\nbody")
    assert (mail.get("subject"), mail.text(), mail.cut) == ("first", "body", {"fields"})
