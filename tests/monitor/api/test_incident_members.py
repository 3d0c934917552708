"""Incidents with members and what followed from what, over HTTP: also to a key that is bound to a customer."""

import shutil
from contextlib import closing
from datetime import timedelta

import pytest

from monitor.database.tables import Customer, Incident
from monitor.incidents.chain import Link
from monitor.incidents.links import write_links
from monitor.intake.consequences import open_store
from monitor.notify.message import Receiver
from monitor.notify.routing import Routing
from tests.monitor.api.running import NOW, running


@pytest.fixture(scope="module")
def vigie(migrated_file, tmp_path_factory):
    path = shutil.copy(migrated_file, tmp_path_factory.mktemp("members") / "vigie.sqlite")
    with closing(open_store(f"sqlite:///{path}")) as store, running(store, routing=Routing([Receiver("cell")])) as started:
        with started.store.session() as session:
            session.add_all([Customer(id="acme", name="Acme"), Customer(id="bolt", name="Bolt")])
            session.add_all([
                incident("inc-whole", "provider-trouble", {"provider": "gmail"}, member_count=2),
                incident("inc-acme", "blocks", {"customer": "acme", "provider": "gmail"}, part_of="inc-whole", joined_at=NOW),
                incident("inc-bolt", "blocks", {"customer": "bolt", "provider": "gmail"}, part_of="inc-whole", joined_at=NOW),
                incident("inc-before", "complaint-rate", {"customer": "acme", "stream": "news", "provider": "gmail"}),
                incident("inc-listed", "ip-listed", {"operator": "big", "pool": "shared"}),
            ])
            write_links(session, [Link("inc-before", "inc-acme", "the same customer", {}), Link("inc-listed", "inc-acme", "the same pool", {})], NOW)
        started.gate.refresh(started.store, NOW, everything=True)
        yield started


def incident(name, rule, subject, **other):
    return Incident(**{
        "id": name, "rule": rule, "subject_key": name, "open_key": name, "subject": subject, "state": "firing", "severity": "warning",
        "summary": f"summary of {name}", "started_at": NOW - timedelta(hours=1), "fired_at": NOW - timedelta(hours=1), "judged_at": NOW, **other,
    })  # fmt: skip


def links(answer):
    return [(each["cause_id"], each["effect_id"], each["why"]) for each in answer["links"]]


def test_an_incident_shows_its_members_and_what_they_followed_from(vigie):
    answer = vigie.client("read").get("/v1/incidents/inc-whole").json()
    assert answer["incident"]["member_count"] == 2
    assert sorted(each["id"] for each in answer["members"]) == ["inc-acme", "inc-bolt"]
    assert {each["part_of"] for each in answer["members"]} == {"inc-whole"}
    assert links(answer) == [("inc-before", "inc-acme", "the same customer"), ("inc-listed", "inc-acme", "the same pool")]
    assert links(vigie.client("read").get("/v1/incidents/inc-before").json()) == [("inc-before", "inc-acme", "the same customer")]


def test_a_customer_sees_of_what_is_shared_nothing(vigie):
    own = vigie.client("read", customer="acme")
    assert own.get("/v1/incidents/inc-whole").status_code == 404
    answer = own.get("/v1/incidents/inc-acme").json()
    assert (answer["incident"]["part_of"], answer["incident"]["joined_at"]) == (None, None)
    assert links(answer) == [("inc-before", "inc-acme", "the same customer")]
    assert {each["part_of"] for each in own.get("/v1/incidents").json()} == {None}
    assert {each["part_of"] for each in vigie.client("read").get("/v1/incidents").json()} == {None, "inc-whole"}


def test_alerts_of_members_are_kept_quiet_by_the_incident_they_are_part_of(vigie):
    alerts = {each["labels"]["incident"]: each for each in vigie.client("read").get("/api/v2/alerts").json()}
    assert alerts["inc-acme"]["status"] == {"state": "suppressed", "silencedBy": [], "inhibitedBy": ["inc-whole"]}
    assert alerts["inc-whole"]["status"]["state"] == "active"
    assert alerts["inc-whole"]["receivers"] == [{"name": "cell"}]
    counted = vigie.client("read").get("/metrics").text
    assert 'vigie_incidents_open{severity="warning",state="firing"} 4' in counted


def test_a_customer_is_not_named_the_silences_of_the_provider(vigie):
    later = (NOW + timedelta(hours=1)).isoformat()
    made = [
        vigie.client("operate").post("/v1/silences", json={"matchers": matchers, "reason": "x", "until": later}).json()["id"]
        for matchers in ({"rule": "complaint-rate"}, {"customer": "acme", "rule": "complaint-rate"})
    ]

    def status(client):
        (alert,) = [each for each in client.get("/api/v2/alerts").json() if each["labels"]["incident"] == "inc-before"]
        return alert["status"]

    assert sorted(status(vigie.client("read"))["silencedBy"]) == sorted(made)
    assert status(vigie.client("read", customer="acme")) == {"state": "suppressed", "silencedBy": [made[1]], "inhibitedBy": []}


def test_one_acknowledgement_is_for_all_members(vigie):
    answer = vigie.client("operate").post("/v1/incidents/inc-whole/ack", json={"reason": "known"})
    assert answer.status_code == 200, answer.text
    shown = {each["id"]: each["acked_by"] for each in vigie.client("read").get("/v1/incidents").json()}
    assert {name for name, who in shown.items() if who} == {"inc-whole", "inc-acme", "inc-bolt"}
