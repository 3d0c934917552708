"""Behind a pgbouncer in transaction mode everything works: nothing outlives its transaction."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from collectors.observation import Evidence, Subject, Trace
from monitor.intake.consequences import open_store
from tests.monitor.conftest import T, batch, counted, listing, minutes
from tests.servers.pgbouncer import pooled


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
