"""Grants: at every moment left = cap - used - granted and at least 0, whoever asks, returns, dies or comes late."""

import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from monitor.database.tables import WarmUp
from monitor.intake.consequences import open_store
from monitor.warmup.allowances import (
    ConflictError,
    RepeatedKeyError,
    Returned,
    Wanted,
    answered_before,
    forget,
    give_back,
    grant,
    keep_answer,
    keep_return,
)
from monitor.warmup.plans import Plan
from monitor.warmup.progress import record
from monitor.warmup.rows import GRACE, Start, going_on, start, stop
from tests.places import ROOT
from tests.waiting import PATIENCE_SECONDS

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
PLAN = Plan(name="ours", per_day=(100, 200, 400), source="this test")
IP, DOMAIN = "192.0.2.7", "news.acme.example"


def begin(store, *, ip=IP, domain=None, provider="gmail", zone="America/Los_Angeles", now=NOW, plan=PLAN) -> str:
    with store.session() as session:
        return start(session, Start(ip, domain, provider, plan, zone), actor="ann", reason="new", now=now).id


def ask(store, count, now=NOW, *, seconds=300, **about):
    about = {"ip": IP, "domain": None, "provider": "gmail"} | about
    with store.session() as session:
        return grant(session, Wanted("acme", "mta-1", count, timedelta(seconds=seconds), **about), now)


def back(store, grant_id, used, now=NOW, customer=None):
    with store.session() as session:
        answer = give_back(session, grant_id, used, now, customer=customer)
        if isinstance(answer, Returned):
            shown = {"returned": answer.returned, "late": answer.late}
            keep_return(session, grant_id, shown)
            return shown
        return answer


def now_of(store, now=NOW):
    with store.reading_session() as session:
        return {each.id: each for each in going_on(session, now)}


def only(store, now=NOW):
    [each] = now_of(store, now).values()
    return each


def test_no_more_is_granted_than_is_left_and_none_left_says_when_to_ask_again(store):
    begin(store)
    first, second = ask(store, 70), ask(store, 70)
    assert (first.granted, second.granted) == (70, 30)
    third = ask(store, 70, seconds=300)
    assert (third.grant, third.granted, third.expires_at) == (None, 0, None)
    assert third.retry_after_seconds in range(290, 310)
    assert only(store).left == 0
    assert third.allowances[0].resets_at == datetime(2026, 1, 3, 8, tzinfo=UTC)


def test_where_all_is_used_only_the_next_day_helps(store):
    begin(store)
    back(store, ask(store, 100).grant, 100)
    refused = ask(store, 1)
    assert refused.granted == 0
    assert refused.retry_after_seconds == pytest.approx(20 * 3600, abs=5)
    after = datetime(2026, 1, 3, 8, 0, 1, tzinfo=UTC)
    assert ask(store, 60, after).granted == 60
    assert only(store, after).used == 0


def test_what_comes_back_can_be_granted_again_at_once(store):
    begin(store)
    made = ask(store, 100)
    assert back(store, made.grant, 20) == {"returned": 80, "late": False}
    assert (only(store).used, only(store).granted, only(store).left) == (20, 0, 80)
    assert ask(store, 100).granted == 80


def test_an_expired_grant_is_free_again_though_nobody_wrote_anything(store):
    begin(store)
    ask(store, 100, seconds=60)
    assert only(store, NOW + timedelta(seconds=59)).left == 0
    later = NOW + timedelta(seconds=62)
    assert only(store, later).left == 100
    assert ask(store, 100, later).granted == 100


def test_a_late_return_counts_what_was_used_and_left_stops_at_nothing(store):
    begin(store)
    first, later = ask(store, 100, seconds=60), NOW + timedelta(seconds=62)
    ask(store, 90, later)
    assert back(store, first.grant, 40, later) == {"returned": 0, "late": True}
    assert (only(store, later).used, only(store, later).left) == (40, 0)


def test_a_grant_counts_on_the_day_it_was_given(store):
    begin(store)
    midnight = datetime(2026, 1, 3, 8, tzinfo=UTC)
    made = ask(store, 100, midnight - timedelta(seconds=5), seconds=60)
    assert ask(store, 100, midnight + timedelta(seconds=1)).granted == 100
    back(store, made.grant, 100, midnight + timedelta(seconds=2))
    assert (only(store, midnight + timedelta(seconds=3)).used, only(store, midnight + timedelta(seconds=3)).granted) == (0, 100)


def test_a_machine_whose_clock_is_behind_does_not_bring_yesterday_back(store):
    begin(store)
    midnight = datetime(2026, 1, 3, 8, tzinfo=UTC)
    back(store, ask(store, 100, midnight).grant, 100, midnight)
    assert ask(store, 100, midnight - timedelta(seconds=1)).granted == 0


def test_ip_and_domain_are_both_asked_and_both_reserved(store):
    ip, domain = begin(store), begin(store, ip=None, domain=DOMAIN, plan=Plan(name="small", per_day=(30,), source="x"))
    made = ask(store, 70, domain=DOMAIN)
    assert made.granted == 30
    assert {each.id: each.left for each in made.allowances} == {ip: 70, domain: 0}
    back(store, made.grant, 10)
    assert {key: each.left for key, each in now_of(store).items()} == {ip: 90, domain: 20}


def test_without_an_allowance_all_is_granted_and_nothing_reserved(store):
    begin(store)
    for free in (ask(store, 5, provider="yahoo"), ask(store, 5, ip="192.0.2.8")):
        assert (free.grant, free.granted, free.expires_at, list(free.allowances)) == (None, 5, None, [])
    assert only(store).left == 100


def test_a_request_that_names_no_provider_must_where_one_has_a_cap(store):
    begin(store)
    with pytest.raises(ValueError, match="provider or recipient_domain"):
        ask(store, 1, provider=None)
    assert ask(store, 1, provider=None, ip="192.0.2.8").granted == 1


def test_a_domain_of_no_known_provider_is_also_one_of_the_others(store):
    begin(store, provider="other")
    assert ask(store, 500, provider="small.example", of_others=True).granted == 100
    assert ask(store, 500, provider="yahoo").granted == 500


def test_a_return_said_again_is_answered_the_same_and_another_number_is_refused(store):
    begin(store)
    made = ask(store, 50)
    first = back(store, made.grant, 10)
    assert back(store, made.grant, 10, NOW + timedelta(minutes=20)) == first
    with pytest.raises(ConflictError, match="with 10 used"):
        back(store, made.grant, 11)
    assert only(store).used == 10


def test_a_return_of_too_many_of_an_unknown_grant_or_of_another_customer_is_refused(store):
    begin(store)
    made = ask(store, 50)
    with pytest.raises(ValueError, match="of 50 messages"):
        back(store, made.grant, 51)
    with pytest.raises(LookupError):
        back(store, "gr-nothing", 1)
    with pytest.raises(LookupError):
        back(store, made.grant, 1, customer="bolt")
    assert back(store, made.grant, 1, customer="acme")["returned"] == 49


def test_records_show_what_was_sent_without_a_return_and_nothing_counts_twice(store):
    warm_up = begin(store)
    made = ask(store, 40)
    seen = []
    for recorded in (25, 60):  # the first 25 are of the open grant; 60 are 20 more than it can be
        with store.session() as session:
            record(session, {warm_up: recorded}, NOW)
        seen.append((only(store).used, only(store).granted, only(store).left))
    assert seen == [(0, 40, 60), (20, 40, 40)]
    back(store, made.grant, 40)
    assert (only(store).used, only(store).left) == (60, 40)
    with store.session() as session:
        record(session, {warm_up: 60}, NOW + timedelta(days=1))
    assert only(store, NOW + timedelta(days=1)).used == 60


def test_a_sender_that_died_after_sending_is_known_by_the_records(store):
    warm_up = begin(store)
    ask(store, 100, seconds=60)
    with store.session() as session:
        record(session, {warm_up: 80}, NOW)
    assert only(store, NOW + timedelta(seconds=62)).left == 20


def test_a_call_repeated_under_its_key_is_known_and_another_body_is_refused(store):
    with store.session() as session:
        assert answered_before(session, "key/1", {"count": 1}, NOW) is None
        keep_answer(session, "key/1", {"granted": 1})
    with store.session() as session:
        assert answered_before(session, "key/1", {"count": 1}, NOW) == {"granted": 1}
        with pytest.raises(RepeatedKeyError):
            answered_before(session, "key/1", {"count": 2}, NOW)


def test_a_stopped_warm_up_limits_nothing_and_its_grants_can_still_come_back(store):
    begin(store)
    made = ask(store, 50)
    with store.session() as session:
        stop(session, {"ip": IP, "provider": "gmail"}, actor="ann", reason="moved", now=NOW)
    assert ask(store, 500).granted == 500
    assert back(store, made.grant, 50)["late"] is False


def test_old_grants_and_answers_are_forgotten_and_young_ones_kept(store):
    begin(store)
    old = ask(store, 10)
    with store.session() as session:
        answered_before(session, "key/1", {}, NOW)
    later = NOW + timedelta(days=8)
    young = ask(store, 10, later)
    with store.session() as session:
        assert forget(session, later) == 3
    with pytest.raises(LookupError):
        back(store, old.grant, 1, later)
    assert back(store, young.grant, 1, later)["returned"] == 9


# ── any order of events ──


@cache
def schema_file() -> Path:
    """A database with the schema, migrated once."""
    path = Path(tempfile.mkdtemp()) / "vigie.sqlite"
    with closing(open_store(f"sqlite:///{path}")) as store:
        store.migrate()
    return path


class Grants(RuleBasedStateMachine):
    """Senders ask, return, die and come late, days pass, records arrive; a model keeps the books beside."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(f"sqlite:///{shutil.copy(schema_file(), self.folder.name)}")
        self.now, self.open, self.used, self.late = NOW, {}, 0, 0

    def teardown(self):
        self.store.close()
        self.folder.cleanup()

    @initialize()
    def begins(self):
        self.warm_up = begin(self.store, zone="UTC")

    def still_open(self):
        return {key: count for key, (count, expires) in self.open.items() if self.now < expires + GRACE}

    @rule(count=st.integers(1, 150), seconds=st.integers(5, 3600))
    def somebody_asks(self, count, seconds):
        left = only(self.store, self.now).left
        made = ask(self.store, count, self.now, seconds=seconds)
        assert made.granted == min(count, left)
        if made.grant is not None:
            self.open[made.grant] = made.granted, made.expires_at

    @rule(data=st.data())
    def somebody_returns(self, data):
        if self.open:
            key = list(self.open)[data.draw(st.integers(0, len(self.open) - 1))]  # ids are drawn by chance
            used = data.draw(st.integers(0, self.open[key][0]))
            was_open = key in self.still_open()
            answer = back(self.store, key, used, self.now)
            assert answer == {"returned": self.open[key][0] - used if was_open else 0, "late": not was_open}
            del self.open[key]
            self.used += used

    @rule(seconds=st.integers(1, 2000))
    def time_passes(self, seconds):
        # within one day: what happens at its end has tests of its own
        self.now = min(self.now + timedelta(seconds=seconds), NOW + timedelta(hours=11))

    @invariant()
    def left_is_what_is_neither_used_nor_reserved(self):
        allowance, reserved = only(self.store, self.now), sum(self.still_open().values())
        assert allowance.granted == reserved
        assert allowance.used == self.used
        assert allowance.left == max(100 - self.used - reserved, 0)
        assert allowance.left >= 0


TestAnyOrder = Grants.TestCase
TestAnyOrder.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)


# ── any number of processes ──

SENDER = """
import sys
from datetime import UTC, datetime, timedelta
from monitor.intake.consequences import open_store
from monitor.warmup.allowances import Wanted, give_back, grant
url, number = sys.argv[1], int(sys.argv[2])
store, used = open_store(url), 0
now = datetime(2026, 1, 2, 12, tzinfo=UTC)
for turn in range(60):
    with store.session() as session:
        made = grant(session, Wanted("acme", f"mta-{number}", 7, timedelta(seconds=300), ip="192.0.2.7",
                                     domain="news.acme.example", provider="gmail"), now)
    if made.grant is None:
        break
    sent = made.granted if (turn + number) % 3 else made.granted // 2
    used += sent
    if (turn + number) % 4:
        with store.session() as session:
            give_back(session, made.grant, sent, now)
    else:
        used += made.granted - sent  # dies with it: reserved until it expires
store.close()
print(used)
"""


def test_no_number_of_processes_gets_more_than_the_cap(store, database_url):
    ip = begin(store, plan=Plan(name="ours", per_day=(500,), source="x"))
    domain = begin(store, ip=None, domain=DOMAIN, plan=Plan(name="ours", per_day=(450,), source="x"))
    senders = [
        subprocess.Popen([sys.executable, "-c", SENDER, database_url, str(number)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for number in range(4)
    ]
    used = [int(sender.communicate(timeout=PATIENCE_SECONDS)[0]) for sender in senders]
    assert [sender.returncode for sender in senders] == [0] * 4
    assert sum(used) == 450
    after = now_of(store)
    assert (after[domain].left, after[ip].left) == (0, 50)
    assert after[domain].used + after[domain].granted == 450


def test_a_name_the_inventory_knows_not_or_twice_the_same_is_refused(store):
    begin(store)
    with pytest.raises(ValueError, match="goes on already, by the plan ours"):
        begin(store)
    with pytest.raises(ValueError, match="one of them"), store.session() as session:
        start(session, Start(None, None, "gmail", PLAN), actor="ann", reason="new", now=NOW)
    with pytest.raises(ValueError, match="no provider gmial"):
        begin(store, provider="gmial")
    with pytest.raises(LookupError, match=r"no warm-up of 192\.0\.2\.9 at gmail"), store.session() as session:
        stop(session, {"ip": "192.0.2.9", "provider": "gmail"}, actor="ann", reason="x", now=NOW)
    with store.reading_session() as session:
        assert len(going_on(session, NOW)) == 1


def test_the_next_warm_up_of_the_same_is_another_allowance(store, rows):
    begin(store)
    with store.session() as session:
        stop(session, {"ip": IP, "provider": "gmail"}, actor="ann", reason="moved", now=NOW)
    second = begin(store)
    assert len(rows(WarmUp)) == 2
    assert only(store).id == second

