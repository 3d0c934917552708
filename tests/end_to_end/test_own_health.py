"""The resolver dies and comes back: nothing is raised or cleared meanwhile, and one incident names the cause."""

from datetime import UTC, datetime, timedelta

from tests.end_to_end.conftest import LISTED_IP, PythonLists
from tests.waiting import eventually

RULES = """\
  - {id: own-network, condition: state, signal: own_network, by: [collector], summary: "own network at fault ({detail})"}
  - {id: list-unusable, condition: state, signal: list_health, by: [collector, dnsbl], for: 1s, unless: own-network}
  - {id: collector-stale, condition: absence, signal: collector_runs, by: [collector], for: 1s, max_age: 5s,
     unless: {rule: own-network, reasons: [network, timeout]}}
"""


class MortalLists(PythonLists):
    def die(self):
        self._server.close()

    def revive(self):
        self._server.start(self.port)


def incidents(world):
    """Those that have not ended."""
    return {row["rule"]: row["state"] for row in world.client.get("/v1/incidents").json()}


def test_a_resolver_that_dies_is_one_incident_and_listings_stay_as_they_are(make_world, database_url):
    world = make_world(database_url, lists=MortalLists)
    config = world.service.config
    quick = "min_poll_interval: 1s\n    canary_max_age: 1s"  # a dead server is noticed at once, a slow one is not dead
    config.write_text(config.read_text().replace("min_poll_interval: 1s", quick) + RULES)
    world.start()
    request = {"customer": "acme", "stream": "newsletter", "ip": LISTED_IP}
    eventually(lambda: world.runs("dnsbl"))
    world.lists.list()
    eventually(lambda: world.ask(**request)["decision"] == "hold")

    world.lists.die()
    eventually(lambda: incidents(world).get("own-network") == "firing")
    # longer than the lists and the collector would need to be complained of; the second run came after a judgement
    long_since = datetime.now(UTC) + timedelta(seconds=8)
    eventually(lambda: sum(run["started_at"] > f"{long_since:%Y-%m-%dT%H:%M:%S}" for run in world.all_runs("dnsbl")) >= 2)
    assert incidents(world) == {"ip-listed": "firing", "own-network": "firing"}
    assert world.ask(**request)["decision"] == "hold"
    assert world.ask(**{**request, "ip": "192.0.2.8"})["decision"] == "send"
    (message,) = [each for each in world.chat.messages if "own-network" in each["title"]]
    assert f"127.0.0.1:{world.lists.port}: most lists fail alike" in message["message"]

    world.lists.revive()
    eventually(lambda: "own-network" not in incidents(world))
    assert world.ask(**request)["decision"] == "hold"
    world.lists.clear()
    eventually(lambda: world.ask(**request)["decision"] == "send")
    eventually(lambda: sorted(world.chat.keys("firing")) == sorted(world.chat.keys("resolved")))
    assert len(world.chat.keys("firing")) == 2
