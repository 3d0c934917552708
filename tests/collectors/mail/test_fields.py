"""Header fields: splitting, decoding, parameters, addresses, dates."""


import pytest

from collectors.mail import fields


def split(text: str) -> tuple[dict[str, list[str]], str]:
    raw = text.encode()
    pairs, body, _ = fields.split(raw, 0, len(raw))
    return pairs, text[body:]


def test_fields_end_at_the_blank_line() -> None:
    pairs, body = split("A: 1\r\nB : 2\r\n\r\nC: 3")
    assert ({name: fields.text(values[0]) for name, values in pairs.items()}, body) == (
        {"a": "1", "b": "2"},
        "C: 3",
    )


def test_fields_end_at_the_first_line_that_is_none() -> None:
    assert split("A: 1\nno field here\nB: 2")[1] == "no field here\nB: 2"


def test_repeated_fields_are_kept_in_order() -> None:
    assert split("Received: top\nReceived: below\n\n")[0] == {"received": ["top", "below"]}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"folded\r\n\tover  two lines ", "folded over  two lines"),
        (b"=?utf-8?q?J=C3=BCrgen_B=2E?=", "Jürgen B."),
        (b"=?utf-8?B?SsO8cg==?=\n =?utf-8?B?Z2Vu?= and more", "Jürgen and more"),
        (b"=?iso-8859-1*de?Q?gr=FCn?=", "grün"),
        (b"=?no-such?q?x=FC?=", "xü"),
        (b"=?utf-8?b?broken", "=?utf-8?b?broken"),
        (b"raw \xfc byte", "raw ü byte"),
        ("raw ü utf-8".encode(), "raw ü utf-8"),
    ],
)
def test_a_value_is_unfolded_and_decoded(raw: bytes, expected: str) -> None:
    assert fields.text(raw.decode("latin-1")) == expected


@pytest.mark.parametrize(
    ("value", "parameters"),
    [
        ('multipart/mixed; boundary="a;b\\"c"; charset=x', {"boundary": 'a;b"c', "charset": "x"}),
        ("text/plain; CHARSET = utf-8 (comment); x=y z", {"charset": "utf-8", "x": "y z"}),
        ("a/b; boundary=first; boundary=second", {"boundary": "first"}),
        ('a/b; name*0="one "; name*1=two', {"name": "one two"}),
        ("a/b; name*=utf-8'de'J%C3%BCrgen", {"name": "Jürgen"}),
        ("a/b; ;;; x; =y; z=", {}),
    ],
)
def test_parameters_are_read(value: str, parameters: dict[str, str]) -> None:
    assert fields.parameters(value) == parameters


def test_a_block_of_fields_survives_mangled_lines_and_reports_blank_ones() -> None:
    pairs = list(fields.block(b"A: 1\n??\n\n \nB: 2\n folded\nC: 3"))
    assert pairs == [("a", "1", False), ("b", "2 folded", True), ("c", "3", False)]


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("<pat@example.org>", "pat@example.org"),
        ('"Pat, of <Acme>" <pat@example.org>', "pat@example.org"),
        ("pat@example.org (Pat)", "pat@example.org"),
        ("<>", ""),
        (" nobody ", "nobody"),
    ],
)
def test_the_address_of_a_field(value: str, address: str) -> None:
    assert fields.address(value) == address
