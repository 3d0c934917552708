"""Whoever follows what was taken in misses nothing and sees nothing half, however many write at once."""

import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack, closing
from itertools import pairwise

from sqlalchemy import text
from sqlmodel import select

from collectors.observation import Subject, Trace
from monitor.database.engine import Engines
from monitor.database.tables import Reading, TraceRow, Transition
from monitor.facts import Store
from monitor.facts.following import Cut, Place, followed_traces, newest_transition, place_of_trace
from monitor.intake.consequences import open_store
from tests.monitor.conftest import Rows, T, batch, counted, minutes

WRITERS, BATCHES, TRACES, COUNTS = 6, 25, 7, 11
# each writes batches, and between them transitions in sessions that take their time before they commit
WRITER = f"""
import sys
from datetime import datetime, timezone
from collectors.observation import Batch, Observation, Subject, Trace
from monitor.database.tables import Setting, Transition
from monitor.intake.consequences import open_store

store, name = open_store(sys.argv[1]), sys.argv[2]
at = datetime(2026, 1, 2, tzinfo=timezone.utc)
print("ready", flush=True)
sys.stdin.readline()
for number in range({BATCHES}):
    traces = tuple(Trace("abuse_report", at, Subject(customer=f"c{{i}}")) for i in range({TRACES}))
    counts = tuple(Observation("delivered", Subject(ip=f"192.0.2.{{i}}"), at, 1.0) for i in range({COUNTS}))
    store.intake([Batch(name, str(number), at, counts, traces)], at)
    with store.session() as session:
        session.add(Transition(at=at, kind="silence", of=name, old="", new="", why="", actor=""))
        session.flush()
        session.add(Setting(name=f"{{name}} {{number}}", value=""))
"""


class Follower(threading.Thread):
    """Reads from cut to cut until notified that all is written, and once more then."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store, self.written = store, threading.Event()
        self.traces, self.readings, self.transitions = Counter(), Counter(), []
        self.cuts = [Cut(0, 0)]
        self.late, self.failure = [], None

    def run(self):
        try:
            last = False
            while not last:
                last = self.written.is_set()
                self.look()
        except BaseException as error:
            self.failure = error

    def look(self):
        seen, cut = self.cuts[-1], self.store.cut()
        self.cuts.append(cut)
        with self.store.reading_session() as session:
            between = (Reading.batch_id > seen.batch, Reading.batch_id <= cut.batch)
            self.readings.update(session.exec(select(Reading.batch_id).where(*between)))
            traces = followed_traces(session, Place(seen.batch + 1), cut, 10_000)
            self.traces.update(row.batch_id for row in traces)
            version = newest_transition(session)
            self.transitions += session.exec(
                select(Transition.id).where(Transition.id > seen.transition, Transition.id <= cut.transition)
            )
            known = set(session.exec(select(Transition.id).where(Transition.id <= version)))
        self.late.append((version, len(known)))


def test_many_writers_and_a_follower_that_misses_nothing_and_sees_nothing_half(store: Store, database_url: str, rows: Rows):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, database_url, f"w{n}"], **pipes) for n in range(WRITERS)]
    assert [writer.stdout.readline() for writer in writers] == [b"ready\n"] * WRITERS
    follower = Follower(store)
    follower.start()
    for writer in writers:
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    follower.written.set()
    follower.join()
    assert follower.failure is None
    batches = range(1, WRITERS * BATCHES + 1)
    assert follower.traces == dict.fromkeys(batches, TRACES)
    assert follower.readings == dict.fromkeys(batches, COUNTS)
    every = [row.id for row in rows(Transition)]
    assert follower.transitions == every
    assert len(every) == WRITERS * BATCHES
    # a version that was shown once never gains a transition below it
    by_version = Counter()
    for version, count in follower.late:
        assert by_version.setdefault(version, count) == count
    assert all(later >= earlier for earlier, later in pairwise(follower.cuts))


def test_a_cut_waits_for_who_is_writing_and_then_has_what_was_written(store: Store, database_url: str):
    store.intake([batch("1", counted(T))], T)
    cuts = []
    with closing(open_store(database_url)) as other:
        with ExitStack() as stack:
            engines = Engines(database_url)
            stack.callback(engines.dispose)
            connection = stack.enter_context(engines.alone())
            taker = threading.Thread(target=lambda: cuts.append(other.cut().batch))
            taker.start()
            connection.execute(text(
                "INSERT INTO batch (source, key, at, known_at, observations, traces, parked)"
                " SELECT 'x', '2', at, known_at, 0, 0, 0 FROM batch"
            ))  # fmt: skip
        taker.join()
        assert other.cut().batch == 2
    # SQLite shows what is committed and need not wait: its writers come one after the other
    assert cuts in ([[2]] if store.engine.dialect.name == "postgresql" else [[1], [2]])


def test_followed_traces_come_in_the_order_of_their_batches_piece_by_piece(store: Store, rows: Rows):
    for number in range(3):
        traces = [Trace("abuse_letter", minutes(-number), Subject(customer=f"c{9 - n}")) for n in range(3)]
        other = Trace("bounce", T, Subject(customer="acme"))
        store.intake([batch(f"{number}", traces=(*traces, other))], T)
    place, seen = Place(), []
    with store.reading_session() as session:
        while page := followed_traces(session, place, Cut(2, 0), 2):
            seen += [row.id for row in page]
            place = Place(page[-1].batch_id, page[-1].id)
        followed = [row for row in sorted(rows(TraceRow), key=lambda row: row.id) if row.kind == "abuse_letter"]
        assert seen == [row.id for row in followed if row.batch_id <= 2]
        assert place_of_trace(session, seen[-1]) == place
        assert place_of_trace(session, 0) == Place()
