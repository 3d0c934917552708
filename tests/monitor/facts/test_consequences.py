"""What follows from facts is handed to the store, and stands or falls with them."""

from contextlib import closing

import pytest

from collectors.observation import Subject, Trace
from monitor.database.tables import BatchRow, Reading, TraceRow
from monitor.facts import Store
from monitor.facts.consequences import Consequences, FromTraces
from tests.monitor.conftest import Rows, T, batch, counted, listing, minutes

COMPLAINT = Trace("complaint", T, Subject(customer="acme"), recipient="jo@example.com")
DELIVERY = Trace("delivery", T, Subject(customer="acme"), recipient="jo@example.com")


def test_answers_go_to_what_follows_from_their_measure_and_traces_to_what_follows_from_their_kind(
    store: Store, database_url: str
):
    answers, traces = [], []

    def fold(connection, new, never_known):
        answers.append(([each.answer.value for each in new], len(never_known)))
        return set()

    consequences = Consequences(
        {"listing": fold}, [FromTraces(frozenset({"complaint"}), lambda connection, new, at: traces.extend(new))]
    )
    with closing(Store(database_url, consequences=consequences)) as other:
        other.intake([batch("1", listing(T, 0), counted(T), traces=(COMPLAINT, DELIVERY))], T)
        other.intake([batch("1", listing(T, 0), traces=(COMPLAINT,))], T)  # a repeat has none
        other.intake([batch("2", listing(minutes(15), 1), counted(T), traces=(DELIVERY,))], minutes(15))
    assert answers == [([0], 1), ([1], 0)]
    assert [(each.batch_id, each.source, each.trace) for each in traces] == [(1, "mta", COMPLAINT)]
    assert traces[0].recipient_ref == store.recipient_ref("acme", "jo@example.com")


@pytest.mark.parametrize("where", ["answers", "traces"])
def test_facts_whose_consequence_cannot_be_written_are_not_taken(store: Store, database_url: str, rows: Rows, where: str):
    def fail(*_: object) -> None:
        raise RuntimeError("no room")

    failing = {
        "answers": Consequences(answers={"listing": fail}),
        "traces": Consequences(traces=[FromTraces(frozenset({"complaint"}), fail)]),
    }[where]
    with closing(Store(database_url, consequences=failing)) as other, pytest.raises(RuntimeError):
        other.intake([batch("1", listing(T, 1), counted(T), traces=(COMPLAINT,))], T)
    assert [rows(model) for model in (BatchRow, Reading, TraceRow)] == [[], [], []]
