from datetime import timedelta

from collectors.observation import Batch, Observation, Subject
from monitor.database.tables import Customer, Listing, Run, SendingIp
from tests.monitor.api.running import NOW


def take(vigie, *observations):
    vigie.store.intake([Batch("test", str(len(observations)), NOW, observations=observations)], NOW)


def delivered(minutes, customer="acme"):
    at = NOW - timedelta(minutes=minutes)
    return Observation("delivered", Subject(customer=customer, provider="gmail"), at, 10.0)


def listing(target, *, cleared=False):
    return Listing(
        target=target, dnsbl="zen", phase="cleared" if cleared else "listed", codes=["127.0.0.2"], first_seen_at=NOW,
        last_seen_at=NOW, checked_at=NOW, confirmed_at=NOW, cleared_at=NOW if cleared else None,
    )


def test_readings_are_asked_by_measure_subject_and_time(vigie):
    take(vigie, delivered(1), delivered(60 * 30), delivered(2, customer="bolt"))
    reader = vigie.client("read")

    def ages(**parameters):
        rows = reader.get("/v1/readings", params={"measure": "delivered"} | parameters).json()
        return [(row["subject"]["customer"], row["at"]) for row in rows]

    assert [customer for customer, _ in ages()] == ["acme", "bolt"]
    assert len(ages(since=(NOW - timedelta(days=2)).isoformat())) == 3
    assert [customer for customer, _ in ages(customer="bolt", provider="gmail")] == ["bolt"]
    assert ages(until=(NOW - timedelta(hours=1)).isoformat()) == []
    assert reader.get("/v1/readings").status_code == 422
    assert reader.get("/v1/readings", params={"measure": "delivered", "since": "2026-01-01"}).status_code == 422
    bound = vigie.client("read", customer="bolt").get("/v1/readings", params={"measure": "delivered"}).json()
    assert [row["subject"]["customer"] for row in bound] == ["bolt"]


def test_readings_and_listings_are_found_by_every_dimension_in_every_spelling(vigie):
    subject = Subject(ip="2001:db8::1", domain="example.com", provider="gmail", mailbox="fbl", seed="a@example.com", aspect="spf")
    take(vigie, Observation("delivered", subject, NOW, 1.0))
    with vigie.store.session() as session:
        session.add(listing("2001:db8::1"))
    reader = vigie.client("read")
    for parameters in ({"ip": "2001:DB8:0::1"}, {"domain": "Example.COM."}, {"provider": "Google"}, {"mailbox": "fbl"},
                       {"seed": "a@example.com"}, {"aspect": "spf"}):
        assert len(reader.get("/v1/readings", params={"measure": "delivered"} | parameters).json()) == 1, parameters
    assert reader.get("/v1/readings", params={"measure": "delivered", "operator": "Spamhaus"}).json() == []
    assert reader.get("/v1/readings", params={"measure": "delivered", "ip": "x"}).status_code == 422
    assert len(reader.get("/v1/listings", params={"target": "2001:DB8:0::1"}).json()) == 1


def test_listings_that_stand_are_shown_and_ended_ones_on_request(vigie):
    with vigie.store.session() as session:
        session.add(Customer(id="acme", name="Acme"))
        session.flush()
        session.add(SendingIp(address="192.0.2.7", customer="acme"))
        for row in (listing("192.0.2.7"), listing("192.0.2.8"), listing("192.0.2.7", cleared=True)):
            session.add(row)
    reader = vigie.client("read")
    assert [row["target"] for row in reader.get("/v1/listings").json()] == ["192.0.2.8", "192.0.2.7"]
    assert len(reader.get("/v1/listings", params={"cleared": True, "target": "192.0.2.7"}).json()) == 2
    assert reader.get("/v1/listings", params={"dnsbl": "spamcop"}).json() == []
    own = vigie.client("read", customer="acme").get("/v1/listings").json()
    assert [row["target"] for row in own] == ["192.0.2.7"]


def test_runs_are_shown_newest_first(vigie):
    with vigie.store.session() as session:
        for name in ("dnsbl", "feedback_loop"):
            session.add(Run(collector=name, started_at=NOW, ended_at=NOW, outcome="ok"))
            session.flush()
    reader = vigie.client("read")
    assert [row["collector"] for row in reader.get("/v1/runs").json()] == ["feedback_loop", "dnsbl"]
    assert len(reader.get("/v1/runs", params={"collector": "dnsbl"}).json()) == 1


def test_metrics_are_prometheus_text(vigie):
    with vigie.store.session() as session:
        session.add(Run(collector='a"b', started_at=NOW, ended_at=NOW - timedelta(seconds=30), outcome="ok"))
    vigie.client("gate").post("/v1/decision", json={"customer": "acme"})
    answer = vigie.client().get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert r'vigie_runs_24h{collector="a\"b",outcome="ok"} 1' in lines
    assert r'vigie_collector_good_run_age_seconds{collector="a\"b"} 30' in lines
    assert 'vigie_decisions_total{decision="send"} 1' in lines
    assert "vigie_outbox_waiting 0" in lines
    assert all(line.startswith("#") or len(line.rsplit(" ", 1)) == 2 for line in lines)


def test_the_process_says_that_it_lives_and_that_it_is_ready(vigie):
    anybody = vigie.client()
    assert anybody.get("/healthz").json() == {"status": "ok"}
    assert anybody.get("/readyz").json()["status"] == "ready"


def test_errors_of_every_kind_are_problems(vigie, monkeypatch, caplog):
    anybody, reader = vigie.client(), vigie.client("read")
    monkeypatch.setattr("monitor.api.routes.facts.find_traces", lambda *_: 1 / 0)
    answers = [
        anybody.get("/nowhere"),
        anybody.delete("/v1/incidents"),
        anybody.get("/v1/runs"),
        reader.get("/v1/trace", params={"customer": "acme"}),
    ]
    assert [answer.status_code for answer in answers] == [404, 405, 401, 500]
    for answer in answers:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
        assert {"type", "title", "detail"} <= answer.json().keys()
    assert answers[1].headers["allow"] == "GET"
    assert "www-authenticate" in answers[2].headers
    assert "division" not in answers[3].text


def test_a_nul_in_what_is_asked_or_reported_breaks_nothing(vigie):
    reader, operator = vigie.client("read"), vigie.client("operate")
    answers = [
        reader.get("/v1/incidents/%00"),
        reader.get("/v1/trace", params={"message_id": "\0"}),
        operator.post("/v1/suspensions", json={"scope": {"customer": "acme"}, "reason": "\0"}),
        operator.post("/v1/suspensions", json={"scope": {"customer": "\0"}, "reason": "x"}),
        operator.post("/v1/silences", json={"matchers": {"rule": "\0"}, "reason": "x", "until": "2030-01-01T00:00:00Z"}),
    ]
    assert {answer.status_code for answer in answers} <= {200, 404, 422}
    assert reader.get("/v1/suspensions").status_code == 200


def test_a_body_of_any_call_is_bounded(vigie):
    operator = vigie.client("operate")
    answer = operator.post("/v1/suspensions", content=b'"' + b"x" * (16 * 1024 * 1024) + b'"')
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    deep = operator.post("/v1/suspensions", content=b"[" * 60_000, headers={"Content-Type": "application/json"})
    assert deep.status_code in {400, 422}


def test_a_database_that_is_away_is_said_to_be(vigie, caplog):
    from sqlalchemy.exc import OperationalError

    def away(*_):
        raise OperationalError("select", {}, Exception("gone"))

    vigie.store.reading_session = vigie.store.look = away
    reader = vigie.client()
    answer = reader.get("/metrics")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "gone" not in answer.text
