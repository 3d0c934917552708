"""How does a sending domain stand?"""

from __future__ import annotations

from dashboards.board import Board, Panel, Row
from dashboards.boards import parts
from dashboards.query import count_over_time, rates_table

_CHOSEN = (parts.OF_CUSTOMER, parts.OF_DOMAIN)
_SIGNALS = ["complaints", "blocks", "invalid_addresses"]

BOARD = Board(
    slug="domain",
    title="Vigie: domain",
    question="How does this sending domain stand: is it authenticated where it arrives, listed anywhere, complained of?",
    variables=(parts.CUSTOMER, parts.DOMAIN),
    annotations=parts.notes(parts.OF_DOMAIN),
    since="now-30d",
    rows=(
        Row("Authentication, as receivers report it", (
            parts.rate_panel("dmarc_failures", "domain", *_CHOSEN),
            Panel("Messages in DMARC reports", "Passed and failed, dated by the end of the report's period. No bar: no report, not no mail.",
                  count_over_time(["dmarc_pass", "dmarc_fail"], "measure", *_CHOSEN), stacked=True,
                  no_data="no DMARC report named these domains: is there an rua record, and is its mailbox read?"),
            parts.rate_panel("tls_failures", "domain", *_CHOSEN),
            Panel("Lists now", "Lists that name one of these domains.",
                  "SELECT target AS domain, dnsbl, phase, first_seen_at, checked_at, unknown_reason, unknown_since FROM grafana_listing\n"
                  f"WHERE phase <> 'cleared' AND {parts.OF_DOMAIN.replace('domain IN', 'target IN')} AND target IN (SELECT domain FROM grafana_domain) ORDER BY first_seen_at DESC LIMIT 100", "table",
                  columns={"phase": "words"}, no_data="no list has any of these domains, as far as lists could be asked"),
        )),
        Row("Mail", (
            Panel("By domain", "Delivered, and each rate with its count.", rates_table(["domain"], _SIGNALS, *_CHOSEN, "domain IS NOT NULL"), "table", width=24,
                  columns={f"{each}_rate": parts.SHARE for each in _SIGNALS}),
            parts.rate_panel("complaints", "domain", *_CHOSEN),
            parts.rate_panel("blocks", "domain", *_CHOSEN),
        )),
    ),
)
