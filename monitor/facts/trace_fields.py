"""A trace as it is kept: recipients by their keyed hash, also within its text, and nothing unseen in any name.

Traces of one intake share most of their words (customers, providers, replies), and a bounce names its recipient twice:
what was cleaned or hashed once is remembered until the intake is over.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from collectors.cleaning import kept
from collectors.dimensions import Use, names
from collectors.observation import Trace
from collectors.traces import TraceKind
from monitor.database.recipient_keys import RecipientKeys, redacted
from monitor.database.rows import TRACE_COLUMNS
from monitor.database.tables import digest_bytes
from monitor.facts.message_ids import message_hash
from monitor.facts.series_ids import INDEXED_LENGTH

TraceFields = tuple[Any, ...]  # the columns of TRACE_COLUMNS from `kind` on
REF = TRACE_COLUMNS[4:].index("recipient_ref")
_ABOUT = attrgetter(*names(Use.TRACE))  # the customer first, who is never NULL


class _Kept(dict[str | None, str | None]):
    def __missing__(self, text: str | None) -> str | None:
        self[text] = clean = text and kept(text)
        return clean


class _Hashes(dict[str, str]):
    def __init__(self, keys: RecipientKeys) -> None:
        self._keys = keys

    def __missing__(self, address: str) -> str:
        self[address] = digest = self._keys.hash(address)
        return digest


class FieldsOf:
    """Makes the fields of the traces of one intake."""

    def __init__(self, keys: RecipientKeys) -> None:
        self._keys = keys
        self._kept = _Kept()
        self._hashes = _Hashes(keys)

    def __call__(self, trace: Trace) -> TraceFields:
        shared = self._kept
        recipient = self._hashes[trace.recipient] if trace.recipient else trace.recipient_hash
        message_id = trace.message_id and kept(self._keys.redacted_id(trace.message_id)[:INDEXED_LENGTH])
        customer, *about = _ABOUT(trace.subject)
        return (
            TraceKind(trace.kind).value, shared[customer or ""], *[shared[each] for each in about],
            recipient and digest_bytes(recipient), self._ref(trace),
            message_id, message_id and digest_bytes(message_hash(message_id)),
            shared[trace.category], shared[trace.status], shared[trace.reply_code],
            trace.text and kept(redacted(trace.text, self._hashes.__getitem__)), shared[trace.how], trace.count,
        )  # fmt: skip

    def _ref(self, trace: Trace) -> str | None:
        """The recipient among the customer's: as our own token or record says, else as the report does."""
        customer = trace.subject.customer
        if trace.recipient_ref or not (trace.recipient and customer):
            return trace.recipient_ref and kept(trace.recipient_ref)
        return self._keys.ref(customer, trace.recipient)
