"""A Vigie with the port for KumoMTA, in this process, over real HTTP and websockets."""

import shutil
import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from monitor.api.serve import serve
from monitor.config.mta import KumoMta
from monitor.database.tables import Customer, SendingDomain, SendingIp, Stream
from monitor.intake.consequences import open_store
from monitor.mta.kumomta.nodes import Clocks, Nodes
from monitor.mta.kumomta.publish import Publishing
from monitor.mta.kumomta.server import KumoServer
from monitor.mta.kumomta.speaker import Speaker
from monitor.restrictions import suspensions
from monitor.restrictions.follow import GateIndex
from tests.servers.kumod import Kumod
from tests.waiting import PATIENCE_SECONDS, ended, free_port


def now():
    return datetime.now(UTC)


class Platform:
    """`hold` and `lift` as an operator does; `kumod()` is a node that listens."""

    def __init__(self, store, gate, speaker, url):
        self.store, self.gate, self.speaker, self.url = store, gate, speaker, url
        self.nodes = []

    def hold(self, scope, *, effect="hold", rate_per_hour=None, until=None, reason="too many complaints"):
        with self.store.session() as session:
            row = suspensions.hold(session, scope=scope, effect=effect, actor="ops", reason=reason, now=now(), until=until, rate_per_hour=rate_per_hour)
            suspension_id = row.id
        self.follow()
        return suspension_id

    def lift(self, suspension_id):
        with self.store.session() as session:
            suspensions.lift(session, suspension_id, actor="ops", reason="all is well", now=now())
        self.follow()

    def follow(self):
        self.gate.refresh(self.store, now(), everything=True)

    def kumod(self, **more):
        node = Kumod(self.url, **{"batch_seconds": 0.05, "sleep_seconds": 0.2, **more}).start()
        self.nodes.append(node)
        return node


@contextmanager
def running(store, settings=None, port=None):
    port = port or free_port()
    settings = settings or KumoMta()
    gate = GateIndex()
    gate.refresh(store, now(), everything=True)
    speaker = Speaker(settings, gate, store, now, "https://vigie.example")
    clocks = Clocks()
    publishing = Publishing(settings, gate, lambda batches: store.intake(batches, now()), now, speaker.seen, clocks)
    nodes = Nodes(settings, speaker.hub, lambda batches: store.intake(batches, now()), now, clocks, every_seconds=0.1, applied_seconds=0.2)
    speaker.on_lifted = nodes.lifted
    stop, ready = threading.Event(), threading.Event()
    server = KumoServer(settings, speaker, publishing, now, (nodes.run,))
    thread = threading.Thread(target=serve, args=(server, "127.0.0.1", port, stop), kwargs={"on_ready": ready.set, "websockets": True})
    thread.start()
    platform = Platform(store, gate, speaker, f"http://127.0.0.1:{port}")
    try:
        assert ready.wait(PATIENCE_SECONDS)
        yield platform
    finally:
        for node in platform.nodes:
            node.stop()
        stop.set()
        assert ended(thread)


@pytest.fixture
def kumo_store(tmp_path, migrated_file):
    path = shutil.copy(migrated_file, tmp_path / "vigie.sqlite")
    with closing(open_store(f"sqlite:///{path}")) as store:
        with store.session() as session:
            for customer in ("acme", "bolt"):
                session.add(Customer(id=customer, name=customer.title()))
            session.add(Stream(customer="acme", name="news", kind="marketing"))
            session.add(SendingIp(address="192.0.2.7", customer="acme", role="mta"))
            session.add(SendingDomain(domain="acme.example", customer="acme"))
        yield store


@pytest.fixture
def platform(kumo_store):
    with running(kumo_store) as started:
        yield started


def record(**changes):
    """The smallest record KumoMTA's own TSA takes, of a delivery at Gmail."""
    at = now() - timedelta(seconds=5)
    base = {
        "type": "Delivery", "id": "1d98076abbbc11ed940250ebf67f93bd", "sender": "b@acme.example", "recipient": "u@gmail.com",
        "queue": "nl-42:acme@gmail.com", "site": "ip-3->(alt1|alt2|alt3|alt4)?.gmail-smtp-in.l.google.com@smtp_client", "size": 1047,
        "response": {"code": 250, "enhanced_code": {"class": 2, "subject": 0, "detail": 0}, "content": "OK id=x", "command": "."},
        "peer_address": {"name": "gmail-smtp-in.l.google.com.", "addr": "142.251.2.27"}, "timestamp": int(at.timestamp()),
        "event_time": at.isoformat().replace("+00:00", "789Z"), "created": int(at.timestamp()) - 10, "num_attempts": 0,
        "bounce_classification": "Uncategorized", "egress_pool": "pool0", "egress_source": "ip-3",
        "source_address": {"address": "192.0.2.7:53210"}, "feedback_report": None, "meta": {}, "headers": {},
        "delivery_protocol": "ESMTP", "reception_protocol": "ESMTP", "nodeid": "557f3ad4-2c8c-11ee-976e-782d7e12e173",
    }
    response = changes.pop("response", None)
    return {**base, **changes, "response": {**base["response"], **(response or {})}}
