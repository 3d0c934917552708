"""How far is each warm-up, and does it follow its plan?"""

from __future__ import annotations

from dashboards.board import AMBER, Board, Panel, Row, Variable
from dashboards.query import chosen, where

_SUBJECT = Variable("subject", "IP or domain", "SELECT DISTINCT subject FROM grafana_warm_up ORDER BY 1")
_PROVIDER = Variable("provider", "Mailbox provider", "SELECT DISTINCT provider FROM grafana_warm_up ORDER BY 1")
_OF = where(chosen("subject"), chosen("provider"))
_NONE = "no warm-up is going on: vigie warmup start"

BOARD = Board(
    slug="warmup",
    title="Vigie: warm-up",
    question="How far is each warm-up, does what is sent follow the plan, and which of them needs a person?",
    variables=(_SUBJECT, _PROVIDER),
    since="now-30d",
    rows=(
        Row("Now", (
            Panel("Under way", "Warm-ups that have not been stopped.", f"SELECT count(*) AS under_way FROM grafana_warm_up WHERE stopped_at IS NULL AND {_OF}", "stat", width=6, height=4),
            Panel("Need a person", "Stuck at a step, or days used up with nowhere for the rest.",
                  f"SELECT count(*) AS stuck FROM grafana_warm_up WHERE stopped_at IS NULL AND needs IS NOT NULL AND {_OF}", "stat", width=6, height=4, lines=((1, AMBER),)),
            Panel("Standings", "Where each stands, its cap of today and what of it is sent.",
                  "SELECT subject, provider, standing, plan, step, CASE WHEN standing <> 'warm' THEN per_day->>LEAST(step, json_array_length(per_day) - 1) END AS cap, sent, overflow, needs, started_at FROM grafana_warm_up\n"
                  f"WHERE stopped_at IS NULL AND {_OF} ORDER BY needs NULLS LAST, started_at DESC LIMIT 200", "table", width=24, height=7, no_data=_NONE),
        )),
        Row("Plan and actual", (
            Panel("Cap and sent, day by day", "Two lines each: what the day allowed, and what was sent. No point: a day without mail is no day of a warm-up.",
                  "SELECT time AS \"time\", subject || ' ' || provider || ' ' || what AS metric, value::float AS value FROM (\n"
                  f"  SELECT time, subject, provider, 'cap' AS what, cap AS value FROM grafana_warm_up_day WHERE $__timeFilter(time) AND {_OF}\n"
                  f"  UNION ALL SELECT time, subject, provider, 'sent', sent FROM grafana_warm_up_day WHERE $__timeFilter(time) AND {_OF}) AS day\n"
                  "ORDER BY 1, 2", no_data=_NONE),
            Panel("Moves", "Each day that is over: what was decided, and why.",
                  "SELECT time, subject, provider, was, move, standing, step, cap, sent, delivered, why FROM grafana_warm_up_day\n"
                  f"WHERE $__timeFilter(time) AND {_OF} ORDER BY time DESC, subject LIMIT 200", "table", no_data="no day of a warm-up is over in this period"),
        )),
    ),
)
