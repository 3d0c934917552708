"""How is one customer's mail doing?"""

from __future__ import annotations

from dashboards.board import Board, Panel, Row
from dashboards.boards import parts
from dashboards.query import count_over_time, rates_table, where

_CHOSEN = (parts.OF_CUSTOMER, parts.OF_STREAM)
_SIGNALS = ["complaints", "blocks", "invalid_addresses", "deferrals", "unsubscribes"]
_SHARES = {f"{each}_rate": parts.SHARE for each in _SIGNALS}

BOARD = Board(
    slug="customer",
    title="Vigie: customer",
    question="How is this customer's mail doing, at which provider and in which stream does it go wrong, and what holds it?",
    variables=(parts.CUSTOMER, parts.STREAM),
    annotations=parts.notes(parts.OF_CUSTOMER),
    since="now-30d",
    rows=(
        Row("What holds it", (
            Panel("In force", "Suspensions of this customer, why, and what lifts them.",
                  "SELECT effect, scope, text, rule, since, until, lifts_when, incident_id AS id FROM grafana_suspension\n"
                  f"WHERE in_force AND {parts.OF_CUSTOMER} ORDER BY since DESC LIMIT 100", "table", height=6,
                  columns={"effect": "words", "id": parts.INCIDENT_LINK}, no_data="nothing of this customer is held or slowed"),
            Panel("Incidents", "Open first, then by their beginning.",
                  "SELECT id, severity, state, rule, stream, provider, summary, started_at, ended_at FROM grafana_incident\n"
                  f"WHERE {where(parts.OF_CUSTOMER, '(ended_at IS NULL OR $__timeFilter(started_at))')}\nORDER BY ended_at IS NOT NULL, started_at DESC LIMIT 100", "table", height=6,
                  columns={"id": parts.INCIDENT_LINK, "severity": "words", "state": "words"}, no_data="no incident of this customer in this period"),
        )),
        Row("Mail", (
            Panel("Delivered by stream", "Messages taken over by providers.", count_over_time(["delivered"], "stream", *_CHOSEN), stacked=True),
            Panel("By provider", "Delivered, and each rate with its count.", rates_table(["provider"], _SIGNALS, *_CHOSEN), "table",
                  columns={"provider": parts.PROVIDER_LINK, **_SHARES}),
            Panel("By stream", "Delivered, and each rate with its count.", rates_table(["stream"], _SIGNALS, *_CHOSEN), "table", columns=_SHARES),
            Panel("By campaign", "Delivered, and each rate with its count; 'unknown' is mail that names no campaign.",
                  rates_table(["campaign"], _SIGNALS, *_CHOSEN, limit=50), "table", columns=_SHARES),
        )),
        Row("Rates", (
            parts.rate_panel("complaints", "provider", *_CHOSEN),
            parts.rate_panel("invalid_addresses", "stream", *_CHOSEN),
            parts.rate_panel("blocks", "provider", *_CHOSEN),
            parts.rate_panel("unsubscribes", "stream", *_CHOSEN),
        )),
    ),
)
