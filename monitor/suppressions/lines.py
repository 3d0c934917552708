"""Suppressions as people and systems write them: JSON, NDJSON, CSV or one address a line, for API and command.

    {"customer": "acme", "address": "ann@example.org", "reason": "unsubscribe", "stream": "newsletter"}

Either `address` (or `email`) or `ref` (20 hex digits, as an export has it) names the recipient; the rest may
be left out where the caller gives it for all lines. CSV has those names as its header; without a header its
first column is the address or ref. An address is turned into its reference at once and kept nowhere. A line that
cannot be taken is named with its number and why, without what stood in it; the others count.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Annotated, Any

import orjson
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
)
from sqlmodel import Session

from monitor.config.quantities import When
from monitor.facts import Store
from monitor.inventory.rows import streams_of_customers
from monitor.sender.recipient import plain_address
from monitor.suppressions.reasons import SuppressionReason
from monitor.suppressions.rows import Suppressed, suppress

COLUMNS = ("customer", "ref", "reason", "stream", "since")  # of an export
_ADDRESS = re.compile(r"[^\s<>\x00-\x1f\x7f]{1,64}@[^\s@<>\x00-\x1f\x7f]{1,255}")
_REF = re.compile(r"[0-9a-f]{20}")
_NAMES = frozenset({*COLUMNS, "address", "email", "text"})
LONGEST_LINE = 100_000
_PIECE = 20_000  # rows a transaction
MOST_AT_ONCE = 10_000
MOST_IMPORTED = 200_000
MOST_NAMED = 1000  # refused lines named in an answer


class LinesError(ValueError):
    """The body as a whole cannot be read."""


def read_address(text: str) -> str:
    """The plain address. Raises ValueError."""
    plain = plain_address(text)
    if not _ADDRESS.fullmatch(plain):
        raise ValueError("no mail address")
    return plain


def read_ref(text: str) -> str:
    """A `recipient_ref` in hex. Raises ValueError."""
    if not _REF.fullmatch(text.strip().lower()):
        raise ValueError("20 hex digits are wanted")
    return text.strip().lower()


Address = Annotated[str, AfterValidator(read_address)]
Ref = Annotated[str, AfterValidator(read_ref)]
Named = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]


class Line(BaseModel):
    """One recipient not to be mailed again."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    customer: Named | None = None
    address: Address | None = Field(default=None, validation_alias=AliasChoices("address", "email"))
    ref: Ref | None = None
    reason: SuppressionReason | None = None
    stream: Named | None = None
    since: When | None = None
    text: Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")] | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """What holds for every line: who brings them, when, and what they leave out.

    `only` binds them to a customer.
    """

    source: str
    now: datetime
    streams: Mapping[str, frozenset[str]]  # customer → names; others are refused
    ref_of: Callable[[str, str], str]  # customer, address → recipient_ref
    customer: str | None = None
    reason: SuppressionReason = SuppressionReason.MANUAL
    only: str | None = None


@dataclass(frozen=True, slots=True)
class LineError:
    line: int
    error: str


def refs_of(
    store: Store, session: Session, customer: str | None, recipient: str | None
) -> dict[str, str] | None:
    """What a recipient is called with the customer, or with each there is; None where none is named."""
    if recipient is None:
        return None
    customers = [customer] if customer is not None else list(streams_of_customers(session))
    return {each: store.recipient_ref(each, recipient) for each in customers}


def read_lines(body: bytes | list[Any], given: Given, most: int) -> tuple[list[Suppressed], list[LineError]]:
    """Lines as they were written, or objects already decoded.

    Raises LinesError for what is no list of suppressions, or one of more than `most` lines.
    """
    pairs = list(islice(_written(body) if isinstance(body, bytes) else enumerate(body, 1), most + 1))
    if len(pairs) > most:
        raise LinesError(f"more than {most:,} lines; send them in parts")
    if not pairs:
        raise LinesError("no suppressions in the body")
    return read_pairs(pairs, given)


def read_pairs(pairs: Iterable[tuple[int, Any]], given: Given) -> tuple[list[Suppressed], list[LineError]]:
    """What stands in lines, each with its number."""
    suppressed: list[Suppressed] = []
    refused: list[LineError] = []
    for line, fields in pairs:
        try:
            suppressed.append(_address_alone(fields, given) or _suppressed(Line.model_validate(fields), given))
        except ValidationError as error:
            first = error.errors()[0]
            place, what = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
            refused.append(LineError(line, f"{place}: {what}" if place else what))
        except ValueError as error:
            refused.append(LineError(line, str(error)))
    return suppressed, refused


def write(store: Store, suppressed: Sequence[Suppressed], now: datetime) -> int:
    """Write them in pieces, so that other writers get their turn; returns how many are new. May be repeated."""
    redacted = store.recipients.redacted
    suppressed = [replace(each, text=redacted(each.text)) if each.text else each for each in suppressed]
    added = 0
    for start in range(0, len(suppressed), _PIECE):
        with store.session() as session:
            added += suppress(session.connection(), suppressed[start : start + _PIECE], now)
    return added


def _address_alone(fields: Any, given: Given) -> Suppressed | None:
    """A line that is nothing but a good address, as most are; None for any other, to be read with all its checks."""
    customer = given.customer or given.only
    if customer is None or customer not in given.streams or not isinstance(fields, dict) or fields.keys() != {"address"}:
        return None
    if given.only not in {None, customer} or not isinstance(fields["address"], str):
        return None
    plain = plain_address(fields["address"])
    if not _ADDRESS.fullmatch(plain):
        return None
    return Suppressed(customer, given.ref_of(customer, plain), given.reason, "", given.now, given.source)


def _suppressed(line: Line, given: Given) -> Suppressed:
    customer = line.customer or given.customer or given.only
    if customer is None:
        raise ValueError("customer: missing")
    if given.only not in {None, customer}:
        raise ValueError(f"customer: this key is bound to {given.only}")
    if customer not in given.streams:
        raise ValueError(f"customer: the inventory has no customer {customer}")
    if line.stream is not None and line.stream not in given.streams[customer]:
        raise ValueError(f"stream: customer {customer} has no stream {line.stream}")
    if (line.address is None) == (line.ref is None):
        raise ValueError("either an address or a ref is wanted")
    ref = line.ref or given.ref_of(customer, line.address or "")
    return Suppressed(
        customer, ref, line.reason or given.reason, line.stream or "", line.since or given.now, given.source,
        text=line.text or None,
    )


def _written(body: bytes) -> Iterator[tuple[int, Any]]:
    """Line number and what stands there, as a mapping where it can be read as one."""
    start = body.lstrip()[:1]
    if start == b"[":
        try:
            yield from enumerate(orjson.loads(body), 1)
        except orjson.JSONDecodeError as error:
            raise LinesError(f"not JSON: {error}") from None
    elif start == b"{":
        try:
            yield 1, orjson.loads(body)  # one object, which may be spread over lines
        except orjson.JSONDecodeError:
            lines = enumerate(body.split(b"\n"), 1)
            yield from ((number, json_line(line) or line.decode(errors="replace")) for number, line in lines if line.strip())
    else:
        yield from _csv(body)


def json_line(line: bytes) -> Any:
    """What a line says; None where it is no JSON: then it is refused with its number."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _csv(body: bytes) -> Iterator[tuple[int, Any]]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LinesError("the body is not UTF-8") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # also of programs that end lines with CR alone
    if any(len(line) > LONGEST_LINE for line in text.split("\n")):
        raise LinesError(f"a line is longer than {LONGEST_LINE:,} characters")
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        yield from csv_rows(rows)
    except csv.Error as error:
        raise LinesError(f"line {rows.line_num}: no CSV: {error}") from None


def csv_rows(rows: Any) -> Iterator[tuple[int, Any]]:
    """Of a csv.reader, which counts its lines."""
    header: list[str] | None = None
    for row in rows:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if header is None:
            names = [cell.lower() for cell in cells]
            if {"address", "email", "ref"} & set(names):
                if strange := set(names) - _NAMES:
                    known = ", ".join(sorted(_NAMES))
                    raise LinesError(f"no column {', '.join(sorted(strange))}; known: {known}")
                header = names
                continue
            header = ["ref" if _REF.fullmatch(cells[0].lower()) else "address"]
        given = {name: cell for name, cell in zip(header, cells, strict=False) if cell}
        yield rows.line_num, given if len(cells) <= len(header) else "too many columns"
