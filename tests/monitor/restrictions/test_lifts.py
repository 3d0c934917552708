"""Whatever is held, slowed, lifted and ended in whatever order: a lift leaves nothing behind, and what is old never lets more through."""

import shutil
from contextlib import closing
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from monitor.gate import Request, decide
from monitor.intake.consequences import open_store
from monitor.restrictions import suspensions
from monitor.restrictions.follow import GateIndex
from tests.monitor.conftest import T

REQUESTS = [
    Request(customer=customer, campaign=campaign, provider=provider)
    for customer in ("acme", "bolt") for campaign in ("spring", None) for provider in ("gmail", "orange", None)
]  # fmt: skip
SCOPES = st.dictionaries(st.sampled_from(["campaign", "provider"]), st.just(""), max_size=2).flatmap(
    lambda names: st.fixed_dictionaries(
        {"customer": st.sampled_from(["acme", "bolt"])}
        | {name: st.sampled_from({"campaign": ["spring"], "provider": ["gmail", "orange"]}[name]) for name in names}
    )
)


class Lifts(RuleBasedStateMachine):
    template = folder = None

    @initialize()
    def begin(self):
        number = Lifts.number = getattr(Lifts, "number", 0) + 1
        path = shutil.copy(self.template, self.folder / f"{number}.sqlite")
        self.store, self.now, self.held = open_store(f"sqlite:///{path}"), T, {}
        self.gate = GateIndex()
        self.gate.refresh(self.store, self.now, everything=True)

    @rule(scope=SCOPES, rate=st.none() | st.integers(1, 1000), hours=st.none() | st.integers(1, 5))
    def put_on(self, scope, rate, hours):
        until = self.now + timedelta(hours=hours) if hours else None
        with self.store.session() as session:
            row = suspensions.hold(session, scope=scope, effect="slow" if rate else "hold", rate_per_hour=rate, actor="dana",
                                   reason="a test", now=self.now, until=until)
            self.held[row.id] = (scope, rate, until)
        self.look()

    @rule(data=st.data())
    def lift(self, data):
        if self.held:
            chosen = data.draw(st.sampled_from(sorted(self.held)))
            with self.store.session() as session:
                suspensions.lift(session, chosen, actor="dana", reason="a test", now=self.now)
            del self.held[chosen]
            self.look()

    @rule(minutes=st.integers(1, 200))
    def wait(self, minutes):
        self.now += timedelta(minutes=minutes)
        with self.store.session() as session:
            suspensions.expire(session, self.now)
        self.held = {name: each for name, each in self.held.items() if each[2] is None or each[2] > self.now}
        self.look()

    @rule(minutes=st.integers(1, 2000))
    def what_is_old_lets_no_more_through(self, minutes):
        later, index = self.now + timedelta(minutes=minutes), self.gate.index
        standing = {name: each for name, each in self.held.items() if each[2] is None or each[2] > later}
        for request in REQUESTS:
            assert decide(request, index, later).decision == self.expected(request, standing)

    def look(self):
        self.gate.refresh(self.store, self.now)

    def expected(self, request, held):
        meant = {"customer": request.customer, "campaign": request.campaign, "provider": request.provider}
        meeting = [rate for scope, rate, _ in held.values() if all(meant[name] == value for name, value in scope.items())]
        return "send" if not meeting else "hold" if None in meeting else "slow"

    @invariant()
    def every_answer_is_that_of_what_stands_and_no_more(self):
        if not hasattr(self, "store"):
            return
        fresh = GateIndex()
        fresh.refresh(self.store, self.now, everything=True)
        for request in REQUESTS:
            answer, anew = (decide(request, gate.index, self.now) for gate in (self.gate, fresh))
            assert answer.decision == self.expected(request, self.held)
            assert sorted(map(repr, answer.reasons)) == sorted(map(repr, anew.reasons))
            assert (answer.rate_per_hour, answer.version) == (anew.rate_per_hour, anew.version)

    def teardown(self):
        if hasattr(self, "store"):
            with closing(self.store):
                for name in list(self.held):
                    with self.store.session() as session:
                        suspensions.lift(session, name, actor="dana", reason="a test", now=self.now)
                self.look()
                assert all(decide(request, self.gate.index, self.now).reasons == () for request in REQUESTS)
                assert self.gate.index.restrictions == ()


def test_a_lift_leaves_nothing_behind_and_what_is_old_never_lets_more_through(migrated_file, tmp_path):
    Lifts.template, Lifts.folder = migrated_file, tmp_path
    run_state_machine_as_test(Lifts, settings=settings(max_examples=12, stateful_step_count=12, deadline=None))
