"""Upkeep: each job does its part, and doing it twice changes nothing more."""

from datetime import timedelta

from collectors.observation import Subject, Trace
from monitor.database.tables import AbuseCase, Daily, FblEnrolment, Reading, TraceRow
from monitor.facts import Retention, Store
from monitor.jobs.upkeep import Upkeep
from tests.monitor.conftest import Rows, T, batch, counted

LATER = T + timedelta(days=500)


def test_every_job_does_its_part_and_may_be_repeated(store: Store, rows: Rows):
    letter = Trace("abuse_letter", T, Subject(), text="phishing from your network", how="arf")
    store.intake([batch("1", counted(T), traces=(letter,), source="abuse")], T)
    with store.session() as session:
        session.add(FblEnrolment(provider="yahoo", kind="domain", subject="acme.example", state="active", updated_at=T,
                                 ends_at=T + timedelta(days=1)))
    upkeep = Upkeep(store, lambda: LATER, Retention())
    jobs = {work.name: work.do for work in upkeep.jobs()}
    assert set(jobs) == {"roll-up", "prune", "abuse-cases", "enrolments", "listings"}
    for _ in range(2):
        for name in ("roll-up", "abuse-cases", "enrolments"):
            jobs[name]()
    assert [row.total for row in rows(Daily)] == [1]
    assert len(rows(AbuseCase)) == 1
    assert [row.state for row in rows(FblEnrolment)] == ["lapsed"]
    for _ in range(2):
        jobs["prune"]()
    assert rows(TraceRow) == []
    assert len(rows(Daily)) == 1
    if store.engine.dialect.name == "sqlite":  # PostgreSQL drops whole months
        assert rows(Reading) == []
