"""A listing and a complaint reach the sender, through the real processes, and so does their end."""

from datetime import UTC, datetime

from monitor.demo.world import Mailing, feedback_report
from tests.end_to_end.conftest import LISTED_IP
from tests.waiting import eventually

BOLT = Mailing("bolt", "newsletter", "bolt.example", ("192.0.2.8",), 5_000)


def delivered(world, count):
    """Report mails delivered now; the sender's own count."""
    event = {"at": datetime.now(UTC).isoformat(), "customer": "bolt", "stream": "newsletter", "ip": "192.0.2.8",
             "domain": "bolt.example", "recipient_domain": "yahoo.com", "outcome": "delivered", "count": count}
    answer = world.client.post("/v1/events/generic", json=[event])
    assert answer.json()["accepted"] == 1, answer.text


def test_a_listing_holds_the_ip_and_its_end_releases_it(make_world, database_url, lists):
    world = make_world(database_url, lists=lists)
    world.start()
    eventually(lambda: world.runs("dnsbl"))
    request = {"customer": "acme", "stream": "newsletter", "ip": LISTED_IP}
    assert world.ask(**request)["decision"] == "send"

    world.lists.list()
    held = eventually(lambda: (answer := world.ask(**request))["decision"] == "hold" and answer)
    (reason,) = held["reasons"]
    assert reason["rule"] == "ip-listed"
    assert reason["scope"] == {"ip": LISTED_IP}
    assert "Example Block" in reason["text"]
    assert world.ask(**{**request, "ip": "192.0.2.8"})["decision"] == "send"
    eventually(lambda: len(world.chat.messages) == 1)
    (notification,) = world.chat.messages
    assert notification["event"] == "firing"
    for words in (LISTED_IP, "https://block.example/removal", "find the cause", "hold on ip"):
        assert words in notification["message"]

    world.lists.clear()
    eventually(lambda: world.ask(**request)["decision"] == "send")
    eventually(lambda: len(world.chat.messages) == 2)
    assert world.chat.messages[1]["event"] == "resolved"
    assert world.chat.keys("firing") == world.chat.keys("resolved")


def test_complaints_hold_the_stream_and_clean_mail_releases_it(make_world, database_url, mailbox):
    world = make_world(database_url, mailbox=mailbox)
    world.start()
    eventually(lambda: world.runs("feedback_loop"))
    request = {"customer": "bolt", "stream": "newsletter", "ip": "192.0.2.8", "recipient_domain": "yahoo.com"}
    assert world.ask(**request)["decision"] == "send"
    delivered(world, 5_000)
    for serial in range(40):
        world.mailbox.deliver(feedback_report(BOLT, "192.0.2.8", serial, datetime.now(UTC)))

    held = eventually(lambda: (answer := world.ask(**request))["decision"] == "hold" and answer)
    assert held["reasons"][0]["rule"] == "complaint-rate"
    assert "of 5,000; at least" in held["reasons"][0]["text"]
    assert world.ask(**{**request, "customer": "acme"})["decision"] == "send"
    eventually(lambda: world.chat.keys("firing"))
    assert "ask the customer" in world.chat.messages[0]["message"]

    eventually(lambda: world.ask(**request)["decision"] == "send")
    delivered(world, 5_000)
    eventually(lambda: world.chat.keys("resolved"))
    assert world.chat.keys("firing") == world.chat.keys("resolved")
    complaints = world.client.get("/v1/readings", params={"measure": "complaint"}).json()
    assert sum(reading["value"] for reading in complaints) == 40
