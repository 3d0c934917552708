import gzip
import json
from datetime import timedelta

import pytest

from collectors.observation import Batch, Subject, Trace
from monitor.inventory.difference import planned
from monitor.inventory.items import Customer, Inventory, Stream
from monitor.inventory.rows import apply_difference, read_inventory
from monitor.sender.suppressions import FilterError, NotAnsweredError, SuppressionFilter, Suppressions
from tests.monitor.api.running import NOW
from tests.waiting import free_port

ANN = {"customer": "acme", "address": "Ann@Example.org", "reason": "unsubscribe", "stream": "newsletter"}


@pytest.fixture
def people(vigie):
    """Clients by what they may; two customers in the inventory."""
    wanted = Inventory()
    for item in (Customer(id="acme"), Customer(id="bolt")):
        wanted = wanted.put("customers", item)
    wanted = wanted.put("streams", Stream(customer="acme", name="newsletter"))
    with vigie.store.session() as session:
        apply_difference(session, planned(read_inventory(session), wanted))
    return vigie.client("operate", "read", "gate")


def lines(*objects: dict) -> str:
    return "\n".join(map(json.dumps, objects))


def test_a_recipient_is_added_found_by_address_lifted_with_a_reason_and_stays_on_record(vigie, people):
    assert people.post("/v1/suppressions", json=ANN).json() == {"added": 1, "already": 0, "rejected": [], "rejected_count": 0}
    [row] = people.get("/v1/suppressions", params={"recipient": "<ann@example.org>"}).json()
    assert (row["customer"], row["reason"], row["stream"], row["source"]) == ("acme", "unsubscribe", "newsletter", "api: operate-read-gate")
    assert row["ref"] == vigie.store.recipient_ref("acme", "ann@example.org")
    assert people.delete(f"/v1/suppressions/{row['id']}").status_code == 422
    vigie.clock.move(hours=1)
    lifted = people.delete(f"/v1/suppressions/{row['id']}", params={"reason": "asked to come back"}).json()
    assert (lifted["lifted_by"], lifted["lift_reason"]) == ("operate-read-gate", "asked to come back")
    assert people.get("/v1/suppressions").json() == []
    assert len(people.get("/v1/suppressions", params={"lifted": True}).json()) == 1
    assert people.delete("/v1/suppressions/999", params={"reason": "x"}).status_code == 404
    assert people.delete(f"/v1/suppressions/{2**64}", params={"reason": "x"}).status_code == 422
    assert people.get("/v1/suppressions", params={"after": "x"}).status_code == 422


def test_many_come_at_once_and_only_good_lines_count(people):
    body = lines(ANN, {**ANN, "address": "nobody"}, {"customer": "nobody", "address": "a@example.org"}, {"customer": "acme"},
                 {**ANN, "stream": "nope"}, {**ANN, "reason": "dislike"}, {**ANN, "colour": "red"}) + "\nnot json\n" + lines(ANN)
    answer = people.post("/v1/suppressions", content=body).json()
    assert (answer["added"], answer["already"], answer["rejected_count"]) == (1, 1, 7)
    assert [row["line"] for row in answer["rejected"]] == [2, 3, 4, 5, 6, 7, 8]
    errors = " ".join(row["error"] for row in answer["rejected"])
    for part in ("no mail address", "no customer nobody", "either an address or a ref", "no stream nope", "reason", "colour", "dictionary"):
        assert part in errors


@pytest.mark.parametrize(("body", "part"), [
    (b"", "no suppressions"), (b"[1", "not JSON"), (b"\xff\xfe", "not UTF-8"), (b"address,colour\na@example.org,red", "no column colour"),
    (b"x" * 200_000, "longer than"), (json.dumps({"customer": "acme", "address": "no"}).encode(), "no line can be taken"),
    (b'[{"customer":"acme","ref":"zz"}]', "no line can be taken"), (b"\n".join([b"a@example.org"] * 10_001), "more than 10,000"),
])
def test_a_body_that_is_no_list_is_refused_with_the_reason_and_nothing_of_what_was_in_it(people, body, part):
    answer = people.post("/v1/suppressions", content=body)
    assert answer.status_code == 422
    assert part in answer.json()["detail"]
    assert "example.org" not in answer.text


def test_a_huge_body_is_refused(people):
    assert people.post("/v1/suppressions/import", content=b"a" * (17 * 1024 * 1024)).status_code == 413


@pytest.mark.parametrize("body", [
    b"ann@example.org\nbob@example.org\n", b'\xef\xbb\xbfEmail,Reason\r\nann@example.org,complaint\r\n,\r\n"bob@example.org",complaint\r\n',
    lines({"address": "ann@example.org"}, {"email": "bob@example.org"}).encode(), gzip.compress(b"ann@example.org\nbob@example.org"),
], ids=["one address a line", "csv", "ndjson", "gzip"])
def test_a_list_from_elsewhere_is_taken_over(people, body):
    headers = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
    answer = people.post("/v1/suppressions/import", params={"customer": "acme", "reason": "complaint"}, content=body, headers=headers)
    assert answer.json()["added"] == 2, answer.text
    assert {row["reason"] for row in people.get("/v1/suppressions").json()} == {"complaint"}


@pytest.mark.parametrize("layout", ["csv", "ndjson"])
def test_what_is_exported_can_be_imported_elsewhere(vigie, people, layout):
    people.post("/v1/suppressions", content=lines(ANN, {"customer": "bolt", "address": "b@example.net", "since": "2025-01-01T00:00:00Z"}))
    exported = people.get("/v1/suppressions/export", params={"format": layout}).text
    assert "@" not in exported
    before = people.get("/v1/suppressions").json()
    for row in before:
        people.delete(f"/v1/suppressions/{row['id']}", params={"reason": "test"})
    assert people.post("/v1/suppressions/import", content=exported).json()["added"] == 2
    same = [{name: row[name] for name in ("customer", "ref", "reason", "stream", "since")} for row in people.get("/v1/suppressions").json()]
    assert sorted(same, key=str) == sorted(({name: row[name] for name in same[0]} for row in before), key=str)


def test_a_long_list_is_exported_whole_and_shown_in_pages(people):
    body = "\n".join(f"r{number}@example.org" for number in range(7000))
    people.post("/v1/suppressions/import", params={"customer": "acme"}, content=body)
    assert len(people.get("/v1/suppressions/export").text.splitlines()) == 7001
    page = people.get("/v1/suppressions", params={"limit": 4000})
    first, rest = page.json(), people.get(page.links["next"]["url"]).json()
    assert len({row["ref"] for row in first + rest}) == 7000


def test_a_key_of_one_customer_sees_and_changes_only_that_customers(vigie, people):
    people.post("/v1/suppressions", content=lines(ANN, {"customer": "bolt", "address": "b@example.net"}))
    bolt = vigie.client("operate", "read", "gate", customer="bolt")
    [own] = bolt.get("/v1/suppressions").json()
    other = next(row for row in people.get("/v1/suppressions").json() if row["customer"] == "acme")
    assert own["customer"] == "bolt"
    assert bolt.get("/v1/suppressions", params={"customer": "acme"}).status_code == 403
    assert bolt.get("/v1/suppressions/filter", params={"customer": "acme"}).status_code == 403
    assert bolt.get("/v1/suppressions/key", params={"customer": "acme"}).status_code == 403
    assert bolt.post("/v1/suppressions/check", json={"customer": "acme"}).status_code == 403
    assert bolt.post("/v1/suppressions", json=ANN).status_code == 422
    assert bolt.delete(f"/v1/suppressions/{other['id']}", params={"reason": "x"}).status_code == 404
    # nor by a key of the whole platform that means another customer
    assert people.delete(f"/v1/suppressions/{other['id']}", params={"reason": "x", "customer": "bolt"}).status_code == 404
    assert "acme" not in bolt.get("/v1/suppressions/export").text
    assert bolt.post("/v1/suppressions", json={"address": "c@example.net"}).json()["added"] == 1
    assert [row["lifted_at"] for row in people.get("/v1/suppressions", params={"customer": "acme"}).json()] == [None]


@pytest.mark.parametrize(("method", "path", "scope"), [
    ("GET", "/v1/suppressions", "read"), ("POST", "/v1/suppressions", "operate"), ("POST", "/v1/suppressions/import", "operate"),
    ("DELETE", "/v1/suppressions/1?reason=x", "operate"), ("GET", "/v1/suppressions/export", "read"),
    ("GET", "/v1/suppressions/filter", "gate"), ("GET", "/v1/suppressions/key", "gate"), ("POST", "/v1/suppressions/check", "gate"),
])
def test_every_call_needs_its_scope(vigie, method, path, scope):
    assert vigie.client().request(method, path).status_code == 401
    others = {"read", "operate", "gate", "events"} - {scope}
    assert vigie.client(*others).request(method, path).status_code == 403


def test_many_recipients_are_checked_in_one_call(people):
    people.post("/v1/suppressions", content=lines(ANN, {"customer": "acme", "address": "bob@example.org", "reason": "complaint"}))
    def suppressed(**parameters) -> dict:
        answer = people.post("/v1/suppressions/check", json={"customer": "acme", **parameters}).json()["suppressed"]
        return {row["recipient"]: row["reasons"] for row in answer}
    both = ["ann@example.org", "BOB@example.org", "cleo@example.org"]
    assert suppressed(addresses=both, stream="newsletter") == {"ann@example.org": ["unsubscribe"], "bob@example.org": ["complaint"]}
    assert suppressed(addresses=both) == {"bob@example.org": ["complaint"]}
    assert people.post("/v1/suppressions/check", json={"customer": "acme", "addresses": ["nobody"]}).status_code == 422
    assert people.post("/v1/suppressions/check", json={"customer": "acme", "addresses": ["a@b.c"] * 10_001}).status_code == 422
    assert people.post("/v1/suppressions/check", json={"customer": "nobody"}).status_code == 404
    assert people.post("/v1/suppressions/check", json={}).status_code == 422


def test_a_hard_bounce_in_delivery_records_suppresses_and_a_soft_one_does_not(vigie, people):
    event = {"at": NOW.isoformat(), "customer": "acme", "stream": "newsletter"}
    events = vigie.client("events")
    events.post("/v1/events/generic", content=lines(
        {**event, "outcome": "hard_bounce", "recipient": "dead@example.org"}, {**event, "outcome": "unsubscribe", "recipient": "gone@example.org"},
        {**event, "outcome": "soft_bounce", "recipient": "full@example.org"}, {**event, "outcome": "blocked", "recipient": "b@example.org"}))
    rows = sorted(people.get("/v1/suppressions").json(), key=lambda row: row["reason"])
    assert [(row["reason"], row["stream"], row["source"]) for row in rows] == [
        ("hard_bounce", None, "events/generic"), ("unsubscribe", "newsletter", "events/generic")]
    assert rows[0]["ref"] == vigie.store.recipient_ref("acme", "dead@example.org")


# ── the sender module ──


def test_the_sender_tests_an_address_on_the_spot_and_confirms_what_the_filter_holds(vigie, people):
    people.post("/v1/suppressions", json=ANN)
    sender = Suppressions(vigie.url, key_of(vigie, "gate", customer="acme"), "acme")
    assert sender.may_contain("anybody@example.org")  # nothing loaded yet: ask
    assert [sender.refresh(), sender.refresh()] == [True, False]
    assert [sender.may_contain("ann@example.org"), sender.may_contain("bob@example.org")] == [True, False]
    assert sender.suppressed("ann@example.org", "newsletter")
    assert not sender.suppressed("ann@example.org")  # only that stream
    assert not sender.suppressed("bob@example.org", "newsletter")
    people.post("/v1/suppressions", json={"customer": "acme", "address": "bob@example.org"})
    assert sender.refresh()
    assert sender.suppressed("bob@example.org")


def test_a_complaint_taken_in_holds_the_sender_back(vigie, people):
    trace = Trace("complaint", NOW, Subject(customer="acme"), recipient="ann@example.org", verified=True)
    vigie.store.intake([Batch("mail", "1", NOW, traces=(trace,))], NOW + timedelta(seconds=1))
    sender = Suppressions(vigie.url, key_of(vigie, "gate"), "acme")
    sender.refresh()
    assert sender.suppressed("Ann@example.org", "newsletter")


def test_a_filter_is_no_use_to_another_customer(vigie, people):
    people.post("/v1/suppressions", json=ANN)
    data = people.get("/v1/suppressions/filter", params={"customer": "acme", "false_positive_rate": 1e-4}).content
    with pytest.raises(FilterError, match="another key"):
        SuppressionFilter(data, vigie.store.customer_key("bolt"))
    assert people.get("/v1/suppressions/filter", params={"customer": "acme", "false_positive_rate": 0.5}).status_code == 422
    assert people.get("/v1/suppressions/filter", params={"customer": "nobody"}).status_code == 404


def test_a_server_that_is_away_or_refuses_is_distinguished_from_an_answer(vigie, people):
    with pytest.raises(NotAnsweredError, match="403"):
        Suppressions(vigie.url, key_of(vigie, "read"), "acme").refresh()
    with pytest.raises(NotAnsweredError, match="404"):
        Suppressions(vigie.url, key_of(vigie, "gate"), "nobody").confirm("ann@example.org")
    with pytest.raises(NotAnsweredError, match="does not answer"):
        Suppressions(f"http://127.0.0.1:{free_port()}", "key", "acme").confirm("ann@example.org")


def key_of(vigie, *scopes, **bound) -> str:
    return vigie.client(*scopes, **bound).headers["Authorization"].removeprefix("Bearer ")
