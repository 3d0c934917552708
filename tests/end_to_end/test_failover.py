"""The primary dies while events come in and are judged, its replica is promoted: all goes on, nothing is lost or counted twice."""

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest

from monitor.intake.consequences import open_store
from tests.servers.postgres import Cluster
from tests.servers.service import Service
from tests.waiting import PATIENCE_SECONDS, ended, eventually, free_port

SENDERS = 3
SECRET = "p4ss-of-the-database"
CONFIG = """\
engine:
  url: postgresql://vigie:{secret}@127.0.0.1:{primary},127.0.0.1:{standby}/{name}?target_session_attrs=read-write
  read_url: postgresql://vigie:{secret}@127.0.0.1:{standby}/{name}
api:
  listen: 127.0.0.1:{port}
"""


@pytest.fixture
def servers() -> Iterator[SimpleNamespace]:
    """A primary that answers only what its replica has written down too: else a failover may lose the newest."""
    primary = Cluster(synchronous_commit="on").start()
    url = primary.fresh_database()
    standby = primary.standby(synchronous_commit="on")
    primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.execute("SELECT pg_reload_conf()")
    yield SimpleNamespace(primary=primary, standby=standby, name=url.rpartition("/")[2])
    standby.stop()
    primary.stop()


class Sender:
    """Sends one event after the other, each with its own key, and again until it is answered."""

    def __init__(self, url: str, key: str, number: int) -> None:
        self.accepted = 0
        self.stop = threading.Event()
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE_SECONDS)
        self._number = number
        self.thread = threading.Thread(target=self._send)
        self.thread.start()

    def _send(self) -> None:
        with self._client:
            self._send_all()

    def _send_all(self) -> None:
        for number in itertools.count():
            event = {"at": datetime.now(UTC).isoformat(), "outcome": "delivered", "customer": f"c{self._number}", "count": 1}
            while not self._taken(json.dumps(event), f"{self._number}/{number}"):
                if self.stop.wait(0.05):
                    return
            self.accepted += 1
            if self.stop.is_set():
                return

    def _taken(self, event: str, key: str) -> bool:
        try:
            answer = self._client.post("/v1/events/generic", content=event, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            return False
        assert answer.status_code in {200, 503}, answer.text
        return answer.status_code == 200


@pytest.mark.real("postgres")
def test_the_standby_is_promoted_while_events_come_in_and_are_judged(servers, tmp_path):
    port, config = free_port(), tmp_path / "vigie.yaml"
    config.write_text(CONFIG.format(
        secret=SECRET, primary=servers.primary.port, standby=servers.standby.port, name=servers.name, port=port,
    ))  # fmt: skip
    with Service(config, port) as service:
        service.start()
        key = json.loads(service.command("keys", "create", "--name", "test", "--scope", "admin", "--json"))["key"]
        senders = [Sender(service.url, key, number) for number in range(SENDERS)]
        eventually(lambda: min(sender.accepted for sender in senders) > 5)

        servers.primary.kill()
        before = [sender.accepted for sender in senders]
        assert _decides(service, key)  # from memory
        servers.standby.execute("SELECT pg_promote()")

        eventually(lambda: all(sender.accepted > taken + 5 for sender, taken in zip(senders, before, strict=True)))
        eventually(lambda: httpx.get(f"{service.url}/readyz").status_code == 200)
        promoted_at = datetime.now(UTC)
        url = servers.standby.url(servers.name)
        with closing(open_store(url)) as store:
            eventually(lambda: (store.next_run("judge") or promoted_at) > promoted_at)  # judging goes on
        for sender in senders:
            sender.stop.set()
            assert ended(sender.thread)
        assert service.stop() == 0
        assert SECRET not in service.log.read_text()
    with closing(open_store(url)) as store:
        now = datetime.now(UTC)
        counts = store.window_counts(["delivered"], ["customer"], now - timedelta(hours=1), now + timedelta(minutes=1))
    assert counts == {(f"c{number}",): {"delivered": sender.accepted} for number, sender in enumerate(senders)}


def _decides(service: Service, key: str) -> bool:
    answer = httpx.post(f"{service.url}/v1/decision", json={"customer": "c0", "recipient_domain": "gmail.com"},
                        headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE_SECONDS)  # fmt: skip
    return answer.json()["decision"] == "send"
