"""Every receiver is served in a thread of its own: one that hangs or fails delays no other."""

import threading
from datetime import UTC, datetime

from sqlmodel import select

from monitor.database.tables import Outbox
from monitor.jobs.outbox_loop import OutboxLoop
from monitor.notify.sender import Sent
from monitor.notify.worker import Worker
from tests.waiting import eventually

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Chat:
    """A far side that answers at once, never, or breaks."""

    def __init__(self, answer=lambda: None):
        self.answer, self.keys = answer, []

    def send(self, message):
        self.keys.append(message.key)
        return Sent(self.answer())


def write(store, receiver, number=1):
    with store.session() as session:
        session.add(Outbox(key=f"{receiver}{number}", incident_id=f"inc-{number}", receiver=receiver, event="firing",
                           severity="warning", title="t", body="b", created_at=NOW, next_attempt_at=NOW))


def test_a_receiver_that_hangs_or_breaks_delays_no_other(store, caplog):
    release = threading.Event()

    def broken():
        raise RuntimeError("a bug in a plug-in")

    chats = {"hung": Chat(lambda: release.wait(60) and None), "broken": Chat(broken), "good": Chat()}
    loop, stop = OutboxLoop(Worker(store, chats, "here", lambda: NOW)), threading.Event()
    for receiver in chats:
        write(store, receiver)
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    try:
        eventually(lambda: all(chat.keys for chat in chats.values()))
        write(store, "good", 2)
        loop.wake()
        eventually(lambda: chats["good"].keys == ["good1", "good2"])
        assert chats["hung"].keys == ["hung1"]
    finally:
        release.set()
        stop.set()
        loop.wake()
        thread.join(30)
    assert not thread.is_alive()
    assert "notifying broken" in caplog.text

    def sent():
        with store.reading_session() as session:
            return sorted(session.exec(select(Outbox.key).where(Outbox.state == "sent")))

    assert sent() == ["good1", "good2", "hung1"]
