"""What is remembered of each target and list survives as a cursor."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from collectors.dnsbl.memory import Memory

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMES = [f"192.0.2.{n}" for n in range(40)]
answers = st.tuples(st.sampled_from(NAMES), st.sampled_from([True, False, None]), st.integers(0, 3), st.sampled_from([60, 3600, 3601]))


@given(st.lists(answers))
def test_a_cursor_holds_what_was_learnt(learnt):
    memory = Memory()
    for name, listed, minute, lasts in learnt:
        memory.of("bl").learn(name, listed, NOW + timedelta(minutes=minute), timedelta(seconds=lasts))
    memory.of("bl").proved_at = NOW
    memory.of("gone").learn(NAMES[0], True, NOW, timedelta(0))
    again = Memory()
    again.load(json.loads(json.dumps(memory.saved({"bl"}, NAMES, NOW))))
    assert again.of("bl") == memory.of("bl")
    assert again.of("gone").due == {}


def test_of_two_memories_the_later_counts():
    old, new = Memory(), Memory()
    old.of("bl").learn(NAMES[0], True, NOW, timedelta(0))
    saved = old.saved({"bl"}, NAMES, NOW)
    new.of("bl").learn(NAMES[1], True, NOW, timedelta(0))
    new.saved({"bl"}, NAMES, NOW + timedelta(minutes=1))
    new.load(saved)
    assert new.of("bl").listed == {NAMES[1]}
    new.load(old.saved({"bl"}, NAMES, NOW + timedelta(minutes=2)))
    assert new.of("bl").listed == {NAMES[0]}


def test_a_thousand_targets_on_sixty_lists_are_some_tens_of_kilobytes():
    memory, names = Memory(), [f"198.18.{n // 250}.{n % 250}" for n in range(1000)]
    for number in range(60):
        for name in names:
            memory.of(f"list{number}").learn(name, listed=False, now=NOW, lasts=timedelta(hours=1))
    assert len(json.dumps(memory.saved({f"list{n}" for n in range(60)}, names, NOW))) < 100_000


def test_what_is_taken_back_is_due_at_once_and_neither_known_nor_listed():
    memory = Memory().of("bl")
    memory.proved_at = NOW
    memory.learn(NAMES[0], True, NOW, timedelta(hours=1))
    memory.learn(NAMES[1], True, NOW + timedelta(minutes=1), timedelta(hours=1))
    assert memory.unproved().keys() == {NAMES[1]}
    memory.take_back(memory.unproved())
    assert (memory.listed, memory.answered.keys(), memory.due.keys()) == ({NAMES[0]}, {NAMES[0]}, {NAMES[0]})
