"""What do the rules say, and how often are they wrong?"""

from __future__ import annotations

from dashboards.board import Board, Panel, Row, Variable
from dashboards.boards import parts
from dashboards.query import chosen, where

_RULE = Variable("rule", "Rule", "SELECT rule FROM grafana_rule ORDER BY 1")
_OF = chosen("rule")

BOARD = Board(
    slug="rules",
    title="Vigie: rules",
    question="What does each rule say now, about how many groups can it say nothing, and were its holds right?",
    variables=(_RULE, parts.CUSTOMER),
    since="now-30d",
    rows=(
        Row("Now", (
            Panel("Rules", "Groups by state. Nothing can be said of insufficient, nodata and unevaluated: that is not ok.",
                  "SELECT rule.rule, mode, rule.severity, count(verdict.rule) AS groups, count(*) FILTER (WHERE verdict.state = 'ok') AS ok,\n"
                  "  count(*) FILTER (WHERE verdict.state IN ('firing', 'pending', 'recovering')) AS firing, count(*) FILTER (WHERE verdict.state IN ('insufficient', 'nodata', 'unevaluated', 'error')) AS unknown,\n"
                  "  rule.judged_at, rule.error FROM grafana_rule AS rule LEFT JOIN grafana_verdict AS verdict ON verdict.rule = rule.rule\n"
                  f"WHERE {chosen('rule', 'rule.rule')} GROUP BY rule.rule, mode, rule.severity, rule.judged_at, rule.error ORDER BY firing DESC, rule.rule", "table", width=24, columns={"severity": "words"}),
            Panel("Groups that are not ok", "Worst first.",
                  "SELECT rule, state, severity, customer, stream, provider, ip, reason, summary, since FROM grafana_verdict\n"
                  f"WHERE {where(_OF, parts.OF_CUSTOMER, 'state <> ' + repr('ok'))} ORDER BY state = 'firing' DESC, severity, since DESC LIMIT 500", "table", width=24,
                  columns={"state": "words", "severity": "words", "customer": parts.CUSTOMER_LINK, "ip": parts.IP_LINK}, no_data="every group of every rule is ok"),
        )),
        Row("False holds", (
            Panel("Holds of rules", "How many began, and how many a person lifted before they ended by themselves: a person who lifts early says that it was wrong, or repaired.",
                  "SELECT rule, count(*) AS holds, count(*) FILTER (WHERE lifted_by IS NOT NULL AND lifted_by <> rule) AS lifted_by_people,\n"
                  "  avg(COALESCE(lifted_at, until, now()) - since) AS mean_length FROM grafana_suspension\n"
                  f"WHERE rule IS NOT NULL AND $__timeFilter(since) AND {_OF} GROUP BY rule ORDER BY holds DESC, rule", "table", no_data="no rule held anything in this period"),
            Panel("Holds a day", "Holds that rules began.", "SELECT date_trunc('day', since) AS \"time\", rule AS metric, count(*)::float AS value FROM grafana_suspension\n"
                  f"WHERE rule IS NOT NULL AND $__timeFilter(since) AND {_OF} GROUP BY 1, 2 ORDER BY 1, 2", stacked=True, no_data="no rule held anything in this period"),
        )),
    ),
)
