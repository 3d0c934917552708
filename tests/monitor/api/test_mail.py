"""Mail by HTTP: what it is taken for, once, and what becomes of the rest."""

import gzip
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlmodel import func, select

from monitor.database.tables import (
    Customer,
    ParkedRow,
    Reading,
    ReportMailbox,
    SendingDomain,
    Series,
    TraceRow,
)
from tests.monitor.api.running import Vigie
from tests.places import MAIL_CASES

BOUNCE = (MAIL_CASES / "dsn-two-recipients-xtext" / "message.eml").read_bytes()
LETTER = (MAIL_CASES / "abuse-letter-is-other" / "message.eml").read_bytes()


@pytest.fixture
def poster(vigie: Vigie):
    with vigie.store.session() as session:
        session.add(Customer(id="acme", name="Acme"))
        session.flush()
        session.add(SendingDomain(domain="acme.example.net", customer="acme"))
        session.add(ReportMailbox(name="abuse-mail", purpose="abuse", host="imap.example.com", username="x", secret="x"))
    return vigie.client("events")


def counted(vigie: Vigie, measure: str, customer: str | None = "acme") -> float:
    query = select(func.sum(Reading.value)).join(Series, Series.id == Reading.series_id)
    with vigie.store.reading_session() as session:
        return session.exec(query.where(Series.measure == measure, Series.customer == customer)).one() or 0


def test_a_bounce_is_taken_counted_once_and_traced(vigie, poster):
    first = poster.post("/v1/mail?source=bounces", content=BOUNCE).json()
    again = poster.post("/v1/mail?source=feedback_loop", content=gzip.compress(BOUNCE),
                        headers={"Content-Encoding": "gzip"}).json()

    expected = {"kind": "dsn", "accepted": True, "parked": False, "reason": None, "text": None}
    assert (first, again) == (expected | {"duplicate": False}, expected | {"duplicate": True})
    assert (counted(vigie, "hard_bounce"), counted(vigie, "deferral")) == (1, 1)
    with vigie.store.reading_session() as session:
        hard = session.exec(select(TraceRow).where(TraceRow.kind == "bounce")).one()
    assert (hard.customer, hard.category, hard.status) == ("acme", "invalid_recipient", "5.1.1")


def test_the_same_mail_posted_by_many_at_once_counts_once(vigie, poster):
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: poster.post("/v1/mail?source=bounces", content=BOUNCE).json(), range(16)))

    assert [answer["duplicate"] for answer in answers].count(False) == 1
    assert counted(vigie, "hard_bounce") == 1


def test_what_cannot_be_used_is_parked_and_not_to_be_sent_again(vigie, poster):
    answer = poster.post("/v1/mail?source=bounces", content=LETTER)

    assert answer.status_code == 200
    assert answer.json() == {"kind": "other", "accepted": False, "duplicate": False, "parked": True,
                             "reason": "no_data", "text": "other: no report, bounce or request"}
    with vigie.store.reading_session() as session:
        row = session.exec(select(ParkedRow)).one()
    assert (row.place, row.size, zlib.decompress(row.body)) == ("bounces/posted by events", len(LETTER), LETTER)


def test_a_source_may_be_a_mailbox_of_the_inventory(vigie, poster):
    assert poster.post("/v1/mail?source=abuse-mail", content=LETTER).json()["accepted"]
    answer = poster.post("/v1/mail?source=bouncs", content=LETTER)
    assert (answer.status_code, answer.json()["detail"]) == (422, "no source 'bouncs' — did you mean 'bounces'?")
    assert poster.post("/v1/mail", content=LETTER).status_code == 422


def test_a_bare_dmarc_report_may_be_posted(poster):
    (report,) = (MAIL_CASES / "dmarc-bare-gzip").glob("message.*")
    answer = poster.post("/v1/mail?source=dmarc_reports", content=report.read_bytes()).json()
    assert (answer["kind"], answer["accepted"]) == ("dmarc_aggregate", True)


def test_mails_up_to_25_megabytes_are_taken_and_no_larger_ones(poster):
    assert poster.post("/v1/mail?source=bounces", content=BOUNCE + b"x" * 20_000_000).status_code == 200
    for body, headers in ((BOUNCE + b"x" * 26_300_000, {}),
                          (gzip.compress(BOUNCE + b"x" * 25_000_000), {"Content-Encoding": "gzip"})):
        assert poster.post("/v1/mail?source=bounces", content=body, headers=headers).status_code == 413


def test_only_keys_for_everybodys_events_may_post(vigie, poster):
    assert vigie.client("read").post("/v1/mail?source=bounces", content=BOUNCE).status_code == 403
    assert vigie.client("events", customer="acme").post("/v1/mail?source=bounces", content=BOUNCE).status_code == 403
    assert vigie.client().post("/v1/mail?source=bounces", content=BOUNCE).status_code == 401


def test_what_was_parked_is_listed_with_its_reason(vigie, poster):
    poster.post("/v1/mail?source=bounces", content=LETTER)
    reader = vigie.client("read")

    (row,) = reader.get("/v1/parked?reason=no_data").json()

    assert (row["place"], row["text"], row["size"], row["settled_at"]) == (
        "bounces/posted by events", "other: no report, bounce or request", len(LETTER), None)
    assert reader.get("/v1/parked?reason=malformed").json() == []
    assert vigie.client("read", customer="acme").get("/v1/parked").status_code == 403
