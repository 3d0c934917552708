"""One worker per job, whatever the number of processes."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from monitor.facts import Store
from tests.monitor.conftest import T, minutes

TTL = timedelta(minutes=5)


def test_only_one_worker_gets_a_job_and_the_next_when_it_is_due_again(store: Store):
    assert store.claim("dnsbl", "a", T, TTL) == 1
    assert store.claim("dnsbl", "b", T, TTL) is None
    assert store.claim("prune", "b", T, TTL) == 1
    assert store.done("dnsbl", "a", 1, minutes(1), minutes(15))
    assert store.claim("dnsbl", "b", minutes(14), TTL) is None
    assert store.claim("dnsbl", "b", minutes(15), TTL) == 2


def test_of_many_who_claim_at_once_exactly_one_succeeds(store: Store):
    with ThreadPoolExecutor(8) as pool:
        fences = list(pool.map(lambda owner: store.claim("dnsbl", f"{owner}", T, TTL), range(24)))
    assert sorted(fence for fence in fences if fence is not None) == [1]


def test_a_worker_whose_lease_was_taken_over_can_neither_renew_nor_finish(store: Store):
    short = timedelta(milliseconds=50)
    assert store.claim("dnsbl", "a", T, short) == 1
    time.sleep(0.1)  # the database's clock on PostgreSQL; on SQLite the caller's
    assert store.claim("dnsbl", "b", minutes(1), TTL) == 2
    assert not store.renew("dnsbl", "a", 1, minutes(1), TTL)
    assert not store.done("dnsbl", "a", 1, minutes(1), minutes(15))
    assert store.renew("dnsbl", "b", 2, minutes(1), TTL)
    assert store.done("dnsbl", "b", 2, minutes(2), minutes(15))


def test_a_renewed_lease_holds_longer(sqlite_store: Store):
    assert sqlite_store.claim("dnsbl", "a", T, TTL) == 1
    assert sqlite_store.renew("dnsbl", "a", 1, minutes(4), TTL)
    assert sqlite_store.claim("dnsbl", "b", minutes(8), TTL) is None
    assert sqlite_store.claim("dnsbl", "b", minutes(10), TTL) == 2


def test_news_may_lease_a_job_before_its_time_but_not_while_another_runs_it(store: Store):
    assert store.claim("dnsbl", "a", T, TTL) == 1
    assert store.claim("dnsbl", "b", T, TTL, due_only=False) is None
    assert store.done("dnsbl", "a", 1, T, minutes(15))
    assert store.claim("dnsbl", "b", minutes(1), TTL, due_only=False) == 2
