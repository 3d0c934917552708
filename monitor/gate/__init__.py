"""The gate: what a sender asks before it sends. Pure and in memory; see README.md."""

from monitor.gate.decide import Decision, decide
from monitor.gate.index import DIMENSIONS, Index, Reason, Restriction, build_index
from monitor.gate.request import Request, canonical, read_request

__all__ = [
    "DIMENSIONS",
    "Decision",
    "Index",
    "Reason",
    "Request",
    "Restriction",
    "build_index",
    "canonical",
    "decide",
    "read_request",
]
