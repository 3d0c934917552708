import json

import pytest

from monitor.database.tables import ReportMailbox

FILE = {
    "customers": [{"id": "acme", "streams": ["news", {"name": "receipts", "kind": "transactional"}]}, {"id": "bolt"}],
    "pools": ["shared"],
    "ips": [{"address": "192.0.2.0/30", "pool": "shared"}],
}


def test_an_item_is_put_read_and_deleted(vigie):
    admin = vigie.client("admin")
    assert admin.put("/v1/inventory/customers/acme", json={"name": "Acme"}).json() == {
        "id": "acme", "name": "Acme", "id_headers": {}}
    assert admin.put("/v1/inventory/streams/acme/news", json={}).json()["kind"] == "marketing"
    assert admin.put("/v1/inventory/ips/2001:DB8::1", json={"customer": "acme"}).json()["address"] == "2001:db8::1"
    assert admin.get("/v1/inventory/ips/2001:db8:0::1").json()["customer"] == "acme"
    assert [row["name"] for row in admin.get("/v1/inventory/streams").json()] == ["news"]
    assert admin.delete("/v1/inventory/streams/acme/news").status_code == 204
    assert admin.get("/v1/inventory/streams/acme/news").status_code == 404
    assert admin.delete("/v1/inventory/streams/acme/news").status_code == 404


def test_what_others_refer_to_is_not_deleted_and_what_refers_to_nothing_not_put(vigie):
    admin = vigie.client("admin")
    admin.put("/v1/inventory/customers/acme", json={})
    admin.put("/v1/inventory/streams/acme/news", json={})
    assert admin.delete("/v1/inventory/customers/acme").status_code == 409
    assert admin.put("/v1/inventory/streams/bolt/news", json={}).status_code == 422


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("customers/acme", {"id": "bolt"}),
        ("customers/a b", {}),
        ("ips/nowhere", {}),
        ("ips/192.0.2.1", {"colour": "red"}),
        ("streams/acme", {}),
        ("planets/mars", {}),
        ("customers/acme", ["Acme"]),
    ],
)
def test_an_item_nobody_could_mean_is_refused(vigie, path, body):
    answer = vigie.client("admin").put(f"/v1/inventory/{path}", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_a_whole_file_is_applied_after_a_look_at_what_it_would_change(vigie):
    admin = vigie.client("admin")
    looked = admin.post("/v1/inventory/apply", json=FILE, params={"dry_run": True}).json()
    assert admin.get("/v1/inventory/ips").json() == []
    applied = admin.post("/v1/inventory/apply", json=FILE).json()
    assert applied["counts"] == looked["counts"]
    assert applied["counts"]["ips"] == {"added": 4, "changed": 0, "removed": 0}
    assert admin.post("/v1/inventory/apply", json=FILE).json()["changes"] == []


def test_the_gate_follows_the_inventory_at_once(vigie):
    vigie.client("admin").post("/v1/inventory/apply", json=FILE)
    answer = vigie.client("gate").post("/v1/decision", json={"customer": "acme", "ip": "192.0.2.1"})
    assert answer.json()["pool"] == "shared"
    snapshot = vigie.client("gate", customer="acme").get("/v1/gate/snapshot").json()
    assert {row["name"]: row["kind"] for row in snapshot["streams"]} == {"news": "marketing", "receipts": "transactional"}


def test_a_file_that_would_remove_much_needs_to_say_so(vigie):
    admin = vigie.client("admin")
    admin.post("/v1/inventory/apply", json=FILE)
    short = json.dumps({"ips": []})
    assert admin.post("/v1/inventory/apply", content=short).status_code == 422
    assert admin.post("/v1/inventory/apply", content=short, params={"remove": True}).status_code == 200
    assert admin.get("/v1/inventory/ips").json() == []


def test_every_mistake_of_a_file_is_named_with_its_line(vigie):
    answer = vigie.client("admin").post("/v1/inventory/apply", content=b"customers:\n- id: acme\nplanets: []\n")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["at"] == "line 3"


def test_reading_takes_a_read_key_and_writing_an_admin_key(vigie):
    vigie.client("admin").post("/v1/inventory/apply", json=FILE)
    assert len(vigie.client("read").get("/v1/inventory/customers").json()) == 2
    assert vigie.client("operate").put("/v1/inventory/customers/acme", json={}).status_code == 403
    bolt = vigie.client("read", customer="bolt")
    assert [row["id"] for row in bolt.get("/v1/inventory/customers").json()] == ["bolt"]
    assert bolt.get("/v1/inventory/streams").json() == []
    assert bolt.get("/v1/inventory/customers/acme").status_code == 404


def test_no_key_for_http_makes_this_machine_run_a_program(vigie):
    admin = vigie.client("admin")
    mailbox = {"name": "fbl", "host": "imap.example.com", "username": "fbl", "auth": "xoauth2", "token_command": ["id"]}
    for answer in (admin.put("/v1/inventory/mailboxes/fbl", json=mailbox),
                   admin.post("/v1/inventory/apply", json={"mailboxes": [mailbox]})):
        assert (answer.status_code, "set on the machine itself" in answer.text) == (422, True)
    with vigie.store.session() as session:
        session.add(ReportMailbox(**mailbox))
    assert admin.put("/v1/inventory/mailboxes/fbl", json=mailbox | {"folder": "Reports"}).status_code == 200
    assert admin.put("/v1/inventory/mailboxes/fbl", json=mailbox | {"token_command": ["id", "-u"]}).status_code == 422
