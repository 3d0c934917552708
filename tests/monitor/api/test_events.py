import gzip
import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard
from sqlalchemy import text
from sqlmodel import select

from monitor.api.body import LARGEST_UNPACKED
from monitor.api.services import Posts
from monitor.config.settings import Retention
from monitor.database.tables import BatchRow, Customer, ParkedRow, TraceRow
from monitor.facts.parked import body_of
from monitor.intake.consequences import open_store
from tests.monitor.api.running import NOW, running

DELIVERED = {"at": NOW.isoformat(), "outcome": "delivered", "customer": "acme", "recipient": "ann@gmail.com", "count": 5}
BOUNCED = {"at": NOW.isoformat(), "outcome": "bounced", "customer": "acme", "recipient": "bob@example.org"}


def ndjson(*events):
    return b"\n".join(json.dumps(event).encode() for event in events)


def counted(vigie, measure):
    readings = vigie.client("read").get("/v1/readings", params={"measure": measure}).json()
    return sum(reading["value"] for reading in readings)


@pytest.mark.parametrize(
    "body",
    [
        ndjson(DELIVERED, BOUNCED),
        b"\n" + ndjson(DELIVERED, BOUNCED) + b"\r\n\n",
        json.dumps([DELIVERED, BOUNCED]).encode(),
        json.dumps([DELIVERED, BOUNCED], indent=2).encode(),
    ],
)
def test_events_come_as_lines_or_as_an_array(vigie, body):
    answer = vigie.client("events").post("/v1/events/generic", content=body)
    assert answer.json() == {
        "accepted": 2, "rejected": [], "rejected_count": 0, "duplicate": False,
        "messages": {"delivered": 5, "hard_bounce": 1},
    }
    assert (counted(vigie, "delivered"), counted(vigie, "hard_bounce")) == (5, 1)


def test_one_object_may_be_spread_over_lines(vigie):
    answer = vigie.client("events").post("/v1/events/generic", content=json.dumps(DELIVERED, indent=1).encode())
    assert answer.json()["accepted"] == 1


def test_a_bad_line_is_parked_and_the_others_count(vigie):
    body = ndjson(DELIVERED) + b'\n{"at": \n' + ndjson({"outcome": "sent"}, DELIVERED)
    answer = vigie.client("events").post("/v1/events/generic", content=body).json()
    assert answer["accepted"] == 2
    assert [(row["line"], row["error"].split(":")[0]) for row in answer["rejected"]] == [(2, "not JSON"), (3, "at")]
    with vigie.store.reading_session() as session:
        parked = session.exec(select(ParkedRow)).all()
        bodies = [(row.place, body_of(session, row.id)) for row in parked]
    assert bodies == [("line 2", b'{"at": '), ("line 3", b'{"outcome": "sent"}')]


def test_the_same_idempotency_key_counts_once_and_is_answered_alike(vigie):
    client = vigie.client("events")
    first, second = (
        client.post("/v1/events/generic", content=ndjson(DELIVERED), headers={"Idempotency-Key": "mta-1/7"}).json()
        for _ in range(2)
    )
    assert (first.pop("duplicate"), second.pop("duplicate")) == (False, True)
    assert first == second
    assert counted(vigie, "delivered") == 5
    other = client.post("/v1/events/generic", content=ndjson(BOUNCED), headers={"Idempotency-Key": "mta-1/7"})
    assert (other.status_code, counted(vigie, "hard_bounce")) == (422, 0)


@pytest.mark.parametrize("key", ["jo@acme.example/1", "<7.jo@acme.example>", "<bounce+jo=acme.example@mta.example>"])
def test_a_key_made_of_a_message_id_is_stored_without_the_address_in_it(vigie, rows, key):
    client = vigie.client("events")
    answers = [client.post("/v1/events/generic", content=ndjson(DELIVERED), headers={"Idempotency-Key": key}) for _ in range(2)]
    assert [answer.json()["duplicate"] for answer in answers] == [False, True]
    kept = [row.key for row in rows(BatchRow)]
    assert kept
    assert not [each for each in kept if "acme.example" in each]
    other = client.post("/v1/events/generic", content=ndjson(BOUNCED), headers={"Idempotency-Key": key})
    assert other.status_code == 422


def test_an_idempotency_key_belongs_to_its_caller(vigie):
    for client in (vigie.client("events"), vigie.client("events")):
        answer = client.post("/v1/events/generic", content=ndjson(DELIVERED), headers={"Idempotency-Key": "1"})
        assert answer.json()["duplicate"] is False


def test_without_an_idempotency_key_every_post_counts(vigie):
    client = vigie.client("events")
    for _ in range(2):
        assert client.post("/v1/events/generic", content=ndjson(DELIVERED)).json()["duplicate"] is False
    assert counted(vigie, "delivered") == 10


def test_gzip_is_unpacked_up_to_a_bound(vigie):
    client = vigie.client("events")

    def post(content, encoding="gzip"):
        return client.post("/v1/events/generic", content=content, headers={"Content-Encoding": encoding})

    packed = gzip.compress(ndjson(DELIVERED) + b"\n") + gzip.compress(ndjson(DELIVERED))
    assert post(packed).json()["accepted"] == 2
    assert post(packed[:-4]).status_code == 400
    assert post(b"plain").status_code == 400
    assert post(b"", encoding="br").status_code == 415
    assert post(gzip.compress(b" " * (64 * 1024 * 1024 + 1), compresslevel=1)).status_code == 413


def test_a_body_too_large_or_with_nothing_in_it_is_refused(vigie):
    client = vigie.client("events")
    assert client.post("/v1/events/generic", content=b" " * (16 * 1024 * 1024 + 1)).status_code == 413
    assert client.post("/v1/events/generic", content=b" \n").status_code == 422
    assert client.post("/v1/events/generic", content=b"[").status_code == 400
    assert client.post("/v1/events/unheard-of", content=b"{}").status_code == 404


def test_a_key_bound_to_a_customer_reports_of_that_customer_only(vigie):
    client = vigie.client("events", customer="acme")
    nameless = {name: value for name, value in DELIVERED.items() if name != "customer"}
    body = ndjson(nameless, DELIVERED | {"customer": "bolt"})
    answer = client.post("/v1/events/generic", content=body).json()
    assert (answer["accepted"], answer["rejected"][0]["error"]) == (1, "customer: this key is bound to acme")
    assert vigie.client("read").post("/v1/events/generic", content=body).status_code == 403


def test_a_trace_is_found_by_recipient_and_never_kept_in_clear(vigie):
    vigie.client("events").post("/v1/events/generic", content=ndjson(BOUNCED | {"message_id": "<7@example.com>"}))
    reader = vigie.client("read")
    for parameters in ({"recipient": "BOB@example.org"}, {"message_id": "7@example.com"}, {"customer": "acme"}):
        (trace,) = reader.get("/v1/trace", params=parameters).json()
        assert (trace["kind"], trace["provider"], trace["customer"]) == ("bounce", "other", "acme")
    assert reader.get("/v1/trace", params={"recipient": "eve@example.org"}).json() == []
    assert reader.get("/v1/trace").status_code == 422
    assert reader.get("/v1/trace", params={"ip": "nowhere"}).status_code == 422
    assert vigie.client("read", customer="bolt").get("/v1/trace", params={"recipient": "bob@example.org"}).json() == []
    with vigie.store.reading_session() as session:
        assert "bob" not in repr(session.exec(select(TraceRow)).all())


@pytest.mark.parametrize("body", [
    gzip.compress(b"") * 160_000, gzip.compress(b"[" + b"{}," * 4_000_000 + b"{}]", 1), gzip.compress(b"\n" * 5_000_000, 1),
], ids=["empty members", "empty objects", "empty lines"])
def test_a_small_body_that_would_cost_much_is_refused_before_it_is_read(vigie, body):
    headers = {"Content-Encoding": "gzip"}
    response = vigie.client("events").post("/v1/events/generic", content=body, headers=headers)
    assert response.status_code == 413
    assert "members" in response.text or "values" in response.text


def test_a_packed_body_that_does_not_say_so_is_refused_with_what_to_do(vigie):
    client = vigie.client("events", "gate")
    for body, words in [(gzip.compress(ndjson(DELIVERED)), "add Content-Encoding: gzip"), (b"PK\x03\x04x", "zip archive")]:
        for path in ("/v1/events/generic", "/v1/decision"):
            answer = client.post(path, content=body)
            assert (answer.status_code, words in answer.json()["detail"]) == (415, True)


def test_events_of_which_no_line_can_be_read_are_refused_with_their_places(vigie):
    answer = vigie.client("events").post("/v1/events/generic", content=b"a,b\nc,d\n")
    assert answer.status_code == 422
    assert answer.json()["detail"] == "none of the 2 lines could be read"
    assert [each["at"] for each in answer.json()["errors"]] == ["line 1", "line 2"]


def test_names_nobody_knows_are_warned_of(vigie):
    with vigie.store.session() as session:
        session.add(Customer(id="acme", name="Acme"))
    vigie.gate.refresh(vigie.store, vigie.clock(), everything=True)
    client = vigie.client("events", "gate")
    event = {**DELIVERED, "customer": "acmee"}
    warning = "customer: the inventory has no customer acmee — did you mean 'acme'?"
    assert client.post("/v1/events/generic", content=ndjson(event)).json()["warnings"] == [warning]
    assert client.post("/v1/decision", json={"customer": "acmee"}).json()["warnings"] == [warning]
    assert "warnings" not in client.post("/v1/decision", json={"customer": "acme"}).json()


def test_a_schema_that_was_upgraded_under_this_process_leaves_the_events_with_their_sender(vigie):
    sender = vigie.client("events")
    with vigie.store.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    answer = sender.post("/v1/events/generic", content=ndjson(DELIVERED))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "upgraded to schema 9999 while this process" in answer.json()["detail"]


def test_events_of_a_time_nothing_is_kept_of_are_parked_and_the_answer_says_so(database_url):
    short = Retention(readings=timedelta(days=10), hourly=timedelta(days=10), daily=timedelta(days=30), traces=timedelta(days=10))
    old = DELIVERED | {"at": (NOW - timedelta(days=60)).isoformat()}
    with closing(open_store(database_url, keep=short)) as store, running(store) as started:
        answer = started.client("events").post("/v1/events/generic", json=[old, DELIVERED]).json()
        assert counted(started, "delivered") == 5
    [warning] = [text for text in answer["warnings"] if "nothing is kept" in text]
    assert warning.startswith("1 fact dated before ")


def kumomta(**changes):
    return {
        "type": "Delivery", "id": "1d98", "sender": "b@acme.example", "recipient": "ann@gmail.com", "queue": "nl-42:acme@gmail.com",
        "site": "ip-3->gmail@smtp_client", "size": 1, "response": {"code": 250, "enhanced_code": None, "content": "OK", "command": None},
        "peer_address": None, "timestamp": int(NOW.timestamp()) - 60, "created": 0, "num_attempts": 0, "bounce_classification": "Uncategorized",
        "meta": {}, "headers": {}, "nodeid": "557f3ad4", **changes,
    }


def test_records_of_kumomta_count_once_however_they_come(vigie):
    client = vigie.client("events")
    body = ndjson(kumomta(), kumomta(recipient="bob@gmail.com"), kumomta(type="Delayed")) + b"\n{"
    answer = client.post("/v1/events/kumomta", content=gzip.compress(body), headers={"Content-Encoding": "gzip"}).json()
    assert answer == {
        "read": 2, "ignored": {"Delayed": 1}, "unreadable": 1, "outcomes": {"delivered": 2}, "categories": {}, "duplicate": False,
        "errors": [{"line": 4, "error": answer["errors"][0]["error"]}],
    }
    again = client.post("/v1/events/kumomta", content=json.dumps([kumomta()]).encode().replace(b'": ', b'": ')).json()
    assert (again["read"], again["outcomes"]) == (1, {"delivered": 1})  # written in another way: another record
    again = client.post("/v1/events/kumomta", content=ndjson(kumomta(), kumomta(recipient="eve@gmail.com"))).json()
    assert (again["read"], again["ignored"]) == (1, {"duplicate": 1})
    assert counted(vigie, "delivered") == 4


def test_a_repeated_post_of_records_is_answered_as_the_first_time(vigie):
    client, headers = vigie.client("events"), {"Idempotency-Key": "node-1/7"}
    first, second = (client.post("/v1/events/kumomta", content=ndjson(kumomta()), headers=headers).json() for _ in range(2))
    assert (first.pop("duplicate"), second.pop("duplicate")) == (False, True)
    assert first == second
    assert client.post("/v1/events/kumomta", content=ndjson(kumomta(id="x")), headers=headers).status_code == 422


def test_a_customers_key_brings_no_record_of_another_customer(vigie):
    with vigie.store.session() as session:
        session.add_all([Customer(id="acme", name="Acme"), Customer(id="bolt", name="Bolt")])
    vigie.gate.refresh(vigie.store, NOW, everything=True)
    answer = vigie.client("events", customer="acme").post("/v1/events/kumomta", content=ndjson(kumomta(), kumomta(queue="bolt@gmail.com"))).json()
    assert (answer["read"], answer["unreadable"]) == (1, 1)
    assert "customer: this key is bound to acme" in answer["errors"][0]["error"]


def test_what_is_no_record_of_kumomta_is_a_problem(vigie):
    client = vigie.client("events")
    assert client.post("/v1/events/kumomta", content=b"  ").status_code == 422
    assert client.post("/v1/events/kumomta", content=b"[1").status_code == 400
    assert vigie.client("read").post("/v1/events/kumomta", content=b"{}").status_code == 403


CASES = Path(__file__).parents[2] / "collectors/delivery/cases"


def test_a_log_that_comes_in_several_posts_is_one_log(vigie):
    client, lines = vigie.client("events"), (CASES / "postfix/odd.log").read_bytes().splitlines(keepends=True)[:12]
    answers = [client.post("/v1/events/postfix", content=line).json() for line in lines]
    assert sum(answer["read"] for answer in answers) == 10
    assert answers[10]["outcomes"] == {"expired": 3}  # of each recipient deferred in another post
    again = client.post("/v1/events/postfix", content=b"".join(lines)).json()
    assert (again["read"], again["ignored"]) == (0, {"address probe": 1, "duplicate": 10, "local": 1})
    assert vigie.client("events").post("/v1/events/postfix", content=lines[10]).json()["read"] == 0


def test_accounting_records_come_with_their_header_line(vigie):
    client, body = vigie.client("events"), (CASES / "powermta/union.csv").read_bytes()
    header, rest = body.split(b"\r\n", 1)
    alone = client.post("/v1/events/powermta", content=rest.split(b"\r\n")[0]).json()
    assert alone["errors"] == [{"line": 1, "error": "no header line (type,timeLogged,…) before it"}]
    answer = client.post("/v1/events/powermta", content=gzip.compress(body), headers={"Content-Encoding": "gzip"}).json()
    assert (answer["read"], answer["unreadable"], answer["errors"][0]["line"]) == (9, 4, 16)
    assert header.startswith(b"type,")


def test_a_body_may_be_zstd_up_to_a_bound(vigie):
    client, packed = vigie.client("events"), {"Content-Encoding": "zstd"}
    body = zstandard.compress(ndjson(kumomta())) + zstandard.compress(b"\n" + ndjson(kumomta(recipient="bob@gmail.com")))
    assert client.post("/v1/events/kumomta", content=body, headers=packed).json()["outcomes"] == {"delivered": 2}
    assert client.post("/v1/events/kumomta", content=body).status_code == 415
    assert client.post("/v1/events/kumomta", content=body[:-3], headers=packed).status_code == 400
    assert client.post("/v1/events/kumomta", content=b"{}", headers=packed).status_code == 400
    bomb = zstandard.compress(b" " * (LARGEST_UNPACKED + 1), 19)
    assert client.post("/v1/events/kumomta", content=bomb, headers=packed).status_code == 413


def test_when_too_many_posts_come_at_once_the_next_is_asked_to_come_again(database_url):
    posts = Posts(most=1, taken=1)
    with closing(open_store(database_url)) as store, running(store, posts=posts) as vigie:
        client = vigie.client("events")
        for call, body in (("kumomta", ndjson(kumomta())), ("generic", ndjson(DELIVERED))):
            refused = client.post(f"/v1/events/{call}", content=body)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        posts.taken = 0
        assert client.post("/v1/events/kumomta", content=ndjson(kumomta())).json()["read"] == 1
