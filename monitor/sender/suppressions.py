"""May this recipient be mailed? Answered beside the MTA: `no` on the spot, `maybe` confirmed by the server.

`SuppressionFilter` holds a customer's suppressed recipients as fingerprints cut so short that, on average, at
most the stated share of other addresses is taken for one of them. It never misses one that was suppressed when
it was made, and says nothing of streams; `Suppressions.confirm` asks the server, which knows both.

The format (version 1, little-endian): a header (`_HEADER`), then 2^bucket_bits + 1 offsets of 4 bytes, then
the fingerprints. Of each `recipient_ref` the first bits name a bucket, the next 1, 2 or 4 bytes are its
fingerprint there; in a bucket they are sorted. With n recipients a strange address hits with probability
n / 2^(bucket_bits + 8 · width); of the widths that keep the promise the smallest file is taken.

A filter reveals addresses only to whoever has the customer's key, and with the key anybody can try addresses
against it: keep both as you keep the list of recipients. Standard library only.
"""

from __future__ import annotations

import http.client
import json
import math
import struct
import sys
import threading
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import groupby
from typing import Any
from urllib.parse import quote, urlsplit

from monitor.sender.recipient import key_name, recipient_ref

FALSE_POSITIVE_RATE = 1e-3
RATES = (1e-9, 0.1)  # the lowest and highest share that can be asked for
# magic, version, bucket bits, width, count, key name, CRC-32 of the rest
_HEADER = struct.Struct("<4sBBBxI5s3xI")
_MAGIC, _VERSION = b"VGSF", 1
_CODES = {1: "B", 2: "H", 4: "I"}  # width of a fingerprint → array code
_MOST_BUCKET_BITS = 24


class FilterError(ValueError):
    """These bytes are no filter for this key; the text says why."""


class SuppressionFilter:
    """A filter as it was loaded; safe to read from any thread."""

    def __init__(self, data: bytes, key: bytes) -> None:
        """Raises FilterError for what is cut short, damaged, of another version or another customer's key."""
        if len(data) < _HEADER.size:
            raise FilterError("the filter is cut short")
        self._bucket_bits: int
        self._width: int
        self.count: int
        magic, version, self._bucket_bits, self._width, self.count, name, crc = _HEADER.unpack_from(data)
        if magic != _MAGIC or version != _VERSION or self._width not in _CODES:
            raise FilterError("this is no filter of version 1")
        if name != key_name(key):
            raise FilterError("the filter was made with another key: that of another customer, or an old one")
        split = _HEADER.size + 4 * ((1 << self._bucket_bits) + 1)
        if len(data) != split + self.count * self._width or zlib.crc32(data[_HEADER.size:]) != crc:
            raise FilterError("the filter is damaged; load it again")
        self._key = key
        self._offsets = _unpacked("I", data[_HEADER.size:split])
        self._fingerprints = _unpacked(_CODES[self._width], data[split:])

    @property
    def false_positive_rate(self) -> float:
        """The share of addresses not suppressed for which `may_contain` is to be expected to say yes."""
        return float(self.count / (1 << (self._bucket_bits + 8 * self._width)))

    def may_contain(self, address: str) -> bool:
        """False: not suppressed when the filter was made. True: ask the server."""
        bits = 8 * self._width
        value = _value(recipient_ref(self._key, address), self._bucket_bits + bits)
        bucket, fingerprint = value >> bits, value & ((1 << bits) - 1)
        end = self._offsets[bucket + 1]
        place = bisect_left(self._fingerprints, fingerprint, self._offsets[bucket], end)
        return place < end and self._fingerprints[place] == fingerprint


def build_filter(
    refs: Iterable[bytes], key: bytes, false_positive_rate: float = FALSE_POSITIVE_RATE
) -> bytes:
    """The filter of these `recipient_ref`s, quickest made when they are in order.

    Raises ValueError for a rate out of bounds.
    """
    if not RATES[0] <= false_positive_rate <= RATES[1]:
        raise ValueError(f"false_positive_rate lies between {RATES[0]:g} and {RATES[1]:g}")
    refs = list(refs)
    bucket_bits, width = _shape(len(refs), false_positive_rate)
    values = sorted(_value(ref, bucket_bits + 8 * width) for ref in refs)
    values = [value for value, _ in groupby(values)]
    starts = (bucket << 8 * width for bucket in range((1 << bucket_bits) + 1))
    offsets = array("I", (bisect_left(values, start) for start in starts))
    mask = (1 << 8 * width) - 1
    body = _packed(offsets) + _packed(array(_CODES[width], (value & mask for value in values)))
    head = (_MAGIC, _VERSION, bucket_bits, width, len(values), key_name(key), zlib.crc32(body))
    return _HEADER.pack(*head) + body


def _shape(count: int, rate: float) -> tuple[int, int]:
    """Bits of the bucket and bytes of the fingerprint that keep the rate in the fewest bytes."""
    bits = max(1, math.ceil(math.log2(max(count, 1) / rate)))
    shapes = [(max(0, bits - 8 * width), width) for width in _CODES]
    return min(
        (shape for shape in shapes if shape[0] <= _MOST_BUCKET_BITS),
        key=lambda shape: (4 << shape[0]) + shape[1] * count,
    )


def _value(ref: bytes, bits: int) -> int:
    return int.from_bytes(ref[:8], "big") >> (64 - bits)


def _packed(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _unpacked(code: str, data: bytes) -> array[int]:
    numbers = array(code)
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


class NotAnsweredError(Exception):
    """The server gave no answer that can be used. Hold the mail in question; the filter goes on answering."""


class Suppressions:
    """One customer's suppressions at hand. `refresh` now and then: it costs nothing while nothing changed."""

    def __init__(
        self, url: str, api_key: str, customer: str, *, false_positive_rate: float = FALSE_POSITIVE_RATE,
        timeout_seconds: float = 5.0,
    ) -> None:
        """`url` of Vigie, and a key of its API with the scope gate. Connects to nothing yet."""
        self._url = urlsplit(url)
        if self._url.scheme not in {"http", "https"} or not self._url.hostname:
            raise ValueError(f"{url!r} is no web address")
        self._authorization = {"Authorization": f"Bearer {api_key}"}
        self._customer, self._rate, self._timeout = customer, false_positive_rate, timeout_seconds
        self._lock = threading.Lock()
        self._filter: SuppressionFilter | None = None
        self._etag = ""

    def refresh(self) -> bool:
        """Load the filter; False when it is still the same. Raises NotAnsweredError, FilterError."""
        about = f"customer={quote(self._customer, safe='')}"
        with self._lock:
            path = f"/v1/suppressions/filter?{about}&false_positive_rate={self._rate:g}"
            known = {"If-None-Match": self._etag} if self._etag else {}
            status, headers, data = self._ask("GET", path, headers=known)
            if status == 304:
                return False
            key = bytes.fromhex(self._json("GET", f"/v1/suppressions/key?{about}")["key"])
            self._filter = SuppressionFilter(data, key)
            self._etag = headers.get("etag", "")
            return True

    def may_contain(self, address: str) -> bool:
        """False: may be mailed. True: ask; also while no filter was loaded."""
        loaded = self._filter
        return loaded is None or loaded.may_contain(address)

    def confirm(self, address: str, stream: str | None = None) -> bool:
        """The server's word: True where the recipient must not be mailed in this stream.

        Raises NotAnsweredError.
        """
        payload = {"customer": self._customer, "stream": stream, "addresses": [address]}
        answer = self._json("POST", "/v1/suppressions/check", payload)
        return bool(answer["suppressed"])

    def suppressed(self, address: str, stream: str | None = None) -> bool:
        """The filter first, the server only where it must be. Raises NotAnsweredError."""
        return self.may_contain(address) and self.confirm(address, stream)

    def _json(self, method: str, path: str, body: Any = None) -> Any:
        try:
            return json.loads(self._ask(method, path, None if body is None else json.dumps(body).encode())[2])
        except ValueError as error:
            raise NotAnsweredError(f"{path} is not answered as JSON") from error

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=self._timeout)
        sent = self._authorization | (headers or {}) | ({"Content-Type": "application/json"} if body else {})
        try:
            connection.request(method, self._url.path.rstrip("/") + path, body, sent)
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            answer = response.status, named, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise NotAnsweredError(f"{self._url.hostname} does not answer: {error}") from error
        finally:
            connection.close()
        if answer[0] not in {200, 304}:
            raise NotAnsweredError(f"{path.partition('?')[0]} answers {answer[0]}: {answer[2][:300]!r}")
        return answer
