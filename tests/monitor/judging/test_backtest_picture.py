"""A backtest as a page: what is in its frames, and what stands in the page."""

from datetime import timedelta

from monitor.judging.backtest import Episode
from monitor.judging.backtest_messages import Message
from monitor.judging.backtest_picture import Side, days_frame, episodes_frame, page, totals_frame
from tests.monitor.judging.world import START

END = START + timedelta(days=3)


def episode(begin, end, rule="rate", customer="bolt"):
    until = None if end is None else START + timedelta(hours=end)
    return Episode(rule, {"customer": customer}, "warning", START + timedelta(hours=begin), until)


SIDES = [
    Side("configured", [episode(0, 6), episode(30, None), episode(1, 2, "blocks", "<b>acme</b>")], [Message("chat", START), Message("chat", START)]),
    Side("against", [episode(2, 6)], []),
]


def test_hours_are_counted_to_the_end_of_what_still_fires():
    frame = episodes_frame(SIDES, END)
    assert frame["hours"].tolist() == [6.0, 42.0, 1.0, 4.0]
    totals = totals_frame(frame, SIDES)
    assert totals.loc["rate"].tolist() == [2, 48.0, 1, 4.0]
    assert totals.loc["blocks"].tolist() == [1, 1.0, 0, 0.0]


def test_days_without_anything_are_there_too():
    days = days_frame(SIDES, START, END)
    assert len(days) == 4
    assert days["episodes, configured"].tolist() == [2, 1, 0, 0]
    assert days["messages, configured"].tolist() == [2, 0, 0, 0]
    assert days["messages, against"].tolist() == [0, 0, 0, 0]


def test_the_page_escapes_what_came_from_outside_and_loads_nothing():
    text = page(SIDES, START, END)
    assert "&lt;b&gt;acme&lt;/b&gt;" in text
    assert "<b>acme" not in text
    assert "http" not in text
    assert text.count("<rect") >= 4


def test_nothing_fired_is_said():
    assert "Nothing fired." in page([Side("configured", [], [])], START, END)
