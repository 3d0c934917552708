"""The tree of routes leads as Alertmanager's does, and a receiver's own filters hold under it."""

from datetime import timedelta

import pytest

from monitor.incidents.matchers import parse
from monitor.notify.message import Receiver
from monitor.notify.routing import Inhibition, Route, Routing

CELL, PAGER = Receiver("cell"), Receiver("pager")
ACME = Receiver("acme", customers=frozenset({"acme"}))
LABELS = {"rule": "complaint-rate", "severity": "critical", "customer": "acme", "provider": "gmail", "incident": "inc-1"}


def route(text, receiver, **more):
    return Route(tuple(map(parse, text.split(","))) if text else (), receiver, **more)


TREE = route("", "cell", group_by=("rule",), routes=(
    route("severity=critical", "pager", group_by=("rule",), goes_on=True, name="0", routes=(route("customer=bolt", "cell", name="0.0"),)),
    route("customer=~acme|bolt", "acme", name="1", group_by=()),
    route("rule=~complaint-.*", "cell", name="2"),
))  # fmt: skip
ROUTING = Routing([CELL, PAGER, ACME], TREE)


def names(**labels):
    return [each.receiver for each in ROUTING.deliveries({**LABELS, **labels})]


@pytest.mark.parametrize(("labels", "receivers"), [
    ({}, ["pager", "acme"]), ({"customer": "bolt"}, ["cell"]), ({"severity": "info", "customer": "other"}, ["cell"]),
    ({"severity": "info", "customer": "bolt"}, []), ({"severity": "info", "customer": "other", "rule": "x"}, ["cell"]),
])  # fmt: skip
def test_the_first_that_matches_takes_it_and_continue_asks_the_next(labels, receivers):
    assert names(**labels) == receivers


def test_without_routes_every_receiver_is_asked_and_each_incident_is_a_group():
    flat = Routing([CELL, ACME])
    assert [(each.receiver, each.group) for each in flat.deliveries(LABELS)] == [
        ("cell", {"incident": "inc-1"}), ("acme", {"incident": "inc-1"})]
    assert [each.receiver for each in flat.deliveries({**LABELS, "customer": "bolt"})] == ["cell"]


def test_a_group_is_what_its_labels_have_alike():
    def keys(**labels):
        return [each.group_key for each in ROUTING.deliveries({**LABELS, **labels})]

    assert keys() == keys(incident="inc-2", severity="critical")
    assert keys(rule="x")[1] == keys()[1]  # all in one
    grouped = Routing([CELL], route("", "cell", group_by=("rule",)))
    assert {each.group_key for rule in "ab" for each in grouped.deliveries({**LABELS, "rule": rule})} == {"{rule=a}", "{rule=b}"}


def test_a_listed_network_is_a_group():
    grouped = Routing([CELL], route("", "cell", group_by=("rule", "network")))

    def keys(*labels):
        return [each.group_key for given in labels for each in grouped.deliveries({**LABELS, **given})]

    assert keys({"ip": "192.0.2.7"}, {"target": "192.0.2.200"}) == ["{rule=complaint-rate,network=192.0.2.0/24}"] * 2
    assert keys({"ip": "2001:db8::1"}, {"target": "news.example.com"}) == [
        "{rule=complaint-rate,network=2001:db8::/64}", "{rule=complaint-rate}"]


def test_what_is_inhibited_is_what_the_source_explains():
    down = {"rule": "provider-down", "severity": "critical", "provider": "gmail", "incident": "inc-9"}
    routing = Routing(inhibitions=[Inhibition((parse("rule=provider-down"),), (parse("severity=~.+"),), ("provider",))])
    assert routing.inhibited_by(LABELS, [LABELS, down]) == ["inc-9"]
    assert routing.inhibited_by({**LABELS, "provider": "orange"}, [down]) == []
    assert routing.inhibited_by(down, [down, {**down, "incident": "inc-8"}]) == []  # neither of two causes keeps the other quiet
    assert Route().group_wait == timedelta(0)
