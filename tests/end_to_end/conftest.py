"""A whole Vigie on loopback: service, lists, feedback mailbox, chat; real servers where the test says so."""

import json
from contextlib import ExitStack

import httpx
import pytest

from monitor.demo.servers.dns import DnsblServer
from monitor.demo.servers.imap import ImapServer
from tests.servers.chat import ChatHook
from tests.servers.service import Service
from tests.waiting import PATIENCE_SECONDS, free_port

ZONE = "block.example"
LISTED_IP = "192.0.2.7"
CONFIG = """\
engine: {{url: "{database}", max_held_share: 100%}}
api: {{listen: "127.0.0.1:{port}", console: open}}
inventory: inventory.yaml
secrets: {{fbl: {password}}}
collectors:
  dnsbl:
    every: 1s
    resolvers: ["127.0.0.1:{dns}"]
    catalogue: {catalogue}
    min_poll_interval: 1s
    timeout_seconds: 20
  feedback_loop: {{every: 2s, trusted_mailboxes: [loop]}}
receivers:
  - {{name: on-call, url: "{chat}"}}
rules:
  - {{id: ip-listed, condition: listing, severity: critical, effect: {{action: hold}}, runbook: find the cause}}
  - id: complaint-rate
    condition: ratio
    signal: complaints
    severity: critical
    window: 1h
    above: 0.3%
    clear: {{below: 0.2%}}
    effect: {{action: hold, scope: [customer, stream], at_most: 6s}}
    runbook: ask the customer
"""
INVENTORY = """\
customers:
  - {{id: acme, name: Acme, streams: [newsletter]}}
  - {{id: bolt, name: Bolt, streams: [newsletter]}}
pools: [shared]
ips:
  - {{address: 192.0.2.7, pool: shared}}
  - {{address: 192.0.2.8, pool: shared}}
domains:
  - {{domain: bolt.example, customer: bolt}}
mailboxes:
  - {{name: loop, provider: yahoo, host: 127.0.0.1, port: {imap}, tls: none, username: {user}, secret: fbl,
     done_folder: Done}}
"""
CATALOGUE = {
    "meta": {"schema": "dnsbl-catalog/1"},
    "lists": [{
        "id": "block", "name": "Example Block", "operator": "Example", "zone": ZONE, "kind": "block",
        "targets": ["ipv4"], "code_style": "exact", "refused_codes": {}, "needs_key": False,
        "codes": {"127.0.0.2": {"meaning": "spam source", "category": "spam", "severity": "critical"}},
        "positive_test": "127.0.0.2", "negative_test": "127.0.0.1", "txt_reason": True, "weight": 1.0,
        "delist_url": "https://block.example/removal", "isps": ["Example ISP"], "status": "alive",
        "min_poll_interval": 1, "default_enabled": True,
    }],
}


class PythonLists:
    """The in-Python DNSBL."""

    def __init__(self):
        self._server = DnsblServer({ZONE: {}}, ttl_seconds=1, negative_ttl_seconds=1)
        self.port = self._server.start()
        self.close = self._server.close

    def list(self):
        self._server.list(ZONE, LISTED_IP, ["127.0.0.2"], "spam trap hit")

    def clear(self):
        self._server.clear(ZONE, LISTED_IP)


class RealLists:
    """rbldnsd, its zone file rewritten."""

    HEAD = "$TTL 1\n:127.0.0.2:spam trap hit $\n127.0.0.2\n"

    def __init__(self):
        from tests.servers.rbldnsd import Rbldnsd

        self._server = Rbldnsd({ZONE: ("ip4set", self.HEAD)}, negative_ttl_seconds=1)
        self.port, self.close = self._server.port, self._server.close

    def list(self):
        self._server.write(ZONE, f"{self.HEAD}{LISTED_IP}\n")

    def clear(self):
        self._server.write(ZONE, self.HEAD)


class World:
    """Everything around one service."""

    def __init__(self, folder, database, lists, mailbox, *, forked=False):
        self.lists, self.mailbox = lists, mailbox
        self.chat = ChatHook()
        port = free_port()
        catalogue = folder / "catalogue.json"
        catalogue.write_text(json.dumps(CATALOGUE))
        (folder / "inventory.yaml").write_text(INVENTORY.format(imap=mailbox.port, user=mailbox.user))
        config = folder / "vigie.yaml"
        config.write_text(CONFIG.format(database=database, port=port, password=mailbox.password, dns=lists.port,
                                        catalogue=catalogue, chat=self.chat.url))
        self.service = Service(config, port, forked=forked)

    def start(self):
        self.service.start()
        made = self.service.command("keys", "create", "--name", "test", "--scope", "admin", "--json")
        self.key = json.loads(made)["key"]
        self.client = httpx.Client(base_url=self.service.url, timeout=PATIENCE_SECONDS,
                                   headers={"Authorization": f"Bearer {self.key}"})

    def ask(self, **request):
        answer = self.client.post("/v1/decision", json=request)
        answer.raise_for_status()
        return answer.json()

    def all_runs(self, collector):
        return [run for run in self.client.get("/v1/runs").json() if run["collector"] == collector and run["ended_at"]]

    def runs(self, collector):
        return [run for run in self.all_runs(collector) if run["outcome"] == "ok"]

    def close(self):
        with ExitStack() as stack:
            stack.callback(self.lists.close)
            stack.callback(self.mailbox.close)
            stack.callback(self.chat.__exit__)
            stack.callback(self.service.__exit__)
            if hasattr(self, "client"):
                self.client.close()


class PythonMailbox:
    user, password = "fbl", "secret"

    def __init__(self):
        self._server = ImapServer(self.user, self.password)
        self.port = self._server.start()
        self.deliver, self.close = self._server.deliver, self._server.close


class RealMailbox:
    """Dovecot with a Maildir."""

    def __init__(self):
        from tests.servers.dovecot import Dovecot

        self._server = Dovecot()
        self._server.__enter__()
        self.port, self.user, self.password = self._server.port, self._server.user, self._server.password
        self.deliver = self._server.deliver

    def close(self):
        self._server.__exit__(None, None, None)


@pytest.fixture(params=["python", pytest.param("rbldnsd", marks=pytest.mark.real("rbldnsd"))])
def lists(request):
    return {"python": PythonLists, "rbldnsd": RealLists}[request.param]


@pytest.fixture(params=["pymap", pytest.param("dovecot", marks=pytest.mark.real("dovecot"))])
def mailbox(request):
    return {"pymap": PythonMailbox, "dovecot": RealMailbox}[request.param]


@pytest.fixture
def make_world(tmp_path):
    """Worlds that are taken down at the end."""
    with ExitStack() as stack:

        def make(database, lists=PythonLists, mailbox=PythonMailbox, **more):
            world = World(tmp_path, database, lists(), mailbox(), **more)
            stack.callback(world.close)
            return world

        yield make
