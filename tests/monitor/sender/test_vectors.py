"""The vectors for clients in other languages: the file is what stands here, and our own gate agrees with all of it."""

import json
from datetime import datetime

import pytest

from monitor.gate import decide, read_request
from monitor.sender import events
from monitor.sender.clock import Clock
from monitor.sender.filters import Filters
from monitor.sender.grants import Grants
from monitor.sender.known import Known, instant
from monitor.sender.local_gate import LocalGate
from tests.monitor.sender import vectors

CASES = json.loads(vectors.PATH.read_text("utf-8"))


class At(Clock):
    """Stands still."""

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self._now = now

    def now(self) -> datetime:
        return self._now


def test_the_file_is_what_the_vectors_say():
    assert vectors.PATH.read_text("utf-8") == vectors.document(), "python -m tests.monitor.sender.vectors"


@pytest.mark.parametrize("case", CASES["decisions"], ids=lambda case: case["name"])
def test_the_gate_decides_as_the_vectors_say(case):
    now = instant(case["now"])
    clock = At(now)
    gate = LocalGate(900, {"transactional": "send", "marketing": "hold"}, clock, Filters(int), Grants("x", clock, int))
    known = None
    for event in case["events"]:
        if event["event"] == "snapshot":
            known = Known.of_snapshot(event["data"], "a", now)
        elif event["event"] == "change":
            known = known.changed(event["data"], "b").indexed(now)
    gate.take(known)
    gate.heard(None)
    for asks in case["asks"]:
        decision = gate.ask(asks["request"]).as_dict()
        expected = {name: value for name, value in asks.items() if name != "request"}
        assert {name: decision[name] for name in expected} | {"reasons": sorted(each["text"] for each in decision["reasons"])} == expected
        if not known.allowances.rows:
            assert decide(read_request(asks["request"]), known.index, now).decision == expected["decision"], "as the service decides"


@pytest.mark.parametrize("case", CASES["streams"], ids=lambda case: case["name"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_the_bytes_hold_these_events_however_they_are_cut(case, size):
    reader, read = events.EventReader(), []
    data = case["bytes"].encode()
    for start in range(0, len(data), size):
        read += reader.feed(data[start : start + size])
    assert [{"event": each.name, "id": each.id, "data": json.loads(each.data)} for each in read] == case["events"]
