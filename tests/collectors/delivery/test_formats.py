"""Records of each format, line for line: a case is a file as the mail system writes it and what stands in it (`cases/FORMAT`)."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from collectors.delivery.counting import counted, records_of
from collectors.delivery.fields import without_year
from collectors.delivery.formats import FORMATS
from collectors.delivery.open_messages import OpenMessages
from collectors.delivery.outcomes import Ignored, Unreadable
from collectors.observation import Subject
from collectors.providers import shipped

CASES = Path(__file__).parent / "cases"
NOW = datetime(2026, 12, 2, 12, tzinfo=UTC)
PATHS = sorted(path.with_suffix("") for path in CASES.glob("*/*.yaml"))


def whose(event, provider):
    return Subject(customer="acme", ip=event.ip, provider=provider)


def given(path):
    (file,) = (each for each in path.parent.glob(f"{path.name}.*") if each.suffix != ".yaml")
    return file.read_bytes()


def read(shape, data, reading=None, first=1):
    reading = reading or FORMATS[shape].opened()
    reading.begin(NOW)
    return records_of(FORMATS[shape].records(enumerate(data.splitlines(keepends=True), first)), reading, f"events/{shape}")


def count(shape, lines, **more):
    return counted(lines, source=f"events/{shape}", key="k", now=NOW, providers=shipped(), whose=whose, **more)


def events_of(lines):
    return [event for line in lines if not isinstance(line.read, Ignored | Unreadable) for event in line.read]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_file_says_what_became_of_each_mail_and_no_line_is_left_out(path):
    truth = yaml.safe_load(path.with_suffix(".yaml").read_text())
    lines = read(path.parent.name, given(path))
    answer = count(path.parent.name, lines)
    assert answer.as_counts() == truth["counts"], answer.unreadable
    events = events_of(lines)
    assert len(events) == len(truth["events"])
    for event, wanted in zip(events, truth["events"], strict=True):
        shown = {name: getattr(event, name) for name in wanted} | ({"at": event.at.isoformat()} if "at" in wanted else {})
        assert shown == wanted


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_same_file_again_adds_nothing(path):
    shape, data = path.parent.name, given(path)
    first = count(shape, read(shape, data))
    again = count(shape, read(shape, data), known=frozenset(first.batch.records))
    assert (again.read, again.outcomes, again.unreadable) == (0, {}, [])
    assert sum(again.ignored.values()) == first.read + sum(first.ignored.values()) + len(first.unreadable)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_file_cut_anywhere_raises_nothing_and_its_whole_records_stay_the_same(path):
    shape, data = path.parent.name, given(path)
    whole = {line.key: line.read for line in read(shape, data)}
    for end in range(0, len(data), max(1, len(data) // 200)):
        lines = read(shape, data[:end])
        assert all(whole.get(line.key, line.read) == line.read for line in lines[:-1])


@pytest.mark.parametrize("shape", FORMATS)
@pytest.mark.parametrize("data", [b"\x00", b"\xff\xfe\xfd", b'"', b"{", b"@" * 40, b"," * 300, b"Nov 31 18:00:00 a postfix/smtp[1]: x", b"d,1,2"])
def test_what_is_no_record_says_why(shape, data):
    for line in read(shape, data):
        assert isinstance(line.read, Unreadable | Ignored)


def test_accounting_records_of_the_usual_columns_are_read_without_their_header():
    with_header = given(CASES / "powermta/usual")
    alone = with_header.split(b"\r\n", 1)[1]
    assert events_of(read("powermta", alone)) == events_of(read("powermta", with_header))


def test_a_week_of_queue_ids_used_again_joins_no_mail_with_another():
    reading, joined = FORMATS["postfix"].opened(), 0
    for number in range(2_000):
        queue_id, at = f"{number % 7:06X}", f"Nov {1 + number // 300:2} {number % 24:02}:00:00 mx1"
        lost = number % 3 == 0  # the line that ends a mail never came
        lines = [f"{at} postfix/smtpd[1]: {queue_id}: client=app[192.0.2.10]"] * (number % 2) + [
            f"{at} postfix/cleanup[1]: {queue_id}: message-id=<{number}@acme.example>",
            f"{at} postfix/qmgr[1]: {queue_id}: from=<b{number}@acme.example>, size=1, nrcpt=1 (queue active)",
            f"{at} postfix/smtp[1]: {queue_id}: to=<u{number}@gmail.com>, relay=mx[192.0.2.1]:25, delay=1, dsn=2.0.0, status=sent (250 ok)",
        ] + [f"{at} postfix/qmgr[1]: {queue_id}: removed"] * (not lost)
        (event,) = events_of(read("postfix", "\n".join(lines).encode(), reading))
        assert (event.message_id, event.sender) == (f"{number}@acme.example", f"b{number}@acme.example")
        joined += 1
    assert joined == 2_000


def test_mails_on_their_way_are_forgotten_from_the_oldest_on():
    messages = OpenMessages(most=3)
    for key in "abcd":
        messages.begin(key).message_id = key
    assert len(messages) == 3
    assert (messages.end("a").message_id, messages.end("b").message_id) == (None, "b")


@pytest.mark.parametrize(
    ("text", "written", "at"),
    [
        ("Dec 31 23:59:59", datetime(2026, 1, 1, tzinfo=UTC), "2025-12-31T23:59:59"),
        ("Jan  1 00:00:05", datetime(2025, 12, 31, 23, tzinfo=UTC), "2026-01-01T00:00:05"),  # a clock that runs ahead
        ("Feb 29 12:00:00", datetime(2025, 1, 3, tzinfo=UTC), "2024-02-29T12:00:00"),
        ("Nov 26 18:00:00", datetime(2026, 11, 26, tzinfo=UTC), "2026-11-26T18:00:00"),
    ],
)
def test_the_year_is_that_of_the_time_it_was_written(text, written, at):
    assert without_year(text, written).astimezone().replace(tzinfo=None).isoformat() == at
