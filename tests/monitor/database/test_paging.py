import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from monitor.database.paging import Order, Page, PlaceError, paged, part
from monitor.database.tables import Incident, Run
from tests.monitor.conftest import T


def incident(name, minutes):
    at = T + timedelta(minutes=minutes)
    return Incident(id=name, rule="r", subject_key=name, open_key=name, state="firing", severity="info", started_at=at, judged_at=at)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_hold_every_row_once_in_order_also_where_instants_are_equal(store, descending, limit):
    with store.session() as session:
        session.add_all([incident(f"i{number}", number // 3) for number in range(7)])
    order = Order((col(Incident.started_at), col(Incident.id)), descending=descending)
    seen, after = [], None
    with store.reading_session() as session:
        while True:
            page = paged(session, select(Incident), order, Page(limit, after))
            seen += [row.id for row in page.rows]
            if page.next is None:
                break
            after = page.next
    assert seen == sorted(seen, reverse=descending)
    assert len(seen) == len(set(seen)) == 7


def test_a_row_that_comes_between_two_pages_moves_none_of_the_others(store):
    newest = Order((col(Run.id),))
    with store.session() as session:
        session.add_all([Run(collector=str(number), started_at=T) for number in range(4)])
    with store.session() as session:
        first = paged(session, select(Run), newest, Page(2))
        session.add(Run(collector="new", started_at=T))
        session.flush()
        rest = paged(session, select(Run), newest, Page(9, first.next))
        assert [row.collector for row in first.rows + rest.rows] == ["3", "2", "1", "0"]


@given(st.text(max_size=60))
def test_a_place_nobody_named_is_refused_and_breaks_nothing(place):
    order = Order((col(Incident.started_at), col(Incident.id)))
    with contextlib.suppress(PlaceError):
        order.beyond(place)


@pytest.mark.parametrize(
    "values", [b"[]", b"[1]", b'["a", "b"]', b"[1, 2, 3]", b'[99999999999999999999, "a"]', b'[-1, "a"]', b'[1, "a\\u0000"]', b'[true, "a"]', b"{}"]
)
def test_a_place_of_another_list_or_a_made_up_one_is_refused(values):
    import base64

    place = base64.urlsafe_b64encode(values).decode().rstrip("=")
    with pytest.raises(PlaceError):
        Order((col(Incident.started_at), col(Incident.id))).beyond(place)


@given(st.sets(st.text("abc/", max_size=3), max_size=12), st.integers(1, 5))
def test_what_is_in_memory_is_paged_alike(names, limit):
    seen, after = [], None
    while True:
        page = part(names, lambda name: (name,), Page(limit, after))
        seen += page.rows
        if page.next is None:
            break
        after = page.next
    assert seen == sorted(names)
