from datetime import timedelta

import pytest

from collectors.observation import Batch, Subject, Trace
from monitor.abuse.rows import open_cases
from monitor.database.tables import Customer
from tests.monitor.api.running import NOW

CASES = "/v1/abuse/cases"


@pytest.fixture
def vigie_with_cases(vigie):
    """A phishing case of Acme's and a spam case of nobody's yet."""
    with vigie.store.session() as session:
        session.add_all([Customer(id="acme", name="Acme"), Customer(id="bolt", name="Bolt")])
    letters = (
        Trace("abuse_letter", NOW, Subject("acme", ip="192.0.2.1"), text="Phishing from you"),
        Trace("abuse_letter", NOW, Subject(), text="Spam from you"),
    )
    vigie.store.intake([Batch("mail", "k", NOW, (), letters)], NOW)
    vigie.phishing, vigie.spam = open_cases(vigie.store, NOW)
    return vigie


def test_cases_are_listed_read_assigned_noted_and_closed(vigie_with_cases):
    reader, operator = vigie_with_cases.client("read"), vigie_with_cases.client("operate")
    assert [row["id"] for row in reader.get(CASES).json()] == [vigie_with_cases.phishing, vigie_with_cases.spam]
    case = f"{CASES}/{vigie_with_cases.spam}"
    assigned = operator.post(f"{case}/assign", json={"waits_for": "customer", "customer": "bolt", "reason": "their form"})
    assert (assigned.status_code, assigned.json()["state"], assigned.json()["customer"]) == (200, "waiting_customer", "bolt")
    assert operator.post(f"{case}/note", json={"reason": "they look into it"}).status_code == 200
    assert operator.post(f"{case}/close", json={"reason": "form repaired"}).json()["closed_at"] == "2026-01-02T03:04:05Z"
    shown = reader.get(case).json()
    assert shown["case"]["state"] == "closed"
    assert [(each["new"], each["actor"]) for each in shown["transitions"]] == [
        ("open", "abuse-cases"), ("waiting_customer", "operate"), ("waiting_customer", "operate"), ("closed", "operate")]
    assert [row["id"] for row in reader.get(CASES, params={"show": "closed"}).json()] == [vigie_with_cases.spam]


def test_a_case_past_its_deadline_is_overdue(vigie_with_cases):
    reader = vigie_with_cases.client("read")
    assert reader.get(CASES, params={"show": "overdue"}).json() == []
    vigie_with_cases.clock.move(hours=25)
    assert [row["id"] for row in reader.get(CASES, params={"show": "overdue"}).json()] == [vigie_with_cases.phishing]
    assert reader.get(CASES).json()[0]["deadline_at"] == (NOW + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_customers_key_sees_and_notes_its_own_cases_and_nothing_else(vigie_with_cases):
    acme = vigie_with_cases.client("read", "operate", customer="acme")
    assert [row["id"] for row in acme.get(CASES).json()] == [vigie_with_cases.phishing]
    assert acme.get(CASES, params={"customer": "bolt"}).status_code == 403
    assert acme.get(f"{CASES}/{vigie_with_cases.phishing}").status_code == 200
    assert acme.get(f"{CASES}/{vigie_with_cases.spam}").status_code == 404
    assert acme.post(f"{CASES}/{vigie_with_cases.phishing}/note", json={"reason": "we look into it"}).status_code == 200
    assert acme.post(f"{CASES}/{vigie_with_cases.spam}/note", json={"reason": "x"}).status_code == 404
    assert acme.post(f"{CASES}/{vigie_with_cases.phishing}/close", json={"reason": "not us"}).status_code == 403
    assert acme.post(f"{CASES}/{vigie_with_cases.phishing}/assign", json={"customer": "bolt", "reason": "not us"}).status_code == 403


@pytest.mark.parametrize("step", ["assign", "close", "note"])
def test_it_takes_an_operator_a_reason_and_a_case_that_is_there(vigie_with_cases, step):
    body = {"reason": "x", **({"waits_for": "ours"} if step == "assign" else {})}
    assert vigie_with_cases.client().post(f"{CASES}/{vigie_with_cases.spam}/{step}", json=body).status_code == 401
    assert vigie_with_cases.client("read").post(f"{CASES}/{vigie_with_cases.spam}/{step}", json=body).status_code == 403
    operator = vigie_with_cases.client("operate")
    assert operator.post(f"{CASES}/abu-nope/{step}", json=body).status_code == 404
    for bad in ({"reason": ""}, {"reason": " "}, {"reason": "\x00"}, {"reason": None}, {"colour": "red"}):
        assert operator.post(f"{CASES}/{vigie_with_cases.spam}/{step}", json=body | bad).status_code == 422
    assert operator.post(f"{CASES}/{vigie_with_cases.spam}/{step}", json=body).status_code == 200


@pytest.mark.parametrize("given", [{}, {"waits_for": "godot"}, {"customer": "nobody"}, {"customer": ""}, {"kind": "rudeness"}])
def test_an_assignment_nobody_could_mean_is_refused(vigie_with_cases, given):
    answer = vigie_with_cases.client("operate").post(f"{CASES}/{vigie_with_cases.spam}/assign", json={"reason": "x"} | given)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize("given", [{"show": "some"}, {"limit": 0}, {"limit": 10_001}, {"after": "x"}])
def test_a_list_nobody_could_mean_is_refused(vigie_with_cases, given):
    assert vigie_with_cases.client("read").get(CASES, params=given).status_code == 422
