import pytest

from collectors.observation import Batch, Observation, Subject
from monitor.database.tables import SendingDomain
from monitor.judging.run import Judge
from monitor.rules.conditions.table import RULE
from tests.monitor.api.running import NOW

LOOPS = RULE.validate_python({"id": "fbl-silence", "condition": "shortfall", "signal": "feedback_reports"})

YAHOO = {"provider": "yahoo", "kind": "domain", "subject": "acme.example.com"}


def put(client, state, **given):
    return client.put("/v1/fbl/enrolments", json={**YAHOO, "state": state, "reason": "a test"} | given)


def test_an_enrolment_is_put_listed_and_deleted(vigie):
    operator = vigie.client("operate", "read")
    assert put(operator, "requested", provider="AOL", note="ticket 4711").json()["provider"] == "yahoo"
    made = put(operator, "active", ends_at="2027-01-01T00:00:00Z")
    assert (made.status_code, made.json()["note"], made.json()["state"]) == (200, "ticket 4711", "active")
    assert [row["subject"] for row in operator.get("/v1/fbl/enrolments").json()] == ["acme.example.com"]
    assert operator.delete("/v1/fbl/enrolments", params=YAHOO | {"reason": "a mistake"}).status_code == 204
    assert operator.get("/v1/fbl/enrolments").json() == []
    assert operator.delete("/v1/fbl/enrolments", params=YAHOO | {"reason": "again"}).status_code == 404


def test_gaps_and_what_is_silent_can_be_read(vigie):
    with vigie.store.session() as session:
        session.add(SendingDomain(domain="acme.example.com"))
    about = Subject("acme", "news", domain="acme.example.com")
    seen = tuple(Observation("delivered", about._replace(provider=name), NOW, 100.0) for name in ("yahoo", "gmail"))
    vigie.store.intake([Batch("test", "k", NOW, seen)], NOW)
    reader, operator = vigie.client("read"), vigie.client("operate")
    gaps = reader.get("/v1/fbl/gaps").json()
    assert [(gap["provider"], gap["delivered"], gap["groups"][0]["subjects"]) for gap in gaps["gaps"]] == [
        ("yahoo", 100, ["acme.example.com"])]
    assert [each["provider"] for each in gaps["without"]] == ["gmail"]
    put(operator, "active")
    assert reader.get("/v1/fbl/gaps").json()["gaps"] == []
    Judge(vigie.store, [LOOPS]).judge_all(NOW)
    assert [(each["provider"], each["verdict"], each["reason"]) for each in reader.get("/v1/fbl/silence").json()] == [
        ("yahoo", "unknown", "no_data")]


def test_what_the_rules_say_can_be_read_whole_or_by_customer(vigie):
    rate = RULE.validate_python({"id": "rate", "condition": "ratio", "signal": "complaints", "above": "0.3%", "clear": {"below": "0.1%"}})
    seen = tuple(Observation("delivered", Subject(name, "news", provider="gmail"), NOW, 100.0) for name in ("acme", "bolt"))
    vigie.store.intake([Batch("test", "k", NOW, seen)], NOW)
    Judge(vigie.store, [rate]).judge_all(NOW)
    everything, own = vigie.client("read"), vigie.client("read", customer="acme")
    (rule,) = everything.get("/v1/rules").json()
    assert (rule["id"], rule["condition"], rule["signal"], rule["states"]) == ("rate", "ratio", "complaints", {"ok": 2})
    assert own.get("/v1/rules").json()[0]["states"] == {"ok": 1}
    assert [row["subject"]["customer"] for row in everything.get("/v1/verdicts", params={"rule": "rate"}).json()] == ["acme", "bolt"]
    (row,) = own.get("/v1/verdicts").json()
    assert (row["state"], row["verdict"], row["evidence"]["denominator"]) == ("ok", "between", 100)
    assert own.get("/v1/verdicts", params={"customer": "bolt"}).status_code == 403
    assert everything.get("/v1/verdicts", params={"state": "firing"}).json() == []


@pytest.mark.parametrize(
    "given",
    [
        {"state": "lapsed"}, {"state": "sleeping"}, {"provider": "planet"}, {"kind": "ip"}, {"subject": "nowhere"},
        {"subject": ""}, {"reason": " "}, {"reason": ""}, {"note": "\x00"}, {"ends_at": "2020-01-01T00:00:00Z"},
        {"ends_at": "2030-01-01T00:00:00"}, {"colour": "red"}, {"subject": "a\x00.example"},
    ],
)
def test_an_enrolment_nobody_could_mean_is_refused(vigie, given):
    answer = put(vigie.client("operate"), **({"state": "active"} | given))
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize("path", ["enrolments", "gaps", "silence"])
def test_it_takes_a_key_of_the_whole_platform_to_look(vigie, path):
    assert vigie.client().get(f"/v1/fbl/{path}").status_code == 401
    assert vigie.client("gate").get(f"/v1/fbl/{path}").status_code == 403
    assert vigie.client("read", customer="acme").get(f"/v1/fbl/{path}").status_code == 403
    assert vigie.client("read").get(f"/v1/fbl/{path}").status_code == 200


def test_it_takes_an_operator_of_the_whole_platform_to_change(vigie):
    for client in (vigie.client("read"), vigie.client("operate", customer="acme")):
        assert put(client, "active").status_code == 403
        assert client.delete("/v1/fbl/enrolments", params=YAHOO | {"reason": "x"}).status_code == 403
