"""History in the order in which it became known."""

import itertools
from datetime import timedelta

from monitor.facts import history
from monitor.facts.history import known_counts
from tests.monitor.conftest import T, batch, counted, minutes


def values(store, measures=("delivered",), since=T, until=T + timedelta(days=1)):
    with store.reading_session() as session:
        return [each.value for each in known_counts(session, measures, since, until)]


def test_late_facts_come_when_they_were_known_and_whole_chunks_are_streamed(store, monkeypatch):
    monkeypatch.setattr(history, "_CHUNK", 3)
    for number, about in enumerate([9, 2, 7, 1, 8, 3, 0, 6]):
        store.intake([batch(str(number), counted(minutes(about), number))], minutes(10 + number))
    assert values(store) == list(range(8))
    assert values(store, until=minutes(14)) == [0, 1, 2, 3]
    assert values(store, since=minutes(6)) == [0, 2, 4, 7]


def test_other_measures_and_what_is_unknown_are_left_out_and_labels_are_those_of_the_series(store):
    facts = counted(T, 5, stream="news"), counted(T, 6, measure="complaint"), counted(minutes(1), None)
    store.intake([batch("1", *facts)], minutes(2))
    with store.reading_session() as session:
        (only,) = known_counts(session, ["delivered"], T, minutes(9))
    assert (only.known_at, only.at, only.labels, only.value) == (minutes(2), T, {"customer": "acme", "stream": "news"}, 5)


def test_what_is_ingested_meanwhile_is_not_seen(store, monkeypatch):
    monkeypatch.setattr(history, "_CHUNK", 2)
    for number in range(5):
        store.intake([batch(str(number), counted(minutes(number), number))], minutes(number))
    with store.reading_session() as session:
        facts = known_counts(session, ["delivered"], T, T + timedelta(days=1))
        first = list(itertools.islice(facts, 2))
        store.intake([batch("meanwhile", counted(minutes(20), 99))], minutes(20))
        rest = list(facts)
    assert [each.value for each in (*first, *rest)] == [0, 1, 2, 3, 4]
