"""What is known in part counts for the wider group, and may be of every group it does not contradict."""

import itertools

import pytest

from monitor.rules.in_part import CountsInPart

BY = ("customer", "stream", "provider")
NEWS = (("customer", "acme"), ("stream", "news"), ("provider", "gmail"))


@pytest.mark.parametrize(("cell", "certain", "perhaps"), [
    (("acme", "news", "gmail"), 1, 0),
    (("acme", None, "gmail"), 0, 1),
    (("acme", None, None), 0, 1),
    ((None, None, None), 0, 1),
    (("acme", "receipts", "gmail"), 0, 0),
    (("acme", "receipts", None), 0, 0),
    (("bolt", None, None), 0, 0),
])
def test_a_fact_is_of_a_group_or_may_be_or_is_not(cell, certain, perhaps):
    parted = CountsInPart(BY, {cell: {"complaint": 1}}).of(NEWS)
    assert (parted.certain.get("complaint", 0), parted.perhaps.get("complaint", 0)) == (certain, perhaps)


def test_a_group_known_in_part_holds_all_within_it():
    cells = {("acme", "news", "gmail"): {"delivered": 10_000}, ("acme", "receipts", "gmail"): {"delivered": 500},
             ("acme", None, "gmail"): {"complaint": 200}, ("acme", "news", None): {"complaint": 7},
             ("acme", "news", "orange"): {"delivered": 9}}  # fmt: skip
    counts = CountsInPart(BY, cells)
    wider = (("customer", "acme"), ("provider", "gmail"))
    assert wider in counts.groups()
    assert counts.of(wider) == ({"delivered": 10_500, "complaint": 200}, {"complaint": 7})
    assert counts.of(()).certain == {"delivered": 10_509, "complaint": 207}


def test_no_fact_is_counted_twice_or_for_a_group_it_contradicts():
    values = [("acme", "bolt", None), ("news", None), ("gmail", "orange", None)]
    cells = {cell: {"complaint": 2.0**i} for i, cell in enumerate(itertools.product(*values))}
    counts = CountsInPart(BY, cells)
    for group in counts.groups():
        wanted = dict(group)
        inside = [c for c in cells if all(dict(zip(BY, c, strict=True))[n] == v for n, v in group)]
        fits = [c for c in cells if all(dict(zip(BY, c, strict=True))[n] in {v, None} for n, v in wanted.items())]
        parted = counts.of(group)
        assert parted.certain["complaint"] == sum(cells[c]["complaint"] for c in inside)
        assert parted.perhaps.get("complaint", 0) == sum(cells[c]["complaint"] for c in fits if c not in inside)
