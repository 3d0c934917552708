"""A streaming replica answers what people ask, says as of when, and is never a reason for an error."""

import logging
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace

import pytest
from sqlalchemy import func, text
from sqlmodel import select

from monitor.console import Console, build_pages
from monitor.database import replica as replica_module
from monitor.database.tables import BatchRow
from monitor.facts import Store
from monitor.intake.consequences import open_store
from tests.monitor.api.running import NOW, Vigie, running
from tests.monitor.conftest import T, batch, counted, minutes
from tests.servers.pgbouncer import pooled
from tests.servers.postgres import Cluster
from tests.waiting import eventually

pytestmark = pytest.mark.real("postgres")


@pytest.fixture(scope="module")
def servers() -> Iterator[SimpleNamespace]:
    """A primary and its streaming replica."""
    primary = Cluster().start()
    # a query in the way of the replay is ended at once
    standby = primary.standby(max_standby_streaming_delay="0")
    yield SimpleNamespace(primary=primary, standby=standby)
    standby.stop()
    primary.stop()


@pytest.fixture
def pair(servers: SimpleNamespace) -> Iterator[SimpleNamespace]:
    """The servers, a fresh database and its addresses at both; the replica has it."""
    url = servers.primary.fresh_database()
    name = url.rpartition("/")[2]
    eventually(lambda: servers.standby.has_all_of(servers.primary))
    yield SimpleNamespace(**vars(servers), name=name, url=url, read_url=servers.standby.url(name))
    servers.standby.execute("SELECT pg_wal_replay_resume() WHERE pg_is_in_recovery()")


@pytest.fixture
def store(pair: SimpleNamespace) -> Iterator[Store]:
    with closing(open_store(pair.url, read_url=pair.read_url)) as opened:
        yield opened


@pytest.fixture
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that failed is tried again at once."""
    monkeypatch.setattr(replica_module, "REST_SECONDS", 0)


def batches(session) -> int:
    return session.exec(select(func.count()).select_from(BatchRow)).one()


def take(store: Store, number: int) -> None:
    store.intake([batch(f"{number}", counted(minutes(number)))], minutes(number))


def pause(pair: SimpleNamespace) -> None:
    eventually(lambda: pair.standby.has_all_of(pair.primary))
    pair.standby.execute("SELECT pg_wal_replay_pause()")
    eventually(lambda: pair.standby.execute("SELECT pg_get_wal_replay_pause_state()") == "paused")


def resume(pair: SimpleNamespace) -> None:
    pair.standby.execute("SELECT pg_wal_replay_resume()")
    eventually(lambda: pair.standby.has_all_of(pair.primary))


def test_a_question_goes_to_the_replica_which_says_as_of_when(store: Store, pair):
    take(store, 1)
    eventually(lambda: pair.standby.has_all_of(pair.primary))
    first = store.look(batches)
    pause(pair)
    take(store, 2)
    behind = store.look(batches)
    assert (first.answer, behind.answer) == (1, 1)
    assert first.as_of <= behind.as_of  # the time of the last transaction it has, which the service writes all the time
    resume(pair)
    after = store.look(batches)
    assert after.answer == 2
    assert after.as_of > behind.as_of


def test_whoever_wrote_reads_from_the_primary_until_the_replica_has_it_too(store: Store, pair):
    pause(pair)
    take(store, 1)
    store.wrote("operator")
    assert store.look(batches, "operator") == (1, None)
    assert store.look(batches) == (1, None)  # an open console knows nobody: it shows what anybody here wrote
    assert store.look(batches, "somebody else").answer == 0
    resume(pair)
    answer, as_of = store.look(batches, "operator")
    assert answer == 1
    assert as_of is not None


def test_a_replica_that_never_gets_there_is_read_again_after_a_while(store: Store, pair, monkeypatch):
    pause(pair)
    take(store, 1)
    store.wrote("operator")
    monkeypatch.setattr(replica_module, "MARKED_SECONDS", 0)
    assert store.look(batches, "operator").answer == 0


def test_a_query_that_stood_in_the_way_of_the_replay_is_read_once_more(store: Store, pair):
    pair.primary.execute("CREATE TABLE month ()", pair.name)
    eventually(lambda: pair.standby.has_all_of(pair.primary))
    tries = []

    def question(session):
        tries.append(1)
        if len(tries) == 1:
            session.execute(text("SELECT count(*) FROM month"))
            pair.primary.execute("DROP TABLE month", pair.name)
            session.execute(text("SELECT pg_sleep(300)"))  # ended by the replay (SQLSTATE 40001)
        return batches(session)

    answer, as_of = store.look(question)
    assert (answer, len(tries)) == (0, 2)
    assert as_of is not None


def test_one_that_is_always_in_the_way_is_answered_by_the_primary(store: Store, pair):
    def question(session):
        if session.execute(text("SELECT pg_is_in_recovery()")).scalar_one():
            session.execute(text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))
        return batches(session)

    assert store.look(question) == (0, None)


@pytest.mark.usefixtures("no_rest")
def test_a_replica_that_is_away_is_no_error_and_one_line_a_minute(store: Store, pair, caplog):
    eventually(lambda: store.look(batches).as_of)
    pair.standby.kill()
    with caplog.at_level(logging.WARNING):
        assert [store.look(batches) for _ in range(5)] == [(0, None)] * 5
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "engine.read_url cannot be read from, engine.url is instead: the database does not answer: connection refused; is it up, and engine.read_url right?"
    ]
    pair.standby.launch()
    eventually(lambda: store.look(batches).as_of)


def test_a_replica_that_failed_is_left_alone_for_a_while(pair, monkeypatch):
    monkeypatch.setattr(replica_module, "REST_SECONDS", 10_000)
    with closing(open_store(pair.url, read_url=pair.standby.url("no_such_database"))) as store:
        assert store.look(batches) == (0, None)
        monkeypatch.setattr(replica_module.Reads, "_of_replica", None)  # not asked again
        assert store.look(batches) == (0, None)


def test_a_read_url_that_is_no_replica_is_not_read_from(pair, caplog):
    with closing(open_store(pair.url, read_url=pair.url)) as store:
        assert store.look(batches) == (0, None)
    assert "it is no replica, or one that was promoted" in caplog.text


def test_what_the_question_itself_refuses_is_raised(store: Store):
    def question(_session):
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        store.look(question)


def test_sqlite_has_no_replica(tmp_path, pair):
    with pytest.raises(ValueError, match="the store is SQLite"):
        open_store(f"sqlite:///{tmp_path / 'vigie.sqlite'}", read_url=pair.url)


@pytest.mark.real("pgbouncer")
def test_through_a_pgbouncer_in_transaction_mode(pair):
    with (pooled(pair.url, 2) as url, pooled(pair.read_url, 2) as read_url,
          closing(open_store(url, read_url=read_url)) as store):  # fmt: skip
        take(store, 1)
        store.wrote("operator")
        eventually(lambda: store.look(batches, "operator").as_of)
        assert store.look(batches, "operator").answer == 1
        assert store.cut().batch == 1


@pytest.fixture
def vigie(store: Store) -> Iterator[Vigie]:
    pages = build_pages(Console(store, lambda: NOW))
    with running(store, pages=pages) as started:
        yield started


SILENCE = {"matchers": {"rule": "complaint-rate"}, "reason": "known", "until": "2030-01-01T00:00:00Z"}


def test_read_api_console_and_metrics_say_as_of_when_and_an_operator_sees_what_he_did(vigie: Vigie, pair):
    operator, reader = vigie.client("operate", "read"), vigie.client("read")
    pause(pair)
    assert operator.post("/v1/silences", json=SILENCE).status_code == 201
    own, others = operator.get("/v1/silences"), reader.get("/v1/silences")
    assert (len(own.json()), own.headers.get("vigie-as-of")) == (1, None)
    assert (len(others.json()), "vigie-as-of" in others.headers) == (0, True)
    assert "from a replica" not in vigie.client().get("/").text  # the console is open here: it shows what anybody did
    resume(pair)
    seen = operator.get("/v1/silences")
    assert (len(seen.json()), "vigie-as-of" in seen.headers) == (1, True)
    assert "\nvigie_replica_age_seconds " in vigie.client().get("/metrics").text
    for path in ("/", "/incidents", "/runs", "/fbl", "/abuse"):
        page = vigie.client().get(path).text
        assert "UTC</time>, from a replica" in page, path
    assert vigie.client().get("/readyz").status_code == 200


def test_a_page_that_is_far_behind_says_so_at_its_top(store: Store, pair):
    take(store, 1)
    eventually(lambda: pair.standby.has_all_of(pair.primary))
    as_of = store.look(batches).as_of
    later = as_of + (minutes(2) - T)
    with running(store, pages=build_pages(Console(store, lambda: later))) as vigie:
        page = vigie.client().get("/incidents").text
    assert "Not the newest" in page
    assert "2 min" in page


def test_of_several_hosts_the_one_that_can_be_written_is_found_also_for_a_backup(pair, tmp_path):
    hosts = f"127.0.0.1:{pair.standby.port},127.0.0.1:{pair.primary.port}"
    address = f"postgresql://vigie@{hosts}/{pair.name}?target_session_attrs=read-write"
    with closing(open_store(address, read_url=pair.read_url)) as store:
        take(store, 1)
        store.backup(tmp_path / "backup")
        take(store, 2)
        store.restore(tmp_path / "backup", force=True)
        with store.reading_session() as session:
            assert batches(session) == 1
