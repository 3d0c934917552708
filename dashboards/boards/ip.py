"""How does an address, or a pool of them, stand?"""

from __future__ import annotations

from dashboards.board import Board, Panel, Row
from dashboards.boards import parts
from dashboards.query import count_over_time, rates_table, where

_CHOSEN = (parts.OF_IP, parts.OF_PROVIDER)
_SIGNALS = ["complaints", "blocks", "deferrals", "invalid_addresses"]
_SHARES = {f"{each}_rate": parts.SHARE for each in _SIGNALS}
_TARGET = parts.OF_IP.replace("ip IN", "target IN")

BOARD = Board(
    slug="ip",
    title="Vigie: IP and pool",
    question="How does this sending IP or pool stand: who lists it, who refuses it, and since when?",
    variables=(parts.CUSTOMER, parts.POOL, parts.IP, parts.PROVIDER),
    annotations=parts.notes(parts.OF_IP),
    since="now-30d",
    rows=(
        Row("Listings", (
            Panel("Lists now", "What each list last said. Unknown since: it could not be asked, so it is neither listed nor clean.",
                  "SELECT target AS ip, dnsbl, phase, first_seen_at, confirmed_at, checked_at, unknown_reason, unknown_since FROM grafana_listing\n"
                  f"WHERE phase <> 'cleared' AND {_TARGET} ORDER BY first_seen_at DESC LIMIT 200", "table",
                  columns={"ip": parts.IP_LINK, "phase": "words"}, no_data="no list has any of these addresses, as far as lists could be asked"),
            Panel("Listed before", "Ended listings, with how they ended.",
                  "SELECT target AS ip, dnsbl, confirmed_at, cleared_at, cleared_at - confirmed_at AS lasted, ended_reason FROM grafana_listing\n"
                  f"WHERE phase = 'cleared' AND confirmed_at IS NOT NULL AND $__timeFilter(cleared_at) AND {_TARGET} ORDER BY cleared_at DESC LIMIT 200", "table",
                  columns={"ip": parts.IP_LINK}, no_data="no listing ended in this period"),
        )),
        Row("Mail", (
            Panel("By address", "Delivered, and each rate with its count.", rates_table(["ip"], _SIGNALS, *_CHOSEN, "ip IS NOT NULL"), "table",
                  columns={"ip": parts.IP_LINK, **_SHARES}),
            Panel("Outcomes", "What became of the mail of these addresses.",
                  count_over_time(["delivered", "deferral", "block", "hard_bounce"], "measure", *_CHOSEN), stacked=True),
            parts.rate_panel("blocks", "ip", *_CHOSEN),
            parts.rate_panel("complaints", "ip", *_CHOSEN),
            parts.rate_panel("deferrals", "provider", *_CHOSEN),
            Panel("Held or slowed", "Suspensions that name one of these addresses.",
                  f"SELECT effect, scope, text, since, until, lifted_at, incident_id AS id FROM grafana_suspension WHERE {where('ip IS NOT NULL', parts.OF_IP)}\n"
                  "ORDER BY in_force DESC, since DESC LIMIT 100", "table", columns={"effect": "words", "id": parts.INCIDENT_LINK}, no_data="no suspension names these addresses"),
        )),
    ),
)
