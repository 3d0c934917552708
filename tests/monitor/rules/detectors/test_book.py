"""What is usual is learnt from the streams of a class, and is what a stream without a past is taken for."""

import random

import pytest

from monitor.rules.detectors.book import Book, Stream
from monitor.rules.detectors.clustering import CORRELATIONS, USUAL
from monitor.rules.detectors.reporting import DAY


def mean(weights):
    return sum(rho * weight for rho, weight in zip(CORRELATIONS, weights, strict=True))


def filled(book, name, rates):
    """Thirty campaigns of a stream, one a day, at these rates in turn."""
    stream = Stream("acme", name, "gmail")
    for day in range(30):
        at = day * DAY + 3600
        book.deliver(stream, f"c{day}", at, 20_000)
        book.complain(stream, f"c{day}", (at, at), round(20_000 * rates[day % len(rates)]))
    return stream


def test_what_is_usual_follows_the_streams_of_the_class():
    book = Book(kinds={("acme", f"receipts{n}"): "transactional" for n in range(10)})
    for number in range(10):
        filled(book, f"receipts{number}", (0.0008, 0.0007, 0.0009))
        filled(book, f"news{number}", (0.0002, 0.0003, 0.0004, 0.004))
    book.learn(31 * DAY)
    alike = book.usual(Stream("acme", "receipts3", "gmail"))
    differ = book.usual(Stream("bolt", "unheard of", "yahoo"))
    assert mean(alike) < mean(USUAL) < mean(differ)


def test_nothing_is_learnt_from_streams_with_few_campaigns():
    book, rng = Book(), random.Random(1)
    for number in range(50):
        stream = Stream("acme", f"s{number}", "gmail")
        for day in range(5):
            book.deliver(stream, f"c{day}", day * DAY, 1000)
            book.complain(stream, f"c{day}", (day * DAY, day * DAY), rng.choice((0, 20)))
    book.learn(6 * DAY)
    assert book.usual(Stream("acme", "s1", "gmail")) == pytest.approx(USUAL)
