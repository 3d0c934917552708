"""A store, a judge and a clock that a test moves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlmodel import select

from collectors.observation import Batch, Observation, Subject
from monitor.database.tables import Customer, Incident, Outbox, Pool, SendingIp, Stream, Suspension
from monitor.judging.held import Limits
from monitor.judging.run import Judge
from monitor.notify.message import Receiver
from monitor.notify.routing import Routing
from monitor.rules.lists import KnownList, KnownLists

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
BOLT = Subject(customer="bolt", stream="newsletter", provider="yahoo")
CHAT = Receiver("on-call")

LISTS = KnownLists({"big": KnownList("big", operator="big")})


class World:
    def __init__(self, store, rules, limits=None, intervals=None, lists=LISTS):
        self.store, self.now, self.serial = store, START, 0
        self.judge = Judge(store, rules, Routing([CHAT]), limits or Limits(max_held_share=1.0), "http://vigie.example",
                           intervals=intervals or {}, lists=lists)
        with store.session() as session:
            session.add_all([Customer(id="acme", name="Acme"), Customer(id="bolt", name="Bolt"), Pool(name="shared")])
            session.flush()
            session.add_all([Stream(customer="bolt", name="newsletter"),
                             Stream(customer="bolt", name="receipts", kind="transactional")])
            session.add_all([SendingIp(address=f"192.0.2.{i}", pool="shared") for i in range(1, 5)])

    def restarted(self, **changes):
        """The service comes up again with another configuration: `routing`, `rules`."""
        self.judge = replace(self.judge, **changes)

    def wait(self, **span):
        self.now += timedelta(**span)

    def count(self, measure, value, subject=BOLT):
        self.sees(Observation(measure, subject, self.now, float(value)))

    def sent(self, delivered, complaints, subject=BOLT):
        self.count("delivered", delivered, subject)
        if complaints:
            self.count("complaint", complaints, subject)

    def answers(self, listed, ip="192.0.2.1", dnsbl="big", reason=None, **detail):
        details = {"codes": ["127.0.0.2"] if listed else [], "ttl_seconds": 60, "weight": 1.0, "meanings": ["spam source"], **detail}
        value = None if reason else float(listed)
        self.sees(Observation("listing", Subject(ip=ip, dnsbl=dnsbl), self.now, value, reason, details))

    def sees(self, *observations):
        self.serial += 1
        self.store.intake([Batch("dnsbl", f"k{self.serial}", self.now, observations)], self.now)

    def collected(self, collector, outcome="ok"):
        self.store.close_run(self.store.open_run(collector, self.now), self.now, outcome=outcome)

    def judged_every(self, minutes, *, times):
        for _ in range(times):
            self.judged()
            self.wait(minutes=minutes)

    def judged_every_minute(self, minutes):
        self.judged_every(1, times=minutes)

    def judged(self):
        self.judge.judge_all(self.now)

    def rows(self, model):
        with self.store.reading_session() as session:
            return list(session.exec(select(model)))

    def incident(self):
        (incident,) = self.rows(Incident)
        return incident

    def in_force(self):
        return [row for row in self.rows(Suspension) if row.lifted_at is None]

    def notified(self):
        return [row.event for row in sorted(self.rows(Outbox), key=lambda row: row.id)]
