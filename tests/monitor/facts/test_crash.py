"""kill -9 at any moment of an intake: a batch is there with all it carried, or not at all."""

import itertools
import random
import signal
import time
from datetime import UTC, datetime, timedelta

from collectors.observation import Batch, Observation, Subject, Trace
from monitor.database.tables import BatchRow, Hourly, Latest, Reading, Suppression, TraceRow
from monitor.facts import Store
from monitor.intake.consequences import open_store
from tests.monitor.conftest import Rows
from tests.servers.forked import Forked


def take(url: str) -> None:
    """Take one batch in after the other, and say so, until killed."""
    store = open_store(url)
    taken = (store.cursor("taker", "place") or {"number": 0})["number"]
    print("ready", flush=True)
    for number in itertools.count(taken + 1):
        at = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(minutes=number)
        counts = tuple(Observation("delivered", Subject(ip=f"192.0.2.{i}"), at, 1.0) for i in range(200))
        state = Observation("canary", Subject(dnsbl="zen"), at, float(number % 2))
        dead = Trace("bounce", at, Subject(customer="acme"), recipient=f"jo{number}@example.com", verified=True, hard=True)
        batch = Batch("taker", str(number), at, (*counts, state), (dead,) * 20, cursor_name="place", cursor={"number": number})
        store.intake([batch], at)
        print(number, flush=True)
        if number % 5 == 0:
            store.roll_up()


def test_batches_and_what_they_carried_agree_after_kill_9_at_random_moments(
    store: Store, database_url: str, rows: Rows
):
    chance = random.Random(4)
    for _ in range(10):
        taker = Forked(take, database_url)
        assert taker.lines.readline() == b"ready\n"
        for _ in range(chance.randrange(3)):  # so many are surely in, then somewhere on the way of the next
            assert taker.lines.readline()
        time.sleep(chance.uniform(0, 0.05))
        taker.kill()
        assert taker.gone() == -signal.SIGKILL
    taken = len(rows(BatchRow))
    assert taken > 0
    assert store.cursor("taker", "place") == {"number": taken}
    assert [row.key for row in rows(BatchRow)] == [str(number + 1) for number in range(taken)]
    readings = rows(Reading)
    assert len(readings) == 201 * taken
    assert len(rows(TraceRow)) == 20 * taken
    assert [row.batch_id for row in rows(Suppression)] == [row.id for row in rows(BatchRow)]
    assert [row.at for row in rows(Latest)] == [max(row.at for row in readings)]
    store.roll_up()
    assert sum(row.readings for row in rows(Hourly)) == len(readings)
