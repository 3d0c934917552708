"""What has one cause: which incidents become members of one, and which stay by themselves."""

from monitor.incidents.causes import Firing, causes, grouped, network_of
from monitor.rules.signals import signals


def blocked(number, provider="gmail", signal="blocks"):
    return Firing(f"inc-{number}", signal, {"ip": f"192.0.2.{number}", "provider": provider})


def listed(name, operator, *targets, pool="shared"):
    return Firing(name, "listings", {"operator": operator, "pool": pool}, frozenset(targets))


def made(firing, standing=()):
    return [(each.cause, each.key, sorted(each.members)) for each in grouped(firing, standing)]


def test_each_row_of_the_table_is_about_signals_there_are():
    for row in causes().values():
        assert row.signals <= signals().keys(), row.cause
        assert row.needs is None or row.needs in row.signals, row.cause
        assert row.runbook.strip(), row.cause


def test_many_ips_in_trouble_at_one_provider_are_one_cause_and_two_are_not():
    assert made([blocked(1), blocked(2)]) == []
    trouble = [blocked(1), blocked(2), blocked(3, signal="deferrals"), blocked(4, "yahoo")]
    assert made(trouble) == [("provider-trouble", "provider=gmail", ["inc-1", "inc-2", "inc-3"])]


def test_what_comes_later_joins_what_stands_also_alone():
    standing = {("provider-trouble", "provider=gmail")}
    assert made([blocked(9)], standing) == [("provider-trouble", "provider=gmail", ["inc-9"])]
    assert made([blocked(9, "yahoo")], standing) == []


def test_a_member_stays_where_it_is():
    member = Firing("inc-1", "blocks", {"provider": "gmail"}, part_of="inc-whole")
    assert made([member, blocked(2), blocked(3)]) == []


def test_invalid_addresses_and_complaints_of_one_stream_are_a_bought_list():
    news = {"customer": "acme", "stream": "news"}
    invalid = Firing("inc-1", "invalid_addresses", news)
    campaign = Firing("inc-2", "invalid_addresses", {**news, "campaign": "may"})
    complaints = Firing("inc-3", "complaints", {**news, "provider": "gmail"})
    of_bolt = Firing("inc-4", "complaints", {"customer": "bolt", "stream": "news", "provider": "gmail"})
    assert made([invalid, campaign, complaints, of_bolt]) == [
        ("bought-list", "customer=acme|stream=news", ["inc-1", "inc-2", "inc-3"]),
    ]
    assert made([complaints, of_bolt]) == []


def test_one_operator_with_three_pools_is_one_cause():
    pools = [listed(f"inc-{pool}", "spamhaus", f"198.51.{pool}.1", pool=f"pool-{pool}") for pool in range(3)]
    assert made(pools) == [("operator-lists-many", "operator=spamhaus", ["inc-0", "inc-1", "inc-2"])]
    assert made(pools[:2]) == []


def test_neighbours_of_one_network_are_one_cause_and_addresses_apart_are_not():
    near = [listed("inc-1", "a", "192.0.2.1", "192.0.2.9", pool="one"), listed("inc-2", "b", "192.0.2.77", pool="two")]
    assert made(near) == [("network-listed", "network=192.0.2.0/24", ["inc-1", "inc-2"])]
    assert made([listed("inc-1", "a", "192.0.2.1"), listed("inc-2", "b", "198.51.100.1")]) == []


def test_two_operators_that_list_the_same_addresses_all_over_are_one_cause():
    targets = "192.0.2.1", "198.51.100.1"
    (whole,) = grouped([listed("inc-1", "a", *targets), listed("inc-2", "b", *targets, "203.0.113.5")], ())
    assert (whole.cause, sorted(whole.members)) == ("listed-alike", ["inc-1", "inc-2"])


def test_networks_are_those_of_the_address():
    assert [network_of(each) for each in ("192.0.2.7", "2001:db8::1", "192.0.2.0/28", "10.0.0.0/8", "example.com")] == [
        "192.0.2.0/24", "2001:db8::/64", "192.0.2.0/24", "10.0.0.0/8", "",
    ]  # fmt: skip
