"""`vigie events ingest`: files of records as they lie on a machine's disk."""

import gzip
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard

from tests.monitor.commands.test_operating import rows, vigie

__all__ = ["vigie"]  # a fixture

CASES = Path(__file__).parents[2] / "collectors/delivery/cases"
AT = datetime.now(UTC) - timedelta(minutes=5)


def segment(count, first=0):
    return b"".join(
        json.dumps({
            "type": "Delivery", "id": f"{number:032x}", "sender": "b@acme.example", "recipient": f"u{number}@gmail.com", "queue": "acme@gmail.com",
            "site": "ip-3->gmail@smtp_client", "size": 1, "response": {"code": 250, "enhanced_code": None, "content": "OK", "command": None},
            "peer_address": None, "timestamp": int(AT.timestamp()), "created": 0, "num_attempts": 0, "bounce_classification": "Uncategorized",
            "meta": {}, "headers": {}, "nodeid": "557f3ad4",
        }).encode() + b"\n"
        for number in range(first, first + count)
    )


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_a_segment_is_read_as_it_is_packed_once_and_what_was_added_is_new(vigie, tmp_path, pack):
    path = tmp_path / "20231013-003826.123456789"
    path.write_bytes(pack(segment(5)))
    first = vigie("events", "ingest", "--format", "kumomta", path, "--json")
    assert rows(first) == [{"read": 5, "ignored": {}, "unreadable": 0, "outcomes": {"delivered": 5}, "categories": {}}]
    path.write_bytes(pack(segment(7)))
    again = vigie("events", "ingest", "--format", "kumomta", path, "--json")
    assert rows(again) == [{"read": 2, "ignored": {"duplicate": 5}, "unreadable": 0, "outcomes": {"delivered": 2}, "categories": {}}]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_of_a_cut_segment_what_decompresses_is_read(vigie, tmp_path, pack):
    packed = pack(segment(5_000))
    path = tmp_path / "cut"
    path.write_bytes(packed[: len(packed) // 2])
    (counts,) = rows(vigie("events", "ingest", "--format", "kumomta", path, "--json"))
    assert 0 < counts["read"] < 5_000
    assert counts["unreadable"] <= 1


def test_several_files_and_standard_input(vigie, tmp_path):
    paths = []
    for number in range(2):
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_bytes(segment(3, first=3 * number))
    done = vigie("events", "ingest", "--format", "kumomta", *paths)
    assert "6 records read, 0 unreadable" in done.stdout
    assert "2 records read" in vigie("events", "ingest", "--format", "kumomta", stdin=segment(2, first=9).decode()).stdout
    vigie("events", "ingest", "--format", "kumomta", stdin='{"type": "Delivery"}\n', code=1)


def test_a_log_that_was_rotated_is_one_log_and_its_years_are_those_of_its_files(vigie, tmp_path):
    lines = (CASES / "postfix/short_ids.log").read_bytes().splitlines(keepends=True)
    old, new = tmp_path / "mail.log.1", tmp_path / "mail.log"
    old.write_bytes(gzip.compress(b"".join(lines[:8])))
    new.write_bytes(b"".join(lines[8:]))
    year_before = datetime.now(UTC) - timedelta(days=200)
    for path in (old, new):
        os.utime(path, (year_before.timestamp(), year_before.timestamp()))
    done = vigie("events", "ingest", "--format", "postfix", old, new, "--json")
    (counts,) = rows(done)
    assert (counts["read"], counts["unreadable"], counts["outcomes"]) == (
        19, 0, {"bounced": 1, "deferred": 1, "delivered": 3, "not_attempted": 1})
    assert rows(vigie("events", "ingest", "--format", "postfix", old, new, "--json"))[0]["read"] == 0


def test_accounting_files_each_have_a_header_and_a_field_may_span_lines(vigie, tmp_path):
    path = tmp_path / "acct-2026-11-26-0000.csv"
    path.write_bytes((CASES / "powermta/union.csv").read_bytes())
    done = vigie("events", "ingest", "--format", "powermta", path, "--json")
    assert rows(done)[0]["unreadable"] == 4
    assert f"{path}:16: " in done.stderr


def test_posts_of_relays_are_read_from_files(vigie, tmp_path):
    at = int(AT.timestamp())
    events = [{"email": "ann@gmail.com", "timestamp": at, "event": event, "sg_event_id": event} for event in ("delivered", "dropped", "open")]
    path = tmp_path / "events.json"
    path.write_text(json.dumps(events, indent=1))
    (counts,) = rows(vigie("events", "ingest", "--format", "sendgrid", path, "--json"))
    assert counts == {"read": 2, "ignored": {"open": 1}, "unreadable": 0, "outcomes": {"delivered": 1, "not_attempted": 1}, "categories": {}}
    again = vigie("events", "ingest", "--format", "sendgrid", "--json", stdin="\n".join(map(json.dumps, events)) + "\nrubbish\n", code=1)
    assert rows(again)[0] | {"categories": {}} == {"read": 0, "ignored": {"duplicate": 2, "open": 1}, "unreadable": 1, "outcomes": {}, "categories": {}}
    mail = {"messageId": "1", "timestamp": AT.isoformat(), "destination": ["ann@gmail.com"]}
    notice = json.dumps({"notificationType": "Delivery", "mail": mail, "delivery": {"timestamp": AT.isoformat(), "recipients": ["ann@gmail.com"]}})
    for given in (notice, json.dumps({"Type": "Notification", "Message": notice})):
        counts = rows(vigie("events", "ingest", "--format", "ses", "--json", stdin=given + "\n"))[0]
    assert counts["ignored"] == {"duplicate": 1}
