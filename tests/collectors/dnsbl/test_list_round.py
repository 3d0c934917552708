"""What a list says counts only between two good checks; what fails holds up nobody; everything takes turns."""

import collections
import itertools
import time

from collectors.clients.dns import Pace
from collectors.dnsbl.catalogue import Operator
from tests.collectors.dnsbl.test_sweep import entry, sweep, words
from tests.servers.dns_hostile import Hostile, clean, listed

FINE = "fine.example.net"
TARGETS = [f"192.0.2.{n}" for n in range(1, 101)]


def good(query):
    """192.0.2.7 is listed."""
    return listed(query) if query.name.startswith(("2.0.0.127.", "7.2.0.192.")) else clean(query)


def after(count, then):
    """A good list that behaves otherwise after so many A questions."""
    seen = collections.Counter()

    def behave(query):
        seen[query.rdtype] += 1
        return good(query) if seen[1] <= count else then(query)

    return behave


def test_a_list_that_lists_the_world_after_its_check_lists_nobody():
    for count in (3, 20, 50, 103):
        with Hostile({"bl.example.net": after(count, listed)}) as server:
            results, _ = sweep(server.port, [entry()], TARGETS)
            assert set(words(results).values()) == {("unknown", "canary_failed")}, count


def test_a_list_that_is_emptied_after_its_check_clears_nobody():
    for count in (3, 20, 50, 103):
        with Hostile({"bl.example.net": after(count, clean)}) as server:
            results, _ = sweep(server.port, [entry()], TARGETS, listed={"bl": {"192.0.2.7"}})
            assert set(words(results).values()) == {("unknown", "canary_failed")}, count


def test_a_list_of_the_world_is_found_out_long_before_all_are_asked():
    with Hostile({"bl.example.net": after(3, listed)}) as server:
        sweep(server.port, [entry(txt_reason=False)], [f"198.18.{n // 250}.{n % 250}" for n in range(1000)])
        assert len(server.asked) < 400


def test_hits_and_ends_of_listings_that_change_what_is_known_are_asked_again():
    def flickers(query):
        wrong = query.nth == 1 and query.rdtype == 1 and query.name.startswith(("8.2.", "9.2.", "6.2."))
        if query.name.startswith("6.2."):  # is listed, and says once that it is not
            return clean(query) if wrong else listed(query)
        return listed(query) if wrong else good(query)

    with Hostile({"bl.example.net": flickers}) as server:
        targets = ["192.0.2.6", "192.0.2.7", "192.0.2.8", "192.0.2.9", "192.0.2.10"]
        results, _ = sweep(server.port, [entry(txt_reason=False)], targets, listed={"bl": {"192.0.2.6", "192.0.2.7"}})
        assert [word for word, _ in words(results).values()].count("listed") == 2
        assert results["192.0.2.6", "bl"].verdict.listed
        times = collections.Counter(query.name[0] for query in server.asked if ".2.0.192." in query.name)
        assert times == {"6": 2, "7": 1, "8": 2, "9": 2, "1": 1}


def test_a_list_that_falls_silent_is_given_up_and_holds_up_nobody():
    with Hostile({"bl.example.net": after(50, lambda q: None), FINE: good}) as server:
        targets = [f"198.18.{n // 250}.{n % 250}" for n in range(1000)]
        results, _ = sweep(server.port, [entry(), entry("fine")], targets, pace=Pace(timeout_seconds=0.3))
        by_list = collections.Counter((pair[1], word) for pair, word in words(results).items())
        assert by_list == {("bl", ("unknown", "timeout")): 1000, ("fine", ("not_listed", None)): 1000}
        assert sum(query.name.endswith(".bl.example.net") for query in server.asked) < 300


def test_a_list_that_refuses_from_some_point_on_is_asked_no_further():
    with Hostile({"bl.example.net": after(50, lambda q: listed(q, "127.255.255.255"))}) as server:
        results, _ = sweep(server.port, [entry()], [f"198.18.{n // 250}.{n % 250}" for n in range(1000)])
        assert set(words(results).values()) == {("unknown", "refused")}
        assert len(server.asked) < 300


def test_texts_that_never_come_cost_a_bounded_time_and_no_verdict():
    with Hostile({"bl.example.net": lambda q: None if q.rdtype == 16 else listed(q)}) as server:
        results, _ = sweep(server.port, [entry()], TARGETS, canaries=None, pace=Pace(timeout_seconds=0.3))
        assert set(words(results).values()) == {("listed", None)}
        assert sum(query.rdtype == 16 for query in server.asked) < 100


def test_one_pace_of_an_operator_holds_for_test_entries_questions_repeats_and_texts():
    times = []

    def lossy(query):
        times.append(time.monotonic())
        return None if query.nth == 1 and query.name.startswith("8.2.") else good(query)

    zones = {f"l{n}.example.net": lossy for n in range(3)}
    with Hostile(zones) as server:
        lists = [entry(f"l{n}", operator="Acme") for n in range(3)]
        results, _ = sweep(
            server.port, lists, ["192.0.2.7", "192.0.2.8"], operators={"Acme": Operator(max_qps=20)}, pace=Pace(timeout_seconds=1, attempts=5)
        )
        assert collections.Counter(words(results).values()) == {("listed", None): 3, ("not_listed", None): 3}
    assert len(times) >= 3 * (3 + 2 + 1 + 1 + 1 + 3)
    for first, last in itertools.pairwise(times[::20]):
        assert last - first > 0.9


def test_a_check_that_one_list_waits_for_holds_up_no_other():
    with Hostile({"bl.example.net": lambda q: None, FINE: good}) as server:
        order = []
        results, _ = sweep(server.port, [entry(), entry("fine")], TARGETS, order=order, pace=Pace(timeout_seconds=1))
        assert {pair[1] for pair in order[:100]} == {"fine"}
        assert results["192.0.2.7", "fine"].verdict.listed
