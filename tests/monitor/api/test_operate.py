from datetime import timedelta

import pytest
from sqlmodel import select

from monitor.database.tables import Incident, Transition
from monitor.incidents.silences import silences_at
from tests.monitor.api.running import NOW

SCOPE = {"customer": "acme", "provider": "gmail"}


def incident(name, *, customer="acme", rule="complaint-rate", state="firing", minutes=0):
    at = NOW + timedelta(minutes=minutes)
    return Incident(
        id=name, rule=rule, subject_key=name, open_key=name, subject={"customer": customer}, state=state,
        severity="critical", summary="too many", started_at=at, judged_at=at, ended_at=at if state == "ok" else None,
    )


def put(vigie, *rows):
    with vigie.store.session() as session:
        for row in rows:
            session.add(row)


def test_a_suspension_holds_at_once_and_lifting_it_releases_at_once(vigie):
    operator, sender = vigie.client("operate", "read"), vigie.client("gate")

    def decision():
        return sender.post("/v1/decision", json={"customer": "acme", "recipient_domain": "gmail.com"}).json()

    made = operator.post("/v1/suspensions", json={"scope": {"customer": "acme", "provider": "Gmail"}, "reason": "test"})
    assert (made.status_code, made.json()["scope"], made.json()["actor"]) == (201, SCOPE, "operate-read")
    assert decision()["decision"] == "hold"
    assert [row["id"] for row in operator.get("/v1/suspensions").json()] == [made.json()["id"]]
    lifted = operator.delete(f"/v1/suspensions/{made.json()['id']}", params={"reason": "repaired"})
    assert (lifted.status_code, lifted.json()["lift_reason"]) == (200, "repaired")
    assert decision()["decision"] == "send"
    assert operator.get("/v1/suspensions").json() == []
    assert len(operator.get("/v1/suspensions", params={"lifted": True}).json()) == 1
    with vigie.store.reading_session() as session:
        assert [(row.old, row.new, row.why) for row in session.exec(select(Transition).order_by(Transition.id))] == [
            ("none", "hold", "test"),
            ("hold", "lifted", "repaired"),
        ]


def test_slow_carries_its_rate_and_ends_by_itself(vigie):
    operator, sender = vigie.client("operate"), vigie.client("gate")
    until = (NOW + timedelta(minutes=5)).isoformat()
    body = {"scope": {"ip": "192.0.2.7"}, "effect": "slow", "rate_per_hour": 500, "until": until, "reason": "test"}
    assert operator.post("/v1/suspensions", json=body).status_code == 201
    request = {"customer": "acme", "ip": "192.0.2.7"}
    answer = sender.post("/v1/decision", json=request).json()
    assert (answer["decision"], answer["rate_per_hour"], answer["valid_until"]) == ("slow", 500, "2026-01-02T03:09:05Z")
    vigie.clock.move(minutes=5)
    assert sender.post("/v1/decision", json=request).json()["decision"] == "send"


@pytest.mark.parametrize(
    "body",
    [
        {"scope": {}, "reason": "x"},
        {"scope": {"planet": "mars"}, "reason": "x"},
        {"scope": SCOPE},
        {"scope": SCOPE, "reason": " "},
        {"scope": SCOPE, "reason": "x", "effect": "stop"},
        {"scope": SCOPE, "reason": "x", "effect": "slow"},
        {"scope": SCOPE, "reason": "x", "until": "2020-01-01T00:00:00Z"},
        {"scope": SCOPE, "reason": "x", "until": "2030-01-01T00:00:00"},
        {"scope": SCOPE, "reason": "x", "colour": "red"},
        {"scope": {"ip": "nowhere"}, "reason": "x"},
    ],
)
def test_a_suspension_nobody_could_mean_is_refused(vigie, body):
    answer = vigie.client("operate").post("/v1/suspensions", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_what_is_not_there_cannot_be_lifted_or_acknowledged(vigie):
    operator = vigie.client("operate")
    assert operator.delete("/v1/suspensions/sus-nope", params={"reason": "x"}).status_code == 404
    assert operator.delete("/v1/silences/sil-nope", params={"reason": "x"}).status_code == 404
    assert operator.post("/v1/incidents/inc-nope/ack", json={"reason": "x"}).status_code == 404
    assert operator.delete("/v1/suspensions/sus-nope").status_code == 422


def test_a_silence_is_made_listed_and_ended(vigie):
    operator = vigie.client("operate", "read")
    until = (NOW + timedelta(hours=1)).isoformat()
    made = operator.post("/v1/silences", json={"matchers": {"rule": "ip-listed"}, "until": until, "reason": "move"})
    assert made.status_code == 201
    assert [row["id"] for row in operator.get("/v1/silences").json()] == [made.json()["id"]]
    assert operator.delete(f"/v1/silences/{made.json()['id']}", params={"reason": "done"}).status_code == 200
    assert operator.get("/v1/silences").json() == []
    assert len(operator.get("/v1/silences", params={"ended": True}).json()) == 1


def test_incidents_are_found_by_state_rule_and_customer(vigie):
    put(vigie, incident("a"), incident("b", customer="bolt"), incident("c", state="ok"), incident("d", rule="ip-listed"))
    reader = vigie.client("read")

    def found(**parameters):
        return {row["id"] for row in reader.get("/v1/incidents", params=parameters).json()}

    assert found() == {"a", "b", "d"}
    assert found(state="all") == {"a", "b", "c", "d"}
    assert found(state="ended") == {"c"}
    assert found(customer="bolt") == {"b"}
    assert found(rule="ip-listed", state="firing") == {"d"}
    assert vigie.client("read", customer="bolt").get("/v1/incidents").json()[0]["id"] == "b"
    assert vigie.client("read", customer="bolt").get("/v1/incidents", params={"customer": "acme"}).status_code == 403
    assert reader.get("/v1/incidents", params={"state": "sideways"}).status_code == 422


def test_pages_of_incidents_follow_each_other_without_gap_or_repeat(vigie):
    put(vigie, *(incident(f"i{number}", minutes=number // 3) for number in range(10)))
    reader, seen, url = vigie.client("read"), [], "/v1/incidents?limit=4&state=open"
    while url is not None:
        page = reader.get(url)
        seen += [row["id"] for row in page.json()]
        url = page.links.get("next", {}).get("url")
        assert url is None or "state=open" in url
    assert seen == [f"i{number}" for number in (9, 8, 7, 6, 5, 4, 3, 2, 1, 0)]
    assert reader.get("/v1/incidents", params={"after": "x"}).status_code == 422


def test_an_acknowledgement_is_kept_and_stands_in_the_history(vigie):
    put(vigie, incident("a"))
    operator = vigie.client("operate", "read")
    assert operator.post("/v1/incidents/a/ack", json={"reason": "on it"}).json()["acked_by"] == "operate-read"
    history = operator.get("/v1/incidents/a").json()
    assert (history["incident"]["ack_reason"], history["transitions"][0]["new"]) == ("on it", "acknowledged")
    change = history["transitions"][0]
    assert (change["kind"], change["old"], history["incident"]["state"]) == ("acknowledgement", "none", "firing")


def test_a_key_bound_to_a_customer_acts_on_that_customer_only(vigie):
    put(vigie, incident("a"))
    bolt, everybody = vigie.client("operate", "read", customer="bolt"), vigie.client("operate", "read")
    assert bolt.post("/v1/suspensions", json={"scope": SCOPE, "reason": "x"}).status_code == 403
    assert bolt.post("/v1/suspensions", json={"scope": {"ip": "192.0.2.7"}, "reason": "x"}).status_code == 403
    theirs = everybody.post("/v1/suspensions", json={"scope": SCOPE, "reason": "x"}).json()["id"]
    assert bolt.delete(f"/v1/suspensions/{theirs}", params={"reason": "x"}).status_code == 404
    assert [row["id"] for row in everybody.get("/v1/suspensions").json()] == [theirs]
    assert bolt.get("/v1/suspensions").json() == []
    assert bolt.get("/v1/incidents/a").status_code == 404
    assert bolt.post("/v1/incidents/a/ack", json={"reason": "x"}).status_code == 404
    assert everybody.get("/v1/incidents/a").json()["incident"]["acked_by"] is None
    assert bolt.get("/v1/runs").status_code == 403


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2100-01-01T00:00:00Z"])
def test_an_end_that_no_calendar_holds_is_refused_and_nothing_is_written(vigie, until):
    operator = vigie.client("operate", "read")
    wanted = {"scope": {"customer": "acme"}, "reason": "x", "until": until}
    assert operator.post("/v1/suspensions", json=wanted).status_code == 422
    assert "acme" not in operator.get("/v1/suspensions").text


def test_a_silence_by_patterns_and_hours_is_previewed_and_put_on(vigie):
    operator, own = vigie.client("operate", "read"), vigie.client("operate", "read", customer="acme")
    put(vigie, incident("inc-1"), incident("inc-2", customer="bolt"), incident("inc-3", rule="ip-listed"))
    body = {"patterns": ["rule=~complaint-.*", "customer!=bolt"]}
    assert [row["id"] for row in operator.post("/v1/silences/preview", json=body).json()] == ["inc-1"]
    assert own.post("/v1/silences/preview", json=body).status_code == 403
    assert [row["id"] for row in own.post("/v1/silences/preview", json={"matchers": {"customer": "acme"}}).json()] == ["inc-3", "inc-1"]
    schedule = {"days": ["fri"], "from": "22:00", "to": "02:00", "zone": "Europe/Paris"}
    more = {"until": (NOW + timedelta(days=30)).isoformat(), "reason": "moves", "schedule": schedule}
    made = operator.post("/v1/silences", json={**body, **more})
    assert made.status_code == 201
    assert made.json()["patterns"] == ['rule=~"complaint-.*"', 'customer!="bolt"']
    assert made.json()["schedule"] == schedule
    with vigie.store.reading_session() as session:
        assert silences_at(session, NOW) == []  # five in the morning there
        assert [row.id for row in silences_at(session, NOW + timedelta(hours=19))] == [made.json()["id"]]
    for wrong in ({"patterns": ["rule=~("]}, {"patterns": ["customer!=bolt"]}, {**body, "schedule": {"from": "25:00"}}):
        assert operator.post("/v1/silences", json={**more, **wrong}).status_code == 422
