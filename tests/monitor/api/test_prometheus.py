"""Rules and alerts in Prometheus' own shape, as Grafana's list of rules reads them."""

from monitor.rules.conditions.table import RULE
from tests.monitor.api.running import NOW, running
from tests.monitor.api.test_alertmanager import incident

RATE = RULE.validate_python({
    "id": "complaint-rate", "condition": "ratio", "signal": "complaints", "severity": "critical", "above": "0.3%",
    "clear": {"below": "0.1%"}, "runbook": "ask", "for": "5m", "keep_firing_for": "10m", "labels": {"team": "delivery"},
})
LISTED = RULE.validate_python({"id": "ip-listed", "condition": "listing", "severity": "warning", "min_weight": 0.7})


def test_rules_with_their_alerts(store):
    with running(store, rules=(RATE, LISTED)) as vigie:
        with store.session() as session:
            row = incident("inc-acme", "acme")
            row.evidence = {"words": "complaint rate", "numerator": 82, "denominator": 20_000, "line": 0.003, "since": NOW.isoformat(), "rate": 0.0041}
            session.add_all([row, incident("inc-bolt", "bolt", state="pending")])
        reader = vigie.client("read")
        answer = reader.get("/api/v1/rules").json()
        assert answer["status"] == "success"
        (group,) = answer["data"]["groups"]
        rate, listed = group["rules"]
        assert (rate["name"], rate["type"], rate["state"], rate["duration"], rate["keepFiringFor"], rate["health"]) == (
            "complaint-rate", "alerting", "firing", 300, 600, "unknown")
        assert (rate["labels"], rate["annotations"]) == ({"team": "delivery", "severity": "critical"}, {"runbook": "ask"})
        assert sorted((alert["state"], alert["labels"]["customer"], alert["value"]) for alert in rate["alerts"]) == [
            ("firing", "acme", "4.100000e-03"), ("pending", "bolt", "1e+00")]
        assert (listed["state"], listed["alerts"]) == ("inactive", [])
        fence = store.claim("judge", "me", NOW, NOW - NOW, due_only=False)
        store.done("judge", "me", fence, NOW, NOW)
        assert reader.get("/api/v1/rules").json()["data"]["groups"][0]["lastEvaluation"] == "2026-01-02T03:04:05Z"
        assert reader.get("/api/v1/rules", params={"type": "record"}).json()["data"]["groups"] == []
        own = vigie.client("read", customer="acme")
        alerts = own.get("/api/v1/alerts").json()["data"]["alerts"]
        assert [(alert["labels"]["alertname"], alert["activeAt"][:10]) for alert in alerts] == [("complaint-rate", "2026-01-02")]
        assert own.get("/api/v1/rules").json()["data"]["groups"][0]["rules"][0]["state"] == "firing"
        assert reader.get("/api/v1/status/buildinfo").json()["data"]["version"]
        assert vigie.client().get("/api/v1/rules").status_code == 401
