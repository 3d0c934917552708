"""Folders other programs drop mails into; the batches go to a real store, as a run takes them."""

import itertools
import json
import mailbox
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from collectors.contract import Reason
from collectors.report_mail import mail_drop, mail_files
from collectors.report_mail.mail_drop import MailDrop, MailDropSettings
from monitor.database.tables import ParkedRow, TraceRow
from monitor.facts import Store
from monitor.intake import run as intake_run
from monitor.intake.consequences import open_store
from monitor.intake.context import RunContext
from monitor.intake.run import Runner, Tally
from tests.places import MAIL_CASES
from tests.waiting import eventually

LATER = timedelta(minutes=1)  # what is written now has settled by then

TICKS = itertools.count()  # no two runs at one instant


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'vigie.sqlite'}")
    opened.migrate()
    yield opened
    opened.close()


def case(name: str) -> bytes:
    return (MAIL_CASES / name / "message.eml").read_bytes()


def bounce(number: int) -> bytes:
    return case("bounce-qmail").replace(b"<q1@", f"<q{number}@".encode())


def run(store: Store, path: Path, kind: str, *, at_once=False, die_after: int | None = None, **settings) -> Tally:
    folder = {"name": "drop", "path": path, "kind": kind, "purpose": "bounces"}
    collector = MailDrop(MailDropSettings(folders=[folder], **settings))
    taken, now = 0, datetime.now(UTC) + (timedelta(0) if at_once else LATER + timedelta(seconds=next(TICKS)))

    def take(batches):
        nonlocal taken
        if taken == die_after:
            raise KeyboardInterrupt  # as near to a kill as one process comes: nothing is caught, nothing moved
        taken += 1
        return store.intake(batches, now)

    context = RunContext(store, "mail_drop", {}, threading.Event(), now)
    return Runner(store, take, lambda: now).run(collector, context)


def traces(store: Store) -> int:
    with store.reading_session() as session:
        return len(session.exec(select(TraceRow)).all())


def parked(store: Store) -> list[tuple[str, str]]:
    with store.reading_session() as session:
        return [(row.place, row.reason) for row in session.exec(select(ParkedRow).order_by(ParkedRow.id))]


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / "Maildir" / name).mkdir(parents=True)
    return tmp_path / "Maildir"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "drop").mkdir()
    return tmp_path / "drop"


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_maildir_is_emptied_into_cur_and_what_cannot_be_used_is_flagged(store, maildir):
    (maildir / "new" / "1700000001.M1.mx").write_bytes(bounce(1))
    (maildir / "new" / "1700000002.M2.mx").write_bytes(b"\0\xff" * 50)
    (maildir / "tmp" / "1700000003.M3.mx").write_bytes(bounce(3))

    run(store, maildir, "maildir")

    assert names(maildir / "new") == []
    assert names(maildir / "cur") == ["1700000001.M1.mx:2,S", "1700000002.M2.mx:2,FS"]
    assert traces(store) == 1
    assert parked(store) == [("drop/1700000002.M2.mx", "malformed")]


def test_a_folder_of_files_is_emptied_into_done_and_parked_and_never_writes_over_a_file(store, files):
    for _ in range(2):
        (files / "a.eml").write_bytes(bounce(1))
        (files / "b.eml").write_bytes(case("bounce-that-names-nobody"))
        run(store, files, "files")

    assert names(files) == ["done", "parked"]
    assert (names(files / "done"), names(files / "parked")) == (["1-a.eml", "a.eml"], ["1-b.eml", "b.eml"])
    assert (traces(store), len(parked(store))) == (1, 1)


def test_a_file_still_being_written_waits(store, files):
    (files / "a.eml").write_bytes(bounce(1))
    (files / "b.eml.tmp").write_bytes(bounce(2))
    (files / ".hidden").write_bytes(bounce(3))

    run(store, files, "files", at_once=True)
    assert traces(store) == 0
    run(store, files, "files")

    assert traces(store) == 1
    assert names(files) == [".hidden", "b.eml.tmp", "done", "parked"]


def test_links_and_pipes_are_parked_and_never_followed(store, files, tmp_path):
    secret = tmp_path / "secret.eml"
    secret.write_bytes(bounce(1))
    (files / "link.eml").symlink_to(secret)
    os.mkfifo(files / "pipe.eml")
    old = time.time() - 3600
    os.utime(files / "link.eml", (old, old), follow_symlinks=False)

    run(store, files, "files")

    assert parked(store) == [("drop/link.eml", "refused"), ("drop/pipe.eml", "refused")]
    assert names(files / "parked") == ["link.eml", "pipe.eml"]
    assert secret.exists()
    assert traces(store) == 0


def test_a_mail_that_is_too_large_is_parked_with_its_beginning(store, files):
    (files / "huge.eml").write_bytes(bounce(1) + b"x" * 200_000)

    run(store, files, "files", max_mail_bytes=100_000)

    with store.reading_session() as session:
        row = session.exec(select(ParkedRow)).one()
    assert (row.reason, row.size) == ("too_large", 65_536)


def test_a_file_that_may_not_be_read_stays_is_reported_and_does_not_stop_the_others(store, files, monkeypatch):
    for name in ("a.eml", "b.eml"):
        (files / name).write_bytes(bounce(1))
    read = mail_files.whole_file

    def forbidden(path: Path, most: int):
        if path.name == "a.eml":
            raise PermissionError(13, "Permission denied")
        return read(path, most)

    monkeypatch.setattr(mail_drop, "whole_file", forbidden)
    tally = run(store, files, "files")

    assert (tally.outcome, tally.reason) == ("failed", Reason.REFUSED)
    assert "1 files cannot be read, the first a.eml: Permission denied" in tally.text
    assert (traces(store), names(files)) == (1, ["a.eml", "done", "parked"])


def test_a_folder_that_is_not_there_is_said_so(store, tmp_path):
    tally = run(store, tmp_path / "nowhere", "maildir")
    assert (tally.outcome, tally.reason) == ("failed", Reason.NOT_FOUND)
    assert run(store, tmp_path / "nowhere", "mbox").reason == Reason.NOT_FOUND


@pytest.mark.parametrize("die_after", range(4))
def test_killed_between_any_two_mails_nothing_is_lost_and_nothing_counted_twice(store, maildir, die_after, monkeypatch):
    monkeypatch.setattr(intake_run, "BATCHES_AT_ONCE", 1)
    for number in range(3):
        (maildir / "new" / f"{number}.mx").write_bytes(bounce(number))

    with pytest.raises(KeyboardInterrupt):
        run(store, maildir, "maildir", die_after=die_after)
    run(store, maildir, "maildir")

    assert (traces(store), len(names(maildir / "cur"))) == (3, 3)


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_killed_while_a_group_is_moved_after_its_commit_nothing_is_lost_or_counted_twice(
        store, maildir, moved, monkeypatch):
    for number in range(3):
        (maildir / "new" / f"{number}.mx").write_bytes(bounce(number))
    places, real = [], mail_drop.places_of

    def dies(folder):
        source, move = real(folder)

        def moves(name, what):
            if len(places) == moved:
                raise KeyboardInterrupt
            places.append(name)
            move(name, what)

        return source, moves

    monkeypatch.setattr(mail_drop, "places_of", dies)
    with pytest.raises(KeyboardInterrupt):
        run(store, maildir, "maildir")
    monkeypatch.setattr(mail_drop, "places_of", real)
    assert (traces(store), len(names(maildir / "cur"))) == (3, moved)

    tally = run(store, maildir, "maildir")

    assert (traces(store), tally.repeats, len(names(maildir / "cur"))) == (3, 3 - moved, 3)


def test_killed_between_commit_and_move_a_mail_is_offered_again_and_counted_once(store, maildir):
    (maildir / "new" / "1.mx").write_bytes(bounce(1))
    run(store, maildir, "maildir")
    (maildir / "cur" / "1.mx:2,S").rename(maildir / "new" / "1.mx")

    tally = run(store, maildir, "maildir")

    assert (tally.repeats, traces(store), names(maildir / "new")) == (1, 1, [])


def mbox(path: Path, numbers: range) -> None:
    """As Python's own mailbox module appends mails; it quotes lines that begin with From."""
    box = mailbox.mbox(path)
    for number in numbers:
        mail = mailbox.mboxMessage(bounce(number) + b"\nFrom here on all is returned\n")
        mail.set_from("MAILER-DAEMON", True)
        box.add(mail)
    box.close()


def test_an_mbox_is_read_on_from_where_it_was_read_to(store, tmp_path):
    path = tmp_path / "bounces"
    mbox(path, range(3))
    assert run(store, path, "mbox").repeats == 0
    mbox(path, range(3, 5))

    tally = run(store, path, "mbox")

    assert (traces(store), tally.repeats, tally.traces) == (5, 0, 2)
    assert run(store, path, "mbox").batches == 2  # only its cursor and that it was read


def test_an_mbox_that_was_replaced_is_read_from_its_beginning_and_counts_only_what_is_new(store, tmp_path):
    path = tmp_path / "bounces"
    mbox(path, range(3))
    run(store, path, "mbox")
    path.unlink()
    mbox(path, range(1, 9))

    tally = run(store, path, "mbox")

    assert (traces(store), tally.repeats) == (9, 2)


def test_the_last_mail_of_an_mbox_just_written_to_waits(store, tmp_path):
    path = tmp_path / "bounces"
    mbox(path, range(3))

    run(store, path, "mbox", at_once=True)
    assert traces(store) == 2
    run(store, path, "mbox")

    assert traces(store) == 3


def test_an_mbox_of_many_mails_leaves_its_place_behind_when_it_is_broken_off(store, tmp_path, monkeypatch):
    monkeypatch.setattr(mail_drop, "CURSOR_EVERY", 2)
    monkeypatch.setattr(intake_run, "BATCHES_AT_ONCE", 1)
    path = tmp_path / "bounces"
    mbox(path, range(5))

    with pytest.raises(KeyboardInterrupt):
        run(store, path, "mbox", die_after=4)  # two mails, a cursor, a mail
    tally = run(store, path, "mbox")

    assert (traces(store), tally.repeats) == (5, 1)


def test_the_same_mail_in_a_maildir_a_file_and_an_mbox_counts_once(store, maildir, files, tmp_path):
    (maildir / "new" / "1.mx").write_bytes(bounce(1))
    (files / "1.eml").write_bytes(bounce(1).replace(b"\n", b"\r\n"))
    (tmp_path / "bounces").write_bytes(b"From MAILER-DAEMON Tue Jul 14 08:00:12 2026\n" + bounce(1) + b"\n")

    for path, kind in ((maildir, "maildir"), (files, "files"), (tmp_path / "bounces", "mbox")):
        run(store, path, kind)

    assert traces(store) == 1


def test_a_mail_is_dated_by_its_arrival_not_by_when_it_was_looked_at(store, files):
    (files / "a.eml").write_bytes(bounce(1))
    run(store, files, "files")
    with store.reading_session() as session:
        assert session.exec(select(TraceRow)).one().at == datetime(2026, 7, 14, 8, 0, 12, tzinfo=UTC)


def test_two_folders_of_one_name_are_refused():
    folder = {"name": "drop", "path": "/var/mail/drop"}
    with pytest.raises(ValueError, match="two folders are named drop"):
        MailDropSettings(folders=[folder, folder])


def test_paths_are_as_seen_from_the_configuration(tmp_path):
    written = {"folders": [{"name": "drop", "path": "in"}, {"name": "far", "path": "/var/mail/far"}]}
    settings = MailDropSettings.model_validate(written, context=tmp_path)
    assert [folder.path for folder in settings.folders] == [tmp_path / "in", Path("/var/mail/far")]


def test_a_process_killed_while_it_empties_a_maildir_and_started_again_counts_everything_once(tmp_path, maildir, store):
    for number in range(400):
        (maildir / "new" / f"{number:03}.mx").write_bytes(bounce(number))
    configuration = tmp_path / "vigie.yaml"
    configuration.write_text(json.dumps({
        "engine": {"url": f"sqlite:///{tmp_path / 'vigie.sqlite'}"},
        "collectors": {"mail_drop": {"folders": [{"name": "drop", "path": "Maildir"}]}}}))
    command = [sys.executable, "-m", "monitor", "collect", "mail_drop", "--once", "--config", str(configuration)]
    kills = 0
    for left in (399, 300, 150):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            eventually(lambda left=left, running=running: len(names(maildir / "new")) <= left or running.poll() is not None, every=0.005)
            kills += running.poll() is None
            running.kill()
    assert kills > 0

    assert subprocess.run(command, check=False, capture_output=True).returncode == 0

    assert (names(maildir / "new"), len(names(maildir / "cur")), traces(store)) == ([], 400, 400)
