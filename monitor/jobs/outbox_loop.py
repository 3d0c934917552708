"""When notifications are sent: as they are written, each receiver in a thread of its own."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from monitor.notify.worker import Worker

LOOK_SECONDS = 1.0  # how often what other processes wrote is looked at
log = logging.getLogger(__name__)


class OutboxLoop:
    """Sends what waits for any receiver; one that does not answer delays no other."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._news = threading.Event()

    def wake(self) -> None:
        """Something may have been written."""
        self._news.set()

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set; wake it then. Returns when what is under way is done."""
        under_way: dict[str, Future[int]] = {}
        with ThreadPoolExecutor(max_workers=max(len(self._worker.chats), 1)) as threads:
            while not stop.is_set():
                self._news.wait(LOOK_SECONDS)
                self._news.clear()
                for receiver in self._worker.waiting():
                    if receiver not in under_way or under_way[receiver].done():
                        under_way[receiver] = threads.submit(self._send, receiver)

    def send_once(self) -> None:
        """Send what is due now, in this thread, receiver by receiver in the order of their names."""
        for receiver in sorted(self._worker.waiting()):
            self._worker.send_due(receiver)

    def _send(self, receiver: str) -> int:
        try:
            return self._worker.send_due(receiver)
        except Exception:
            log.exception("notifying %s", receiver)
            return 0
