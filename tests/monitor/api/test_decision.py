import json
from importlib import resources

import pytest

from monitor.gate import Decision, Reason
from monitor.gate.request import KNOWN_FIELDS
from monitor.restrictions import suspensions
from tests.monitor.api.running import NOW
from tests.waiting import eventually

FIELDS = {"customer": "acme", "stream": "news", "ip": "192.0.2.7", "recipient_domain": "gmail.com"}
DECISION_KEYS = {
    "decision", "reasons", "retry_after_seconds", "rate_per_hour", "allowance_left", "pool", "version", "valid_until",
}
REASON_KEYS = {"kind", "scope", "effect", "rule", "incident", "text", "until", "lifts_when"}


def hold(vigie, **scope):
    with vigie.store.session() as session:
        return suspensions.hold(session, scope=scope, effect="hold", actor="dana", reason="a test", now=NOW).id


def test_a_decision_has_exactly_the_fields_of_the_contract(vigie):
    sender = vigie.client("gate")
    assert sender.post("/v1/decision", json=FIELDS).json() == {
        "decision": "send", "reasons": [], "retry_after_seconds": None, "rate_per_hour": None, "allowance_left": None,
        "pool": None, "version": 0, "valid_until": "2026-01-02T03:19:05Z",
    }
    hold(vigie, customer="acme", provider="gmail")
    vigie.gate.refresh(vigie.store, NOW)
    answer = sender.post("/v1/decision", json=FIELDS).json()
    assert answer.keys() == DECISION_KEYS
    (reason,) = answer["reasons"]
    assert reason.keys() == REASON_KEYS
    assert (answer["decision"], reason["text"], answer["version"]) == ("hold", "a test", 1)
    assert reason["scope"] == {"customer": "acme", "provider": "gmail"}


def test_a_change_in_the_database_reaches_the_gate_by_itself(vigie):
    sender = vigie.client("gate")
    suspension = hold(vigie, customer="acme")
    eventually(lambda: sender.post("/v1/decision", json=FIELDS).json()["decision"] == "hold")
    with vigie.store.session() as session:
        suspensions.lift(session, suspension, actor="dana", reason="repaired", now=NOW)
    eventually(lambda: sender.post("/v1/decision", json=FIELDS).json()["decision"] == "send")


def test_many_decisions_are_answered_in_the_order_asked(vigie):
    hold(vigie, customer="acme", provider="orange")
    vigie.gate.refresh(vigie.store, NOW)
    requests = [FIELDS | {"recipient_domain": domain} for domain in ("gmail.com", "orange.fr", "gmail.com")]
    sender = vigie.client("gate")
    for body in ({"requests": requests}, requests):
        answers = sender.post("/v1/decisions", json=body).json()["decisions"]
        assert [answer["decision"] for answer in answers] == ["send", "hold", "send"]


def test_ten_thousand_decisions_go_in_one_call_and_one_more_does_not(vigie):
    sender = vigie.client("gate")
    answer = sender.post("/v1/decisions", json={"requests": [FIELDS] * 10_000})
    assert len(answer.json()["decisions"]) == 10_000
    assert sender.post("/v1/decisions", json={"requests": [FIELDS] * 10_001}).status_code == 422


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/v1/decision", b"{", 400, "not JSON"),
        ("/v1/decision", b"[]", 422, "JSON object"),
        ("/v1/decision", b'{"customer": "acme", "ip": "x"}', 422, "ip"),
        ("/v1/decision", b" " * 20_000, 413, "larger"),
        ("/v1/decisions", b'{"requests": 7}', 422, "requests"),
        ("/v1/decisions", b'{"requests": [{"customer": "acme"}, {}]}', 422, "1 of 2"),
    ],
)
def test_what_is_wrong_with_a_request_is_a_problem(vigie, path, body, status, says):
    answer = vigie.client("gate").post(path, content=body)
    problem = answer.json()
    assert answer.status_code == problem["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in problem["detail"]


def test_a_key_is_needed_with_the_scope_gate_and_for_ones_own_customer(vigie):
    nobody = vigie.client().post("/v1/decision", json=FIELDS)
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, 'Bearer realm="vigie"')
    assert vigie.client("read").post("/v1/decision", json=FIELDS).status_code == 403
    assert vigie.client("gate", customer="bolt").post("/v1/decision", json=FIELDS).status_code == 403
    assert vigie.client("gate", customer="acme").post("/v1/decision", json=FIELDS).status_code == 200
    assert vigie.client("gate").get("/v1/decision").status_code == 405


def test_the_database_going_away_does_not_stop_the_gate(vigie):
    sender = vigie.client("gate")
    hold(vigie, customer="acme")
    vigie.gate.refresh(vigie.store, NOW)
    vigie.store.close()
    vigie.store.reading_session = _away
    vigie.clock.move(minutes=3)
    answer = sender.post("/v1/decision", json=FIELDS).json()
    assert answer["decision"] == "hold"
    assert [reason["kind"] for reason in answer["reasons"]] == ["suspension", "stale"]
    assert sender.get("/readyz").status_code == 503
    assert sender.get("/healthz").status_code == 200


def test_the_snapshot_has_an_etag_that_changes_with_its_content(vigie):
    sender = vigie.client("gate")
    first = sender.get("/v1/gate/snapshot")
    content = first.json()
    providers = content.pop("providers")
    assert content == {"format": 1, "version": 0, "stale_since": None, "restrictions": [], "allowances": [], "pools": {}, "streams": []}
    assert (providers["domains"]["gmail.com"], providers["names"]["google"]) == ("gmail", "gmail")
    etag = first.headers["etag"]
    assert sender.get("/v1/gate/snapshot", headers={"If-None-Match": etag}).status_code == 304
    hold(vigie, customer="acme")
    vigie.gate.refresh(vigie.store, NOW)
    second = sender.get("/v1/gate/snapshot", headers={"If-None-Match": etag})
    assert (second.status_code, second.json()["restrictions"][0]["scope"]) == (200, {"customer": "acme"})
    assert vigie.client("gate", customer="bolt").get("/v1/gate/snapshot").json()["restrictions"] == []


def test_the_document_of_the_decision_calls_names_their_fields(vigie):
    text = resources.files("monitor.api").joinpath("decision.openapi.json").read_text("utf-8")
    schemas = json.loads(text)["components"]["schemas"]
    assert schemas["DecisionRequest"]["properties"].keys() == KNOWN_FIELDS
    assert set(schemas["Decision"]["properties"]) == {*Decision.__slots__, "warnings"}  # only where there are any
    assert set(schemas["DecisionReason"]["properties"]) == set(Reason.__slots__)
    paths = vigie.client().get("/openapi.json").json()["paths"]
    assert {"/v1/decision", "/v1/decisions", "/v1/suspensions", "/v1/events/generic"} <= paths.keys()


def _away():
    raise OSError("the database is away")
