"""Every kind of row has an end, and nothing goes on which something else still rests."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import SQLModel

from collectors.observation import Evidence, Parked, Subject, Trace
from monitor.config.settings import Retention
from monitor.database.engine import table
from monitor.database.kept import FOR_EVER, KINDS
from monitor.database.tables import (
    AbuseCase,
    ApiKey,
    BatchRow,
    EvidenceRow,
    Incident,
    Listing,
    Outbox,
    ParkedRow,
    Run,
    Silence,
    Suppression,
    Suspension,
    Transition,
)
from monitor.facts import Store, retention
from monitor.restrictions.rows import newest_restriction
from monitor.suppressions.rows import version
from tests.monitor.conftest import Rows, T, batch

LATER = T + timedelta(days=4000)
OLD = T + timedelta(days=1)


def incident(id_: str, **more: Any) -> Incident:
    ended = more.get("ended_at")
    return Incident(id=id_, rule="r", subject_key=id_, open_key=id_, state="ended" if ended else "firing", severity="warning",
                    started_at=T, judged_at=T, **more)


def suspension(id_: str, **more: Any) -> Suspension:
    return Suspension(id=id_, scope={"customer": "acme"}, scope_key=id_, effect="hold", actor="r", text="t", since=T, **more)


def outbox(incident_id: str, state: str, **more: Any) -> Outbox:
    return Outbox(key=f"{incident_id}:{state}", incident_id=incident_id, receiver="chat", event="firing", severity="warning",
                  title="t", body="b", created_at=T, next_attempt_at=T, state=state, **more)


def transition(kind: str, of: str) -> Transition:
    return Transition(at=T, kind=kind, of=of, old="a", new="b", why="w", actor="r")


def listing(target: str, **more: Any) -> Listing:
    return Listing(target=target, dnsbl="zen", phase="cleared" if "cleared_at" in more else "listed", first_seen_at=T,
                   last_seen_at=T, checked_at=T, **more)


def case(id_: str, **more: Any) -> AbuseCase:
    return AbuseCase(id=id_, kind="spam", state="closed" if "closed_at" in more else "open", opened_at=T, newest_at=T,
                     deadline_at=T, **more)


def suppression(ref: str, **more: Any) -> Suppression:
    return Suppression(customer="acme", recipient_ref=ref, reason="manual", since=T, known_at=T, source="s", **more)


def key(id_: str, **more: Any) -> ApiKey:
    return ApiKey(id=id_, name="k", sha256=id_, created_at=T, **more)


# named `old`: over and needed by nothing; all others stay
ROWS: list[SQLModel] = [
    incident("inc-old", ended_at=OLD), incident("inc-open"), incident("inc-held", ended_at=OLD), incident("inc-unsent", ended_at=OLD),
    suspension("sus-old", lifted_at=OLD), suspension("sus-on", incident_id="inc-held"),
    suspension("sus-of-open", lifted_at=OLD, incident_id="inc-open"),
    outbox("inc-old", "sent", sent_at=OLD), outbox("inc-old-too", "given_up"), outbox("inc-unsent", "waiting"),
    outbox("inc-open", "sent", sent_at=OLD),
    Silence(id="sil-old", actor="a", reason="r", since=T, until=OLD), Silence(id="sil-on", actor="a", reason="r", since=T, until=LATER),
    listing("192.0.2.1", cleared_at=OLD), listing("192.0.2.2"),
    case("abu-old", closed_at=OLD), case("abu-open", batches=[1]),
    key("old", revoked_at=OLD), key("on"),
    suppression("old", lifted_at=OLD), suppression("on"), suppression("newest", lifted_at=OLD),
    transition("incident", "inc-old"), transition("incident", "inc-open"), transition("suspension", "sus-old"),
    transition("suspension", "sus-on"), transition("listing", "192.0.2.1@zen"), transition("listing", "192.0.2.2@zen"),
    transition("abuse_case", "abu-open"), transition("silence", "sil-old"), transition("suspension", "sus-old-but-newest-of-them"),
    transition("enrolment", "yahoo domain acme.example"), transition("incident", "inc-old-but-newest-of-all"),
]  # fmt: skip


@pytest.fixture
def kept(store: Store) -> Store:
    parked = tuple(Parked(f"box/{name}", "malformed", "", b"x") for name in "ab")
    store.intake([batch("1", evidence=(Evidence("mail", T, b"x"),), parked=parked)], T)
    store.intake([batch("2", evidence=(Evidence("mail", T, b"y"),))], T)
    for outcome in ("ok", "failed", "ok"):
        store.close_run(store.open_run("dnsbl", T), T, outcome=outcome)
    with store.session() as session:
        for row in ROWS:
            session.add(type(row)(**row.model_dump()))
            session.flush()
    return store


def test_what_is_over_goes_and_what_something_rests_on_stays(kept: Store, rows: Rows):
    gone = kept.prune(LATER)
    assert {name: count for name, count in gone.items() if count} == {
        "incident": 1, "suspension": 1, "outbox": 2, "silence": 1, "listing": 1, "abuse_case": 1, "api_key": 1, "suppression": 1,
        "transition": 4, "parked_unsettled": 2, "batch": 1, "run": 1, "evidence": 1,
    }  # fmt: skip
    assert [row.id for row in rows(Incident)] == ["inc-held", "inc-open", "inc-unsent"]
    assert [row.id for row in rows(Suspension)] == ["sus-of-open", "sus-on"]
    assert {(row.incident_id, row.state) for row in rows(Outbox)} == {("inc-unsent", "waiting"), ("inc-open", "sent")}
    assert [row.of for row in rows(Transition)] == [
        "inc-open", "sus-on", "192.0.2.2@zen", "abu-open", "sus-old-but-newest-of-them", "yahoo domain acme.example",
        "inc-old-but-newest-of-all",
    ]
    assert [row.recipient_ref for row in rows(Suppression)] == ["on", "newest"]
    assert [row.outcome for row in rows(Run)] == ["failed", "ok"]
    assert (len(rows(Silence)), len(rows(Listing)), len(rows(ApiKey)), len(rows(ParkedRow)), len(rows(BatchRow))) == (1, 1, 1, 0, 1)
    assert [row.batch_id for row in rows(EvidenceRow)] == [1]  # of the open case
    assert sum(kept.prune(LATER).values()) == 0


def test_nothing_goes_before_its_time(kept: Store):
    assert sum(kept.prune(OLD).values()) == 0


def test_what_followers_compare_with_never_runs_backwards(kept: Store, rows: Rows):
    with kept.reading_session() as session:
        before = newest_restriction(session), version(session, "acme"), kept.cut()
    kept.prune(LATER)
    with kept.reading_session() as session:
        assert (newest_restriction(session), version(session, "acme"), kept.cut()) == before
    newest = max(row.id for row in rows(BatchRow))
    kept.intake([batch("next")], LATER)
    assert max(row.id for row in rows(BatchRow)) > newest


def test_evidence_of_a_case_goes_once_the_case_is_closed(kept: Store, rows: Rows):
    kept.prune(LATER)
    with kept.session() as session:
        row = session.get(AbuseCase, "abu-open")
        row.state, row.closed_at = "closed", LATER
        session.add(row)
    assert kept.prune(LATER + timedelta(days=31))["evidence"] == 1
    assert rows(EvidenceRow) == []


def test_more_rows_than_a_transaction_takes_go_in_several(store: Store, rows: Rows, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retention, "_ROWS", 3)
    with store.session() as session:
        session.add_all([suspension(f"sus-{number}", lifted_at=OLD, incident_id="inc" if number % 2 else None) for number in range(20)])
        session.add(incident("inc"))
    assert store.prune(LATER)["suspension"] == 10
    assert len(rows(Suspension)) == 10


def test_every_table_has_a_limit_or_the_reason_why_not():
    limited, for_ever = {str(kind.model.__tablename__) for kind in KINDS}, {str(model.__tablename__) for model in FOR_EVER}
    assert limited | for_ever == set(SQLModel.metadata.tables)
    assert limited & for_ever == set()
    assert {kind.setting for kind in KINDS} == set(Retention.model_fields)
    assert all(why for why in FOR_EVER.values())


def test_a_trace_is_counted_from_what_it_is_about(store: Store):
    store.intake([batch("1", traces=(Trace("bounce", T, Subject(customer="acme")),))], T)
    assert store.prune(T + timedelta(days=60))["trace"] == 0
    assert store.prune(T + timedelta(days=160))["trace"] == 1


def test_names_of_kinds_are_their_tables_but_for_two_limits_of_one():
    assert {kind.name for kind in KINDS} - {"parked_unsettled"} == {table(kind.model).name for kind in KINDS}
