"""One board a file, each with its question."""

from __future__ import annotations

from dashboards.board import Board
from dashboards.boards import (
    blocks,
    collectors,
    complaints,
    customer,
    domain,
    gate,
    incidents,
    ip,
    listings,
    overview,
    provider,
    rules,
    warmup,
)

BOARDS: tuple[Board, ...] = tuple(
    module.BOARD for module in (overview, provider, customer, ip, domain, listings, complaints, blocks, warmup, gate, incidents, collectors, rules)
)
