"""The gate: what a sender asks before it sends. Pure and in memory, standard library only; see README.md."""

from monitor.gate.decide import Decision, answer, decide
from monitor.gate.index import STALE_AFTER, Index, build_index
from monitor.gate.match import Match
from monitor.gate.matching import matching
from monitor.gate.names import Providers
from monitor.gate.request import NAMES, Request, canonical, read_request
from monitor.gate.restriction import DIMENSIONS, Reason, Restriction
from monitor.gate.wire import as_wire
from monitor.gate.words import Decided, Effect, ReasonKind, StreamKind

__all__ = [
    "DIMENSIONS",
    "NAMES",
    "STALE_AFTER",
    "Decided",
    "Decision",
    "Effect",
    "Index",
    "Match",
    "Providers",
    "Reason",
    "ReasonKind",
    "Request",
    "Restriction",
    "StreamKind",
    "answer",
    "as_wire",
    "build_index",
    "canonical",
    "decide",
    "matching",
    "read_request",
]
