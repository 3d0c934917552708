"""What is held, and why?"""

from __future__ import annotations

from dashboards.board import AMBER, Board, Panel, Row
from dashboards.boards import parts
from dashboards.query import where

_OF = parts.OF_CUSTOMER

BOARD = Board(
    slug="gate",
    title="Vigie: gate",
    question="What is held or slowed now, why, until when, and how much mail is that?",
    variables=(parts.CUSTOMER,),
    annotations=parts.notes(_OF),
    since="now-30d",
    rows=(
        Row("Now", (
            Panel("Holds", "In force.", f"SELECT count(*) AS holds FROM grafana_suspension WHERE in_force AND effect = 'hold' AND {_OF}", "stat", width=6, height=4, lines=((1, AMBER),)),
            Panel("Slows", "In force.", f"SELECT count(*) AS slows FROM grafana_suspension WHERE in_force AND effect = 'slow' AND {_OF}", "stat", width=6, height=4, lines=((1, AMBER),)),
            Panel("By people", "Put on by hand, not by a rule.", f"SELECT count(*) AS by_hand FROM grafana_suspension WHERE in_force AND rule IS NULL AND {_OF}", "stat", width=6, height=4),
            Panel("Without an end", "In force until somebody lifts them.", f"SELECT count(*) AS endless FROM grafana_suspension WHERE in_force AND until IS NULL AND {_OF}", "stat", width=6, height=4),
            Panel("In force", "Each with what lifts it, and what was delivered a day in the week before it began: the mail it concerns.",
                  "SELECT effect, suspension.scope, text, rule, actor, since, until, lifts_when, incident_id AS id, (\n"
                  "  SELECT round(sum(total) / 7) FROM grafana_daily AS mail WHERE measure = 'delivered' AND mail.time >= since - interval '8 days' AND mail.time < since\n"
                  "  AND (suspension.customer IS NULL OR mail.customer = suspension.customer) AND (suspension.stream IS NULL OR mail.stream = suspension.stream)\n"
                  "  AND (suspension.provider IS NULL OR mail.provider = suspension.provider) AND (suspension.ip IS NULL OR mail.ip = suspension.ip)\n"
                  "  AND (suspension.domain IS NULL OR mail.domain = suspension.domain) AND (suspension.campaign IS NULL OR mail.campaign = suspension.campaign)) AS mails_a_day\n"
                  f"FROM grafana_suspension AS suspension WHERE in_force AND {_OF} ORDER BY since DESC LIMIT 50", "table", width=24,
                  columns={"effect": "words", "id": parts.INCIDENT_LINK}, no_data="nothing is held or slowed"),
        )),
        Row("Before", (
            Panel("Holds and lifts a day", "Suspensions begun and lifted.",
                  "SELECT date_trunc('day', changed) AS \"time\", what AS metric, count(*)::float AS value FROM (\n"
                  f"  SELECT since AS changed, effect AS what FROM grafana_suspension WHERE {_OF}\n"
                  f"  UNION ALL SELECT lifted_at, 'lifted' FROM grafana_suspension WHERE lifted_at IS NOT NULL AND {_OF}) AS change\n"
                  "WHERE $__timeFilter(changed) GROUP BY 1, 2 ORDER BY 1, 2", stacked=True, no_data="nothing was held, slowed or lifted in this period"),
            Panel("Ended", "With who ended it, and why.",
                  "SELECT effect, scope, text, since, lifted_at, lifted_by, lift_reason, incident_id AS id FROM grafana_suspension\n"
                  f"WHERE {where('NOT in_force', '$__timeFilter(since)', _OF)} ORDER BY since DESC LIMIT 200", "table", columns={"effect": "words", "id": parts.INCIDENT_LINK},
                  no_data="no suspension ended in this period"),
        )),
    ),
)
