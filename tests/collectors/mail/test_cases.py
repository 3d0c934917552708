"""One folder per kind of mail: `message.*` as it arrives, `expected.json` as `vigie mail parse --json`
writes it."""

import json
from pathlib import Path

import pytest

from collectors.mail import Kind, parse
from tests.places import MAIL_CASES

CASES = sorted(MAIL_CASES.iterdir())


def message(case: Path) -> bytes:
    (only,) = case.glob("message.*")
    return only.read_bytes()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mail_is_read_as_expected(case: Path) -> None:
    assert parse(message(case)).to_json() == json.loads((case / "expected.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_line_ends_of_a_mail_change_nothing(case: Path) -> None:
    raw = message(case)
    if b"\x1f\x8b" in raw or b"\x00" in raw:
        pytest.skip("not a text")
    bare = raw.replace(b"\r\n", b"\n")
    lf, crlf = parse(bare), parse(bare.replace(b"\n", b"\r\n"))
    assert crlf.to_json() == lf.to_json()
    assert crlf.identity == lf.identity


def test_there_is_a_case_of_every_kind() -> None:
    kinds = {json.loads((case / "expected.json").read_text())["kind"] for case in CASES}
    assert kinds == set(Kind)
