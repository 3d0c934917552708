"""The suppression filters of the customers this sender mails for, loaded and confirmed in the background.

A filter says `no` on the spot. What it takes for suppressed is confirmed by the service, which knows the streams too; until it
is, that one mail waits. Customers are learnt from what is sent: before the first filter of one is here, nothing is held by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from monitor.sender.http import Address
from monitor.sender.recipient import plain_address
from monitor.sender.suppressions import FilterError, SuppressionFilter

REFRESH_SECONDS = 30.0
CONFIRMED_SECONDS = 60.0  # for so long an answer of the service holds
RATE = 1e-6  # of other addresses taken for suppressed
_REFUSED_SECONDS = 300.0  # before a customer the service does not know is asked for again
_MOST_CUSTOMERS, _MOST_ANSWERS, _MOST_QUESTIONS = 1_000, 20_000, 1_000
_Question = tuple[str, str | None, str]  # customer, stream, address


@dataclass(slots=True)
class _Filter:
    loaded: SuppressionFilter | None = None
    etag: str = ""
    due: float = 0.0


class Filters:
    """Any thread may ask; one task loads. `wake` is called when there is something to do for it."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._filters: dict[str, _Filter] = {}
        self._answers: dict[_Question, tuple[bool, float]] = {}
        self._questions: dict[_Question, None] = {}

    def suppressed(self, customer: str, stream: str | None, address: str) -> bool | None:
        """Whether a recipient must not be mailed; None: it is being asked."""
        known = self._filters.get(customer)
        if known is None:
            if len(self._filters) < _MOST_CUSTOMERS:
                self._filters[customer] = _Filter()
                self._wake()
            return False
        if known.loaded is None or not known.loaded.may_contain(address):
            return False
        question = customer, stream, plain_address(address)
        answer = self._answers.get(question)
        if answer is not None and answer[1] > time.monotonic():
            return answer[0]
        if len(self._questions) < _MOST_QUESTIONS:
            self._questions[question] = None
            self._wake()
        return answer[0] if answer is not None and answer[0] else None

    async def work(self, address: Address) -> None:
        """Load the filters that are due, and ask what waits to be confirmed. Raises OSError where nobody answers."""
        for customer, known in list(self._filters.items()):
            if known.due <= time.monotonic():
                await self._load(address, customer, known)
        while self._questions:
            question = next(iter(self._questions))
            suppressed = await _asked(address, question)
            self._questions.pop(question, None)
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            self._answers[question] = suppressed, time.monotonic() + CONFIRMED_SECONDS

    async def _load(self, address: Address, customer: str, known: _Filter) -> None:
        about = f"customer={quote(customer, safe='')}"
        headers = {"If-None-Match": known.etag} if known.etag else {}
        answer = await address.call("GET", f"/v1/suppressions/filter?{about}&false_positive_rate={RATE:g}", headers=headers)
        known.due = time.monotonic() + (REFRESH_SECONDS if answer.status in {200, 304} else _REFUSED_SECONDS)
        if answer.status != 200:
            if answer.status >= 500:
                known.due = time.monotonic() + REFRESH_SECONDS
            return
        key = await address.call("GET", f"/v1/suppressions/key?{about}")
        if key.status == 200:
            try:
                known.loaded = SuppressionFilter(answer.body, bytes.fromhex(str(key.json()["key"])))
                known.etag = answer.headers.get("etag", "")
            except (FilterError, KeyError, TypeError, ValueError):
                known.due = time.monotonic() + REFRESH_SECONDS  # the old one goes on


async def _asked(address: Address, question: _Question) -> bool:
    customer, stream, recipient = question
    payload: dict[str, Any] = {"customer": customer, "stream": stream, "addresses": [recipient]}
    answer = await address.call("POST", "/v1/suppressions/check", payload)
    if answer.status != 200:
        raise OSError(f"/v1/suppressions/check answers {answer.status}")
    return bool(answer.json()["suppressed"])
