"""Who is listed where?"""

from __future__ import annotations

from dashboards.board import AMBER, RED, Board, Panel, Row, Variable
from dashboards.boards import parts
from dashboards.query import chosen, where

_LIST = Variable("dnsbl", "List", "SELECT DISTINCT dnsbl FROM grafana_listing ORDER BY 1")
_OF_LIST = chosen("dnsbl")
_OPEN = where("phase <> 'cleared'", _OF_LIST)

BOARD = Board(
    slug="listings",
    title="Vigie: listings",
    question="Which of our addresses and domains are on which list, since when, and which lists can be believed now?",
    variables=(_LIST,),
    annotations=parts.notes(),
    since="now-30d",
    rows=(
        Row("Now", (
            Panel("Listed", "Confirmed listings.", f"SELECT count(*) AS listed FROM grafana_listing WHERE phase = 'listed' AND {_OF_LIST}", "stat", width=6, height=4, lines=((1, RED),)),
            Panel("Suspected", "Seen once; confirmed by a second answer, or not.",
                  f"SELECT count(*) AS suspected FROM grafana_listing WHERE phase = 'suspected' AND {_OF_LIST}", "stat", width=6, height=4, lines=((1, AMBER),)),
            Panel("Lists not believed", "Lists that answer their own test entries wrongly: what they say counts for nothing until they pass again.",
                  "SELECT count(*) AS failing FROM grafana_now WHERE measure = 'canary' AND value = 0 AND reason IS NULL", "stat", width=6, height=4, lines=((1, AMBER),)),
            Panel("Questions without an answer", "Targets whose newest question to a list was not answered: neither listed nor clean.",
                  f"SELECT count(*) AS unknown FROM grafana_now WHERE measure = 'listing' AND reason IS NOT NULL AND {_OF_LIST}", "stat", width=6, height=4, lines=((1, AMBER),)),
            Panel("Open listings", "With what could not be asked since.",
                  "SELECT target AS ip, dnsbl, phase, baseline AS listed_when_first_seen, first_seen_at, confirmed_at, checked_at, unknown_reason, unknown_since\n"
                  f"FROM grafana_listing WHERE {_OPEN} ORDER BY first_seen_at DESC LIMIT 500", "table", width=24,
                  columns={"ip": parts.IP_LINK, "phase": "words"}, no_data="nothing of ours is on any list, as far as lists could be asked"),
        )),
        Row("History", (
            Panel("Begun and ended", "Listings confirmed and ended per day.",
                  "SELECT date_trunc('day', changed) AS \"time\", what AS metric, count(*)::float AS value FROM (\n"
                  f"  SELECT confirmed_at AS changed, 'begun' AS what FROM grafana_listing WHERE confirmed_at IS NOT NULL AND {_OF_LIST}\n"
                  f"  UNION ALL SELECT cleared_at, 'ended' FROM grafana_listing WHERE confirmed_at IS NOT NULL AND cleared_at IS NOT NULL AND {_OF_LIST}) AS change\n"
                  "WHERE $__timeFilter(changed) GROUP BY 1, 2 ORDER BY 1, 2", stacked=True, no_data="no listing began or ended in this period"),
            Panel("Lists", "What each list answers about its own test entries, and how many questions stay open.",
                  "SELECT dnsbl, min(CASE WHEN measure = 'canary' THEN CASE WHEN reason IS NOT NULL THEN 'unknown' WHEN value = 1 THEN 'ok' ELSE 'failed' END END) AS state,\n"
                  "  count(*) FILTER (WHERE measure = 'listing') AS asked, count(*) FILTER (WHERE measure = 'listing' AND reason IS NOT NULL) AS unanswered, max(checked_at) AS checked_at\n"
                  f"FROM grafana_now WHERE measure IN ('canary', 'listing') AND dnsbl IS NOT NULL AND {_OF_LIST} GROUP BY dnsbl ORDER BY dnsbl", "table", columns={"state": "words"}),
        )),
    ),
)
