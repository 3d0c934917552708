"""Who refuses our mail, and why?"""

from __future__ import annotations

from dashboards.board import Board, Panel, Row, Variable
from dashboards.boards import parts
from dashboards.query import chosen, count_over_time, where

_CATEGORY = Variable("category", "Category", "SELECT DISTINCT category FROM grafana_trace WHERE time > now() - interval '30 days' AND category IS NOT NULL ORDER BY 1")
_CHOSEN = (parts.OF_CUSTOMER, parts.OF_PROVIDER)
_TRACES = where("$__timeFilter(time)", "kind IN ('block', 'bounce', 'deferral')", *_CHOSEN, chosen("category"))

BOARD = Board(
    slug="blocks",
    title="Vigie: blocks and invalid addresses",
    question="Who refuses our mail, in which words, whose mail is it, and which addresses do not exist?",
    variables=(parts.CUSTOMER, parts.PROVIDER, _CATEGORY),
    annotations=parts.notes(*_CHOSEN),
    since="now-30d",
    rows=(
        Row("How much", (
            parts.rate_panel("blocks", "provider", *_CHOSEN),
            parts.rate_panel("invalid_addresses", "customer", *_CHOSEN),
            Panel("Refusals", "Blocks, bounces for good and for a time, and attempts put off.",
                  count_over_time(["block", "hard_bounce", "soft_bounce", "deferral"], "measure", *_CHOSEN), stacked=True),
            Panel("Why", "Of the refusals kept one by one: the category by who refuses.",
                  f"SELECT category, provider, customer, sum(count) AS times, max(time) AS newest FROM grafana_trace WHERE {_TRACES}\n"
                  "GROUP BY category, provider, customer ORDER BY times DESC, newest DESC LIMIT 100", "table",
                  columns={"provider": parts.PROVIDER_LINK, "customer": parts.CUSTOMER_LINK}, no_data="no refusal was kept in this period"),
        )),
        Row("In which words", (
            Panel("Replies", "The same reply by how often.",
                  f"SELECT kind, reply_code, status, category, text, provider, sum(count) AS times, max(time) AS newest FROM grafana_trace WHERE {_TRACES}\n"
                  "GROUP BY kind, reply_code, status, category, text, provider ORDER BY times DESC, newest DESC LIMIT 100", "table", width=24,
                  columns={"provider": parts.PROVIDER_LINK}, no_data="no refusal was kept in this period"),
            Panel("One by one", "Newest first, without the recipient; `vigie trace --recipient` finds an address.",
                  f"SELECT time, kind, customer, stream, campaign, ip, provider, category, status, text FROM grafana_trace WHERE {_TRACES} ORDER BY time DESC LIMIT 200", "table", width=24,
                  columns={"customer": parts.CUSTOMER_LINK, "ip": parts.IP_LINK}, no_data="no refusal was kept in this period"),
        )),
    ),
)
