"""The outbox reaches its receivers at least once, in order, and never forgets."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from monitor.database.tables import Outbox
from monitor.notify.chat import Chat
from monitor.notify.worker import GIVE_UP_AFTER, LEASE, Worker
from tests.servers.chat import ChatHook

START = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Post:
    """A store with an outbox, a chat hook and a clock that a test moves."""

    def __init__(self, store, hook):
        self.store, self.hook, self.now = store, hook, START
        self.chats = {"on-call": Chat("on-call", hook.url)}

    def worker(self, owner="one"):
        return Worker(self.store, self.chats, owner, lambda: self.now)

    def write(self, incident, event, receiver="on-call", group="", wait=0.0, **details):
        row = Outbox(key=f"{incident}:{event}:{receiver}", incident_id=incident, receiver=receiver, event=event,
                     severity="critical", title=f"{event} {incident}", body="what, where", created_at=self.now,
                     group_key=group or incident, details=details, next_attempt_at=self.now + timedelta(seconds=wait))
        with self.store.session() as session:
            session.add(row)

    def rows(self):
        with self.store.reading_session() as session:
            return session.exec(select(Outbox).order_by(Outbox.id)).all()

    def said(self):
        return [message["title"] for message in self.hook.messages]


@pytest.fixture
def post(store):
    with ChatHook() as hook:
        yield Post(store, hook)


def test_what_waits_is_sent_once_with_its_key_for_whoever_deduplicates(post):
    post.write("inc-1", "firing")
    assert post.worker().send_due("on-call") == 1
    assert post.worker().send_due("on-call") == 0
    (message,) = post.hook.messages
    assert (message["key"], message["event"], message["severity"]) == ("inc-1:firing:on-call", "firing", "critical")
    assert [row.state for row in post.rows()] == ["sent"]


def test_a_failing_receiver_is_tried_again_with_growing_pauses(post):
    post.write("inc-1", "firing")
    post.hook.status = 503
    pauses = []
    for _ in range(5):
        assert post.worker().send_due("on-call") == 0
        pauses.append((post.rows()[0].next_attempt_at - post.now).total_seconds())
        post.now = post.rows()[0].next_attempt_at
    assert pauses == [2, 4, 8, 16, 32]
    post.hook.status = 200
    assert post.worker().send_due("on-call") == 1
    assert post.said() == ["firing inc-1"]


def test_resolved_never_overtakes_firing_but_other_incidents_are_not_held_up(post):
    post.write("inc-1", "firing")
    post.hook.status = 503
    post.worker().send_due("on-call")
    post.write("inc-1", "resolved")
    post.write("inc-2", "firing")
    post.hook.status = 200
    post.worker().send_due("on-call")
    assert post.said() == ["firing inc-2"]
    post.now += timedelta(minutes=1)
    post.worker().send_due("on-call")
    assert post.said() == ["firing inc-2", "firing inc-1", "resolved inc-1"]


def test_a_row_whose_worker_died_is_sent_by_another_once_the_lease_is_over(post):
    post.write("inc-1", "firing")
    dead = post.worker("dead")
    dead.claim("on-call")
    assert post.worker("alive").send_due("on-call") == 0
    post.now += LEASE
    assert post.worker("alive").send_due("on-call") == 1


def test_a_receiver_that_is_gone_for_a_day_is_given_up_and_the_row_says_so(post):
    post.write("inc-1", "firing", receiver="left")
    post.now += GIVE_UP_AFTER + timedelta(seconds=1)
    post.worker().send_due("left")
    (row,) = post.rows()
    assert row.state == "given_up"
    assert "no such receiver" in row.last_error


def test_only_receivers_with_something_due_are_visited(post):
    post.write("inc-1", "firing")
    assert post.worker().waiting() == {"on-call"}
    post.worker().send_due("on-call")
    assert post.worker().waiting() == set()


@pytest.mark.parametrize("url", ["carrier-pigeon://loft/7", "slack://too-short"])
def test_an_address_that_cannot_work_is_refused_at_start_without_being_shown(url):
    with pytest.raises(ValueError, match="receiver loft") as refused:
        Chat("loft", url)
    assert not re.search(r"loft/7|too-short", str(refused.value))


def test_no_address_appears_in_what_is_logged_of_a_failure(post, caplog):
    post.chats["on-call"] = Chat("on-call", post.hook.url + "token-4711")
    post.hook.status = 500
    post.write("inc-1", "firing")
    post.worker().send_due("on-call")
    assert "token-4711" not in caplog.text
    assert "token-4711" not in post.rows()[0].last_error


def test_a_group_that_is_due_is_one_message_and_stays_it_when_tried_again(post):
    for name in ("inc-1", "inc-2", "inc-3"):
        post.write(name, "firing", group="{rule=x}", labels={"rule": "x"}, targets=["192.0.2.1", f"192.0.2.{name[-1]}"], target_count=2,
                   customers=["acme"], url=f"http://vigie.example/incidents/{name}")
    post.write("inc-4", "firing", group="{rule=y}")
    post.hook.status = 503
    post.worker().send_due("on-call")
    post.write("inc-1", "resolved", group="{rule=x}")
    post.now += timedelta(seconds=2)
    post.hook.status = 200
    post.worker().send_due("on-call")
    first, *others = post.hook.messages
    assert first["title"] == "[FIRING 3] critical: 3 incidents, 3 IPs, customer acme (x)"
    assert first["incidents"] == "inc-1:firing,inc-2:firing,inc-3:firing"
    assert "http://vigie.example/incidents" in first["message"]
    assert sorted(each["incidents"] for each in others) == ["inc-1:resolved", "inc-4:firing"]
    assert len({row.message_key for row in post.rows()}) == 3


def test_what_began_and_ended_before_anybody_heard_is_said_so_in_one_message(post):
    post.write("inc-1", "firing", wait=30)
    post.write("inc-1", "resolved", wait=30)
    assert post.worker().send_due("on-call") == 0
    post.now += timedelta(seconds=30)
    assert post.worker().send_due("on-call") == 1
    (message,) = post.hook.messages
    assert message["title"].startswith("[RESOLVED 1]")
    assert "began and ended meanwhile" in message["message"]


def test_a_mass_event_is_a_few_messages_though_nothing_groups_it(post):
    for number in range(600):
        post.write(f"inc-{number}", "firing", targets=[f"10.0.{number // 256}.{number % 256}"], target_count=1, labels={"rule": "ip-listed"})
    assert post.worker().send_due("on-call") == 0  # more may be coming
    post.now += timedelta(seconds=3)
    assert post.worker().send_due("on-call") == 1
    (message,) = post.hook.messages
    assert message["title"] == "[FIRING 600] critical: 600 incidents, 600 IPs (ip-listed)"
    assert message["message"].count("\n") == 20


def test_more_messages_than_a_minute_allows_wait_and_become_one(post):
    for number in range(10):
        post.write(f"inc-{number}", "firing")
        post.worker().send_due("on-call")
        post.now += timedelta(seconds=1)
    for number in range(10, 13):
        post.write(f"inc-{number}", "firing")
    assert post.worker().send_due("on-call") == 0
    post.now += timedelta(minutes=1)
    post.worker().send_due("on-call")
    assert len(post.hook.messages) == 13  # by then as many may go out again
    for number in range(13, 30):
        post.write(f"inc-{number}", "firing")
    post.now += timedelta(seconds=5)
    post.worker().send_due("on-call")
    assert [message["event"] for message in post.hook.messages[13:]] == ["firing"]
    assert post.hook.messages[-1]["incidents"].count("firing") == 17


def test_one_message_at_a_time_is_on_its_way_whatever_the_number_of_processes(post):
    post.write("inc-1", "firing")
    post.write("inc-2", "firing")
    assert len(post.worker("first").claim("on-call")) == 1
    assert post.worker("second").claim("on-call") == []
    post.now += LEASE
    assert [row.incident_id for row in post.worker("second").claim("on-call")] == ["inc-1"]


def test_a_receiver_that_cannot_be_reached_is_an_alarm_to_the_others_that_ends(post):
    with ChatHook() as broken:
        post.chats["pager"] = Chat("pager", broken.url)
        worker = Worker(post.store, post.chats, "w", lambda: post.now, watching=["on-call", "pager"])
        broken.status = 500
        post.write("inc-1", "firing", receiver="pager")
        for _ in range(12):
            worker.send_due("pager")
            worker.send_due("on-call")
            post.now += timedelta(minutes=5)
        (alarm,) = post.hook.messages
        assert "pager cannot be reached, 15 min so far" in alarm["title"]
        broken.status = 200
        worker.send_due("pager")
        worker.send_due("on-call")
        assert [message["event"] for message in post.hook.messages] == ["firing", "resolved"]
        assert "is reached again" in post.said()[-1]
