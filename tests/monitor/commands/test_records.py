"""`vigie events ingest --format kumomta`: files as they lie on a node's disk."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest
import zstandard

from tests.monitor.commands.test_operating import rows, vigie

__all__ = ["vigie"]  # a fixture

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
