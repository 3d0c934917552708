"""The gate: what a sender asks before it sends. Pure and in memory, standard library only; see README.md."""

from monitor.gate.decide import STALE_AFTER, Decision, decide
from monitor.gate.index import DIMENSIONS, Index, Reason, Restriction, build_index
from monitor.gate.names import Providers
from monitor.gate.request import NAMES, Request, canonical, read_request
from monitor.gate.words import Decided, Effect, ReasonKind, StreamKind

__all__ = [
    "DIMENSIONS",
    "NAMES",
    "STALE_AFTER",
    "Decided",
    "Decision",
    "Effect",
    "Index",
    "Providers",
    "Reason",
    "ReasonKind",
    "Request",
    "Restriction",
    "StreamKind",
    "build_index",
    "canonical",
    "decide",
    "read_request",
]
