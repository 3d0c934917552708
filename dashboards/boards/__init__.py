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
)

BOARDS: tuple[Board, ...] = tuple(
    module.BOARD for module in (overview, provider, customer, ip, domain, listings, complaints, blocks, gate, incidents, collectors, rules)
)
