"""What happened, and was it dealt with?"""

from __future__ import annotations

from dashboards.board import AMBER, Board, Panel, Row, Variable
from dashboards.boards import parts
from dashboards.query import chosen, where

_RULE = Variable("rule", "Rule", "SELECT DISTINCT rule FROM grafana_incident ORDER BY 1")
_OF = where(chosen("rule"), parts.OF_CUSTOMER)

BOARD = Board(
    slug="incidents",
    title="Vigie: incidents",
    question="What happened, how long did it last, did somebody take it, and was anybody notified?",
    variables=(_RULE, parts.CUSTOMER),
    since="now-30d",
    rows=(
        Row("In this period", (
            Panel("Begun", "Incidents that fired.", f"SELECT count(*) AS begun FROM grafana_incident WHERE $__timeFilter(fired_at) AND {_OF}", "stat", width=6, height=4),
            Panel("Nobody's", "Firing and acknowledged by nobody.",
                  f"SELECT count(*) AS nobodys FROM grafana_incident WHERE state = 'firing' AND ended_at IS NULL AND acked_by IS NULL AND {_OF}", "stat", width=6, height=4, lines=((1, AMBER),)),
            Panel("Typical length", "Median from firing to the end.", "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at - fired_at)) AS seconds\n"
                  f"FROM grafana_incident WHERE ended_at IS NOT NULL AND $__timeFilter(fired_at) AND {_OF}", "stat", unit="s", width=6, height=4),
            Panel("Messages not delivered", "Messages to people that wait after failing, or were given up.",
                  "SELECT count(*) AS failing FROM grafana_notification WHERE $__timeFilter(time) AND sent_at IS NULL AND attempts > 0", "stat", width=6, height=4, lines=((1, AMBER),)),
            Panel("Begun a day by severity", "Incidents that fired.",
                  "SELECT date_trunc('day', fired_at) AS \"time\", severity AS metric, count(*)::float AS value\n"
                  f"FROM grafana_incident WHERE $__timeFilter(fired_at) AND {_OF} GROUP BY 1, 2 ORDER BY 1, 2", stacked=True, no_data="no incident fired in this period"),
            Panel("By rule", "How often each rule fired, and how long.",
                  "SELECT rule, count(*) AS incidents, sum(COALESCE(ended_at, now()) - fired_at) AS together, count(*) FILTER (WHERE acked_by IS NULL) AS nobodys\n"
                  f"FROM grafana_incident WHERE $__timeFilter(fired_at) AND {_OF} GROUP BY rule ORDER BY incidents DESC, rule LIMIT 100", "table", no_data="no incident fired in this period"),
        )),
        Row("One by one", (
            Panel("Incidents", "Newest first.",
                  "SELECT id, severity, state, rule, customer, provider, ip, summary, started_at, fired_at, ended_at, acked_by FROM grafana_incident\n"
                  f"WHERE (ended_at IS NULL OR $__timeFilter(started_at)) AND {_OF} ORDER BY started_at DESC LIMIT 500", "table", width=24,
                  columns={"id": parts.INCIDENT_LINK, "severity": "words", "state": "words", "customer": parts.CUSTOMER_LINK, "ip": parts.IP_LINK}),
            Panel("Messages", "To whom, what, and whether it arrived.",
                  "SELECT time, receiver, event, severity, title, state, attempts, sent_at, last_error FROM grafana_notification WHERE $__timeFilter(time) ORDER BY time DESC LIMIT 200", "table", width=24,
                  columns={"severity": "words", "state": "words"}, no_data="nobody was notified in this period"),
        )),
    ),
)
