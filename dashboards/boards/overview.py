"""What is wrong now, at which provider and for which customer?"""

from __future__ import annotations

from dashboards.board import AMBER, RED, Board, Panel, Row
from dashboards.boards import parts
from dashboards.query import count_over_time, rates_table, where

_OPEN = "state IN ('pending', 'firing', 'recovering') AND ended_at IS NULL"
_FIRING = where("state = 'firing'", "ended_at IS NULL", parts.OF_CUSTOMER, parts.OF_PROVIDER)
_STALE = "now() - COALESCE(succeeded_at, started_at) > interval '1 hour'"

BOARD = Board(
    slug="overview",
    title="Vigie: overview",
    question="What is wrong now, at which provider and for which customer?",
    variables=(parts.CUSTOMER, parts.PROVIDER),
    annotations=parts.notes(parts.OF_CUSTOMER, parts.OF_PROVIDER),
    rows=(
        Row("Now", (
            Panel("Incidents firing", "Incidents in the state firing, silenced ones too.",
                  f"SELECT count(*) AS firing FROM grafana_incident WHERE {_FIRING}", "stat", width=4, height=4, lines=((1, RED),)),
            Panel("Critical", "Of those, the critical ones.",
                  f"SELECT count(*) AS critical FROM grafana_incident WHERE {_FIRING} AND severity = 'critical'", "stat", width=4, height=4, lines=((1, RED),)),
            Panel("Held", "Suspensions in force that stop mail.",
                  f"SELECT count(*) AS held FROM grafana_suspension WHERE in_force AND effect = 'hold' AND {parts.OF_CUSTOMER}", "stat", width=4, height=4, lines=((1, AMBER),)),
            Panel("Slowed", "Suspensions in force that slow mail.",
                  f"SELECT count(*) AS slowed FROM grafana_suspension WHERE in_force AND effect = 'slow' AND {parts.OF_CUSTOMER}", "stat", width=4, height=4, lines=((1, AMBER),)),
            Panel("Groups nobody can judge", "What rules say nothing about, because too little or nothing is known: neither good nor bad.",
                  f"SELECT count(*) AS unknown FROM grafana_verdict WHERE answer = 'unknown' AND {parts.OF_CUSTOMER} AND {parts.OF_PROVIDER}", "stat", width=4, height=4),
            Panel("Collectors silent for an hour", "A collector that does not ask makes everything else look quiet.",
                  f"SELECT count(*) AS stale FROM grafana_collector WHERE {_STALE}", "stat", width=4, height=4, lines=((1, RED),)),
            Panel("Open incidents", "Newest first. Unknown: what kept the last judgement from an answer.",
                  "SELECT id, severity, state, rule, customer, provider, ip, domain, summary, fired_at, acked_by, unknown_reason AS unknown\n"
                  f"FROM grafana_incident WHERE {where(_OPEN, parts.OF_CUSTOMER, parts.OF_PROVIDER)}\nORDER BY severity, started_at DESC LIMIT 200", "table", width=24, height=6,
                  columns={"id": parts.INCIDENT_LINK, "state": "words", "severity": "words", "customer": parts.CUSTOMER_LINK, "provider": parts.PROVIDER_LINK, "ip": parts.IP_LINK},
                  no_data="no open incident for this choice"),
        )),
        Row("Mail in this period", (
            Panel("Delivered by provider", "Messages the provider took over.",
                  count_over_time(["delivered"], "provider", parts.OF_CUSTOMER, parts.OF_PROVIDER), stacked=True),
            parts.rate_panel("complaints", "provider", parts.OF_CUSTOMER, parts.OF_PROVIDER),
            Panel("By provider", "Delivered, and each rate with the count it is made of. No rate: nothing was sent there.",
                  rates_table(["provider"], ["complaints", "blocks", "invalid_addresses", "deferrals"], parts.OF_CUSTOMER, parts.OF_PROVIDER), "table", height=7,
                  columns={"provider": parts.PROVIDER_LINK, **{f"{each}_rate": parts.SHARE for each in ("complaints", "blocks", "invalid_addresses", "deferrals")}}),
            Panel("By customer", "Delivered, and each rate with the count it is made of. No rate: nothing was sent.",
                  rates_table(["customer"], ["complaints", "blocks", "invalid_addresses", "deferrals"], parts.OF_CUSTOMER, parts.OF_PROVIDER), "table", height=7,
                  columns={"customer": parts.CUSTOMER_LINK, **{f"{each}_rate": parts.SHARE for each in ("complaints", "blocks", "invalid_addresses", "deferrals")}}),
        )),
    ),
)
