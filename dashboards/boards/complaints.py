"""Who complains, and do all loops report?"""

from __future__ import annotations

from dashboards.board import Board, Panel, Row
from dashboards.boards import parts
from dashboards.query import count_over_time, periods, rates_table, total, zero

_CHOSEN = (parts.OF_CUSTOMER, parts.OF_PROVIDER)
_REPORTS = ["complaint", "unverified_complaint"]

BOARD = Board(
    slug="complaints",
    title="Vigie: complaints and feedback loops",
    question="Who complains of whose mail, and where do we hear nothing because no loop covers it?",
    variables=(parts.CUSTOMER, parts.PROVIDER),
    annotations=parts.notes(*_CHOSEN),
    since="now-30d",
    rows=(
        Row("Complaints", (
            parts.rate_panel("complaints", "customer", *_CHOSEN),
            parts.rate_panel("complaints", "provider", *_CHOSEN),
            Panel("Verified and not", "Complaints from who speaks for the recipient's provider, and others, which are held against nobody.",
                  count_over_time(_REPORTS, "measure", *_CHOSEN), stacked=True),
            Panel("Streams", "Delivered, complaints and unsubscribes with their rates.", rates_table(["customer", "stream"], ["complaints", "unsubscribes"], *_CHOSEN), "table",
                  columns={"customer": parts.CUSTOMER_LINK, "complaints_rate": parts.SHARE, "unsubscribes_rate": parts.SHARE}),
        )),
        Row("Coverage", (
            Panel("Mail and complaints by provider", "A provider with much mail and no complaint at all is likely not covered by a loop.",
                  f"SELECT COALESCE(provider, 'unknown') AS provider, {zero(total('delivered'))} AS delivered, {zero(total('complaint'))} AS complaints,\n"
                  f"  {total('complaint')} / NULLIF({total('delivered')}, 0) AS complaints_rate\n"
                  f"FROM {periods(['delivered', 'complaint'], ['provider'], *_CHOSEN)} GROUP BY provider ORDER BY delivered DESC LIMIT 100", "table",
                  columns={"provider": parts.PROVIDER_LINK, "complaints_rate": parts.SHARE}),
            Panel("Enrolments", "Our side of each loop; what ends soon has to be renewed.",
                  "SELECT provider, kind, subject, state, requested_at, active_at, ends_at FROM grafana_enrolment ORDER BY ends_at NULLS LAST, provider LIMIT 200", "table",
                  no_data="no enrolment is noted: vigie fbl"),
            Panel("Complaints one by one", "Newest first, without the recipient.",
                  "SELECT time, customer, stream, campaign, ip, provider, how, text FROM grafana_trace\n"
                  f"WHERE kind = 'complaint' AND $__timeFilter(time) AND {parts.OF_CUSTOMER} AND {parts.OF_PROVIDER} ORDER BY time DESC LIMIT 200", "table", width=24,
                  columns={"customer": parts.CUSTOMER_LINK, "ip": parts.IP_LINK}, no_data="no complaint in this period"),
        )),
    ),
)
