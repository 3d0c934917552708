"""What a fact, a rule, a restriction or a question can be about: the one table of dimensions.

Whoever needs a list of dimensions takes it from here: `names(Use.SCOPE)`. Four shapes must be written out, for a type
checker, a database or a sender without Vigie reads them: `Subject`, the columns of `Series`, and the gate's
`DIMENSIONS` and `Request`; tests hold them equal to this table. Standard library only.

A new dimension is a row here, a field of `Subject` with its column and migration where a number can be about it, and a
word of the gate where a sender can name it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cache


class Use(enum.Flag):
    """Where a dimension may stand."""

    SUBJECT = enum.auto()  # what a number is about: `Subject`, series, filters of readings
    TRACE = enum.auto()  # what a fact about one message or recipient is about
    SCOPE = enum.auto()  # of a suspension, as an operator or a rule writes it
    GATE = enum.auto()  # what the gate distinguishes restrictions by
    REQUEST = enum.auto()  # of a decision: what a sender names
    LISTED = enum.auto()  # what rules about listings group by
    MATCHER = enum.auto()  # of a silence


class Form(enum.Enum):
    """What the canonical form of a value is."""

    TEXT = "text"  # as it is written
    ADDRESS = "address"  # an IP address: IPv4 also where mapped into IPv6, IPv6 as RFC 5952 writes it
    DOMAIN = "domain"  # lower case, A-labels, no final dot
    PROVIDER = "provider"  # the id of a mailbox provider; a recipient domain of none is its own
    TARGET = "target"  # an address or a domain


@dataclass(frozen=True, slots=True)
class Dimension:
    """`owner`: the part of the inventory file that says which values there are (None: no part of it)."""

    name: str
    meaning: str
    use: Use
    form: Form = Form.TEXT
    owner: str | None = None


_SENT = Use.SUBJECT | Use.TRACE | Use.SCOPE | Use.GATE | Use.REQUEST | Use.MATCHER
_SEEN = Use.SUBJECT | Use.MATCHER

# The order is that of the keys of series: what stands in it keeps its place among the others.
DIMENSIONS: tuple[Dimension, ...] = (
    Dimension("customer", "whose mail it is", _SENT | Use.LISTED, owner="customers"),
    Dimension("stream", "one customer's mail of one class", _SENT, owner="streams"),
    Dimension("campaign", "one mailing of a stream", _SENT),
    Dimension("ip", "the sending address", _SENT, Form.ADDRESS, owner="ips"),
    Dimension("pool", "the named set of sending addresses; known from the address",
              Use.SCOPE | Use.GATE | Use.REQUEST | Use.LISTED | Use.MATCHER, owner="pools"),
    Dimension("domain", "the sending domain", _SENT, Form.DOMAIN, owner="domains"),
    Dimension("provider", "who receives the mail", _SENT, Form.PROVIDER, owner="providers"),
    Dimension("dnsbl", "the id of a list", _SEEN | Use.LISTED),
    Dimension("operator", "who runs a list", _SEEN | Use.LISTED),
    Dimension("mailbox", "a mailbox or folder that reports come to", _SEEN, owner="mailboxes"),
    Dimension("seed", "our mailbox at a provider", _SEEN, owner="seeds"),
    Dimension("aspect", "what a figure is broken down by", _SEEN),
    Dimension("collector", "who asked", _SEEN),
    Dimension("target", "the address or domain that is listed", Use.LISTED | Use.MATCHER, Form.TARGET),
    Dimension("kind", "of the stream, transactional or marketing; known from the stream", Use.GATE),
)
BY_NAME = {row.name: row for row in DIMENSIONS}


@cache
def names(use: Use) -> tuple[str, ...]:
    """The dimensions of all these uses, in the order of the table."""
    return tuple(row.name for row in DIMENSIONS if use in row.use)
