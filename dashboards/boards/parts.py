"""What several boards share: choices at the top, annotations, the shipped rules' lines, links into the console and to other boards."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import yaml

from dashboards.board import AMBER, RED, Annotation, Panel, Variable
from dashboards.query import ALL, RATES, chosen, rate_over_time, where

CUSTOMER = Variable("customer", "Customer", "SELECT customer FROM grafana_customer ORDER BY 1")
STREAM = Variable("stream", "Stream", f"SELECT DISTINCT stream FROM grafana_stream WHERE {chosen('customer')} ORDER BY 1")
PROVIDER = Variable(
    "provider", "Mailbox provider",
    "SELECT DISTINCT provider FROM grafana_daily WHERE time > now() - interval '90 days' AND provider IS NOT NULL ORDER BY 1",
)
POOL = Variable("pool", "Pool", f"SELECT pool FROM grafana_pool WHERE {chosen('customer')} ORDER BY 1")
IP = Variable("ip", "Sending IP", f"SELECT ip FROM grafana_ip WHERE {chosen('customer')} AND {chosen('pool')} ORDER BY 1")
DOMAIN = Variable("domain", "Sending domain", f"SELECT domain FROM grafana_domain WHERE {chosen('customer')} ORDER BY 1")

OF_CUSTOMER = chosen("customer")
OF_STREAM = chosen("stream")
OF_PROVIDER = chosen("provider")
OF_IP = f"({chosen('ip')} AND ({ALL} IN (${{pool:sqlstring}}) OR ip IN (SELECT ip FROM grafana_ip WHERE {chosen('pool')})))"
OF_DOMAIN = chosen("domain")

INCIDENT_LINK = "link:Open the incident|${console}/incidents/${__data.fields.id}"
CUSTOMER_LINK = "link:The customer's board|/d/vigie-customer?var-customer=${__value.raw}&${__url_time_range}"
PROVIDER_LINK = "link:The provider's board|/d/vigie-provider?var-provider=${__value.raw}&${__url_time_range}"
IP_LINK = "link:The address's board|/d/vigie-ip?var-ip=${__value.raw}&${__url_time_range}"
SHARE = "percentunit"


def notes(*conditions: str) -> tuple[Annotation, ...]:
    """Incidents from firing to their end, and each hold or lift."""
    rows = where("fired_at IS NOT NULL", "$__timeFilter(fired_at)", *conditions)
    return (
        Annotation("Incidents", "SELECT fired_at AS time, COALESCE(ended_at, now()) AS timeend, rule || ': ' || summary AS text, severity AS tags\n"
                   f"FROM grafana_incident WHERE {rows} ORDER BY fired_at LIMIT 500", RED),
        Annotation("Holds and lifts", "SELECT time, NULL::timestamptz AS timeend, of || ' ' || old || ' to ' || new || ': ' || why AS text, kind AS tags\n"
                   "FROM grafana_transition WHERE kind = 'suspension' AND $__timeFilter(time) ORDER BY time LIMIT 500", AMBER),
    )


@lru_cache(maxsize=1)
def _lines() -> dict[str, float]:
    shipped = yaml.safe_load(files("monitor.rules").joinpath("shipped.yaml").read_text())
    rules = shipped["rules"] if isinstance(shipped, dict) else shipped
    return {rule["id"]: _number(rule["above"]) for rule in rules if "above" in rule}


def _number(written: str | float) -> float:
    return float(written.removesuffix("%")) / 100 if isinstance(written, str) and written.endswith("%") else float(written)


def lines(*rules: tuple[str, str]) -> tuple[tuple[float, str], ...]:
    """(rule id, colour) → the thresholds those shipped rules have, in order."""
    return tuple(sorted((_lines()[rule], color) for rule, color in rules))


_RULE_LINES = {
    "complaints": (("complaints-above-target", AMBER), ("complaint-rate", RED)),
    "blocks": (("blocks", AMBER),),
    "deferrals": (("deferrals", AMBER),),
    "invalid_addresses": (("invalid-addresses", AMBER), ("invalid-addresses-bought", RED)),
    "unsubscribes": (("unsubscribes", AMBER),),
    "dmarc_failures": (("dmarc-failures", AMBER),),
    "tls_failures": (("tls-failures", AMBER),),
}
_ABOUT = {
    "complaints": "Complaints of recipients, of what was delivered, dated by the mail complained of: the newest days still grow. Nothing comes from Gmail by this way.",
    "blocks": "Refusals for reputation or policy, of all that was delivered or blocked.",
    "deferrals": "Attempts answered with 4xx, of all attempts delivered or put off.",
    "invalid_addresses": "Recipients refused for good, of all delivered or refused: a bought or old list shows here first.",
    "unsubscribes": "Recipients who asked to be left out, of what was delivered.",
    "dmarc_failures": "Messages that failed DMARC in receivers' reports; dated by the end of the report's period, a day or two late.",
    "tls_failures": "Sessions that were not encrypted as the policy asks, from TLS reports.",
}


def rate_panel(signal: str, by: str, *conditions: str, width: int = 12) -> Panel:
    """A rate over time by one column, with the lines of the shipped rules about it."""
    rate = RATES[signal]
    return Panel(
        f"{rate.title} by {by}", f"{_ABOUT[signal]} Dashed: where a shipped rule speaks. A gap: nothing was sent.",
        rate_over_time(rate, by, *conditions), unit=SHARE, width=width, lines=lines(*_RULE_LINES[signal]),
    )
