"""Do we see what there is to see?"""

from __future__ import annotations

from dashboards.board import Board, Panel, Row, Variable
from dashboards.query import chosen

_COLLECTOR = Variable("collector", "Collector", "SELECT collector FROM grafana_collector ORDER BY 1")
_OF = chosen("collector")

BOARD = Board(
    slug="collectors",
    title="Vigie: collectors",
    question="Do we see what there is to see: does every collector run, and how old is the newest of each figure?",
    variables=(_COLLECTOR,),
    rows=(
        Row("Runs", (
            Panel("Collectors", "The newest run of each, and when one last got answers.",
                  "SELECT collector, outcome AS state, reason, text, started_at, ended_at, succeeded_at, now() - succeeded_at AS since_success, unknowns\n"
                  f"FROM grafana_collector WHERE {_OF} ORDER BY succeeded_at NULLS FIRST, collector", "table", width=24, columns={"state": "words"}),
            Panel("Runs by outcome", "Per hour.", "SELECT date_trunc('hour', started_at) AS \"time\", outcome AS metric, count(*)::float AS value\n"
                  f"FROM grafana_run WHERE $__timeFilter(started_at) AND {_OF} GROUP BY 1, 2 ORDER BY 1, 2", stacked=True),
            Panel("How long they take", "The longest run of each hour.", "SELECT date_trunc('hour', started_at) AS \"time\", collector AS metric, max(extract(epoch FROM ended_at - started_at))::float AS value\n"
                  f"FROM grafana_run WHERE $__timeFilter(started_at) AND ended_at IS NOT NULL AND {_OF} GROUP BY 1, 2 ORDER BY 1, 2", unit="s"),
            Panel("Failures", "Newest first, with their reason.", "SELECT started_at, collector, outcome AS state, reason, text FROM grafana_run\n"
                  f"WHERE $__timeFilter(started_at) AND outcome = 'failed' AND {_OF} ORDER BY started_at DESC LIMIT 100", "table", columns={"state": "words"}, no_data="no run failed in this period"),
            Panel("Parked", "Input that could not be understood: `vigie mail parked`.", "SELECT date_trunc('hour', started_at) AS \"time\", collector AS metric, sum(parked)::float AS value\n"
                  f"FROM grafana_run WHERE $__timeFilter(started_at) AND {_OF} GROUP BY 1, 2 ORDER BY 1, 2", stacked=True),
        )),
        Row("Freshness", (
            Panel("Newest figure of each measure", "When something was last counted, by roll-up of the hour; a feed that fell silent stands on top.",
                  "SELECT measure, max(time) AS newest_hour, now() - max(time) AS age, sum(total) AS counted, sum(unknowns) AS unknowns FROM grafana_hourly\n"
                  "WHERE $__timeFilter(time) GROUP BY measure ORDER BY newest_hour, measure", "table", width=12),
            Panel("States that are unknown now", "What could not be asked, since when, and why.",
                  "SELECT measure, COALESCE(dnsbl, mailbox, collector, operator) AS source, reason, count(*) AS targets, min(unknown_since) AS unknown_since FROM grafana_now\n"
                  "WHERE reason IS NOT NULL GROUP BY 1, 2, 3 ORDER BY unknown_since LIMIT 200", "table", width=12, no_data="every state is known"),
        )),
    ),
)
