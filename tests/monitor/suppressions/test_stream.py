"""A list is read line by line as it is read whole, however long it is."""

import io
from itertools import islice

import pytest

from monitor.suppressions.lines import MOST_IMPORTED, Given, LinesError, read_lines
from monitor.suppressions.stream import read_stream
from tests.monitor.conftest import T

GIVEN = Given("test", T, {"acme": frozenset({"news"})}, lambda customer, address: f"{customer}:{address}", "acme")


class Endless(io.RawIOBase):
    """A file that never ends: whoever read it whole would never come back."""

    def __init__(self, line: bytes) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        whole = self._line * (len(buffer) // len(self._line))
        buffer[: len(whole)] = whole
        return len(whole)


@pytest.mark.parametrize("body", [
    b"ann@example.org\nbob@example.org\n\nnobody\n", b"email,reason\r\nAnn@example.org,complaint\r\nbob@example.org,nonsense\r\n",
    b"\xef\xbb\xbfann@example.org\rbob@example.org\r", b'{"address": "ann@example.org"}\n{"ref": "no"}\nrubbish\n{"address": "b@x.org", "stream": "news"}',
    b'[{"address": "ann@example.org"}, {"address": "no"}]', b'{"address":\n "ann@example.org"}', b"0123456789abcdef0123\n0123456789abcdef0124",
    b'address,text\n"ann@example.org","two\nlines"\nbob@example.org,x,y\n',
])
def test_a_list_says_the_same_line_by_line_as_whole(body):
    suppressed, refused = [], []
    for some, wrong in read_stream(io.BytesIO(body), GIVEN):
        suppressed += some
        refused += wrong
    assert (suppressed, refused) == read_lines(body, GIVEN, MOST_IMPORTED)
    assert suppressed


@pytest.mark.parametrize("line", [b"ann@example.org\n", b'{"address": "ann@example.org"}\n'])
def test_a_list_without_end_is_read_in_pieces(line):
    pieces = list(islice(read_stream(Endless(line), GIVEN), 3))
    assert [(len(suppressed), refused) for suppressed, refused in pieces] == [(20_000, [])] * 3


@pytest.mark.parametrize(("body", "says"), [
    (b"", "no suppressions"), (b" \n\n", "no suppressions"), (b"name,age\x00\n" * 2 + b"\xff\xfe\n", "UTF-8|CSV"),
    (b"a" * 200_000, "longer than"), (b'{"a": 1}\n{"' + b"a" * 200_000, "longer than"), (b"email,colour\nx@y.org,red\n", "no column colour"),
])
def test_what_is_no_list_is_said(body, says):
    with pytest.raises(LinesError, match=says):
        list(read_stream(io.BytesIO(body), GIVEN))
