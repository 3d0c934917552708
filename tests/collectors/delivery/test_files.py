"""Files that are followed while they are written: rotated, copied and cut, packed, read by a process that starts anew."""

import gzip
import os
import shutil
from datetime import UTC, datetime, timedelta

import pytest
import zstandard

from collectors import discover
from collectors.contract import CollectorError
from collectors.delivery.files import Files, FilesSettings
from collectors.observation import Subject
from collectors.providers import shipped
from tests.collectors.delivery.test_formats import CASES

NOW = datetime(2026, 12, 2, 12, tzinfo=UTC)
LINES = (CASES / "postfix/short_ids.log").read_bytes().splitlines(keepends=True)
ALL = {"delivered": 3.0, "deferral": 1.0, "hard_bounce": 1.0, "not_attempted": 1.0}


class World:
    """What the store keeps: cursors, keys of records, counts."""

    def __init__(self, path, shape="postfix", **settings):
        self.path, self.cursors, self.keys, self.counts, self.parked, self.ids = path, {}, set(), {}, [], {}
        self.settings = FilesSettings(follow=({"path": path, "format": shape, **settings},))
        self.collector = Files(self.settings)
        self.providers = shipped()
        self.stop_after = None

    def cursor(self, name):
        return self.cursors.get(name)

    def known_records(self, keys):
        return frozenset(self.keys) & frozenset(keys)

    def whose(self, _mapping, sources):
        return lambda event, provider: Subject(customer="acme", ip=sources.get(event.source), provider=provider)

    def stopping(self):
        return False

    def run(self, batches=None):
        """Commit each batch; `batches`: the process dies after so many."""
        for number, batch in enumerate(self.collector.collect(self, NOW), 1):
            assert not self.keys & set(batch.records), "a record counted twice"
            self.keys |= set(batch.records)
            for each in batch.observations:
                self.counts[each.measure] = self.counts.get(each.measure, 0.0) + each.value
            self.ids |= {trace.recipient: trace.message_id for trace in batch.traces}
            self.parked += batch.parked
            if batch.cursor_name:
                self.cursors[batch.cursor_name] = dict(batch.cursor)
            if number == batches:
                break
        return self.counts

    def restart(self):
        self.collector = Files(self.settings)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "mail.log")


def test_it_is_a_collector_of_configurations():
    assert discover()["files"] is Files


def test_each_line_counts_once_as_it_is_written(world):
    for end in range(len(LINES) + 1):
        world.path.write_bytes(b"".join(LINES[:end]) + LINES[min(end, len(LINES) - 1)][:40])
        os.utime(world.path, (NOW.timestamp(), NOW.timestamp()))
        world.run()
    world.path.write_bytes(b"".join(LINES))
    assert world.run() == ALL
    assert world.run() == ALL
    assert world.parked == []


@pytest.mark.parametrize("at", range(1, len(LINES), 3))
@pytest.mark.parametrize("restarted", [True, False])
@pytest.mark.parametrize("rotate", ["rename", "copy and cut", "gzip", "zstd"])
def test_a_log_that_is_rotated_loses_nothing(world, at, restarted, rotate):
    world.path.write_bytes(b"".join(LINES[: at - 1]))
    world.run()
    with world.path.open("ab") as file:
        file.write(LINES[at - 1])  # not read yet when it is rotated
    old = world.path.with_name("mail.log.1")
    if rotate == "copy and cut":
        shutil.copyfile(world.path, old)
        os.truncate(world.path, 0)
    else:
        world.path.rename(old)
    if rotate in ("gzip", "zstd"):
        pack = gzip.compress if rotate == "gzip" else zstandard.compress
        old.with_name(f"mail.log.1.{rotate}").write_bytes(pack(old.read_bytes()))
        old.unlink()
    with world.path.open("ab") as file:
        file.write(b"".join(LINES[at:]))
    if restarted:
        world.restart()
    assert world.run() == ALL
    assert world.parked == []


def test_a_process_that_dies_anywhere_counts_each_record_once_and_joins_what_was_before(world):
    world.path.write_bytes(b"".join(LINES[:6]))
    world.run(batches=1)  # the facts are committed, the cursor is not
    world.restart()
    world.run()
    with world.path.open("ab") as file:
        file.write(b"".join(LINES[6:]))
    world.restart()
    assert world.run() == ALL
    assert world.ids == {"bob@yahoo.com": "1@acme.example", "gone@gmail.com": "2@bolt.example"}


def test_what_was_rotated_away_for_good_is_said(world):
    world.path.write_bytes(b"".join(LINES[:6]))
    world.run()
    world.path.unlink()
    world.path.write_bytes(b"".join(LINES[10:]))
    world.run()
    assert "is not found under another name" in world.parked[0].text
    assert world.counts["hard_bounce"] == 1.0


def test_accounting_files_are_followed_by_a_pattern_and_keep_their_header(tmp_path):
    data = (CASES / "powermta/union.csv").read_bytes()
    cut = data.index(b"such") + 2  # inside a field of several lines
    world = World(tmp_path / "acct-*.csv", "powermta", transports={"vmta7": "192.0.2.7"})
    path = tmp_path / "acct-2026-11-26-0000.csv"
    path.write_bytes(data[:cut])
    assert world.run() == {"deferral": 2.0}
    world.restart()
    path.write_bytes(data)
    (tmp_path / "acct-2026-11-27-0000.csv").write_bytes((CASES / "powermta/usual.csv").read_bytes())
    world.run()
    assert world.counts == {
        "accepted": 1.0, "async_bounced": 1.0, "block": 2.0, "deferral": 3.0, "delivered": 5.0, "hard_bounce": 1.0, "soft_bounce": 1.0,
        "unverified_complaint": 1.0}
    assert len(world.parked) == 3  # the last line has not ended


def test_a_file_that_is_not_there_fails_the_run_and_others_are_read(tmp_path):
    world = World(tmp_path / "mail.log")
    world.settings = FilesSettings(follow=({"path": tmp_path / "no.log", "format": "exim"}, {"path": world.path, "format": "postfix"}))
    world.path.write_bytes(b"".join(LINES))
    world.restart()
    with pytest.raises(CollectorError, match=r"no\.log: no such file"):
        world.run()
    assert world.counts == ALL
    with pytest.raises(ValueError, match="no such format"):
        FilesSettings(follow=({"path": "x", "format": "sendmail"},))


def test_settings_have_a_pace():
    assert FilesSettings().every == timedelta(seconds=10)
