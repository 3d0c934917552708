"""Behind a pgbouncer in transaction mode everything works: nothing outlives its transaction."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from time import monotonic

import pytest

from collectors.observation import Evidence, Subject, Trace
from monitor.facts.following import Place, followed_traces
from monitor.intake.consequences import open_store
from tests.monitor.conftest import T, batch, counted, listing, minutes
from tests.servers.pgbouncer import pooled
from tests.waiting import PATIENCE_SECONDS


@pytest.mark.real("postgres")
@pytest.mark.real("pgbouncer")
def test_writers_readers_and_upkeep_share_few_connections_to_the_server(postgres_cluster):
    with pooled(postgres_cluster.fresh_database(), connections=3) as url, closing(open_store(url)) as store:
        store.migrate()

        def take(number: int) -> bool:
            facts = [counted(minutes(number), ip=f"192.0.2.{n}") for n in range(20)]
            facts += [listing(minutes(number), number % 2, ip=f"192.0.2.{n}") for n in range(20)]
            more = {"traces": (Trace("abuse_report", minutes(number), Subject(customer="acme")),),
                    "evidence": (Evidence("mail", minutes(number), b"x"),)}
            new = store.intake([batch(f"{number}", *facts, **more)], minutes(number))[0].new
            store.window_counts(["delivered"], ["ip"], T, minutes(90))
            return new and store.cut().batch > 0

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(take, range(40)))
        store.roll_up()
        assert store.window_counts(["delivered"], [], T, minutes(90)) == {(): {"delivered": 800}}
        assert len(store.latest("listing")) == 20
        store.prune(minutes(90))


@pytest.mark.real("postgres")
@pytest.mark.real("pgbouncer")
def test_a_follower_behind_it_misses_nothing_while_others_write(postgres_cluster):
    writers, each = 4, 15
    with pooled(postgres_cluster.fresh_database(), connections=3) as url, closing(open_store(url)) as store:

        def write(writer: int) -> None:
            for number in range(each):
                trace = Trace("abuse_letter", T, Subject(customer="acme"), text=f"{writer}/{number}")
                store.intake([batch(f"{writer}/{number}", counted(T), traces=(trace,) * 2)], T)

        def follow() -> list[str]:
            seen, place, ends_at = [], Place(), monotonic() + PATIENCE_SECONDS
            while len(seen) < writers * each * 2 and monotonic() < ends_at:
                cut = store.cut()
                with store.reading_session() as session:
                    new = followed_traces(session, place, cut, 1_000)
                if new:
                    place = Place(new[-1].batch_id, new[-1].id)
                    seen += [row.text for row in new]
            return seen

        with ThreadPoolExecutor(writers + 1) as threads:
            following = threads.submit(follow)
            assert list(threads.map(write, range(writers))) == [None] * writers
            seen = following.result(PATIENCE_SECONDS)
    wanted = [f"{writer}/{number}" for writer in range(writers) for number in range(each)]
    assert sorted(seen) == sorted(wanted * 2)
