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

    def write(self, incident, event, receiver="on-call"):
        row = Outbox(key=f"{incident}:{event}:{receiver}", incident_id=incident, receiver=receiver, event=event,
                     severity="critical", title=f"{event} {incident}", body="what, where", created_at=self.now,
                     next_attempt_at=self.now)
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
