"""How does one mailbox provider treat us?"""

from __future__ import annotations

from dashboards.board import Board, Panel, Row
from dashboards.boards import parts
from dashboards.query import count_over_time, periods, rates_table, total, where, zero

_CHOSEN = (parts.OF_CUSTOMER, parts.OF_PROVIDER)
_SIGNALS = ["complaints", "blocks", "invalid_addresses", "deferrals", "unsubscribes"]

BOARD = Board(
    slug="provider",
    title="Vigie: provider",
    question="How does this mailbox provider treat our mail, whose mail does it refuse, and in which words?",
    variables=(parts.PROVIDER, parts.CUSTOMER),
    annotations=parts.notes(*_CHOSEN),
    rows=(
        Row("Rates", (
            parts.rate_panel("complaints", "customer", *_CHOSEN),
            parts.rate_panel("blocks", "customer", *_CHOSEN),
            parts.rate_panel("deferrals", "customer", *_CHOSEN),
            parts.rate_panel("invalid_addresses", "customer", *_CHOSEN),
        )),
        Row("Whose mail", (
            Panel("Outcomes", "What became of the mail at this provider.",
                  count_over_time(["delivered", "deferral", "block", "hard_bounce", "soft_bounce"], "measure", *_CHOSEN), stacked=True),
            Panel("Customers and streams", "Delivered, and each rate with its count.", rates_table(["customer", "stream"], _SIGNALS, *_CHOSEN), "table",
                  columns={"customer": parts.CUSTOMER_LINK, **{f"{each}_rate": parts.SHARE for each in _SIGNALS}}),
            Panel("Sending IPs", "The addresses with the most refusals for reputation or policy.",
                  f"SELECT ip, {zero(total('delivered'))} AS delivered, {zero(total('block'))} AS blocks, {zero(total('deferral'))} AS deferrals\n"
                  f"FROM {periods(['delivered', 'block', 'deferral'], ['ip'], *_CHOSEN)} WHERE ip IS NOT NULL\nGROUP BY ip ORDER BY blocks DESC, ip LIMIT 50", "table",
                  columns={"ip": parts.IP_LINK}),
            Panel("Its words", "Replies by how often, newest first among equals.",
                  "SELECT kind, category, status, text, sum(count) AS times, max(time) AS newest\n"
                  f"FROM grafana_trace WHERE {where('$__timeFilter(time)', 'kind IN (' + repr('block') + ', ' + repr('deferral') + ', ' + repr('bounce') + ')', *_CHOSEN)}\n"
                  "GROUP BY kind, category, status, text ORDER BY times DESC, newest DESC LIMIT 50", "table",
                  no_data="no reply of this provider was kept in this period"),
        )),
    ),
)
