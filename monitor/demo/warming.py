"""One IP that warms up: two weeks of it before the demo begins, judged day by day as the service does, and a few mails a tick."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx

from collectors.observation import Batch, Observation, Subject
from monitor.config.warmup import WarmUp as Settings
from monitor.demo.world import PROVIDER_DOMAIN, WARMING
from monitor.facts import Store
from monitor.jobs.warm_ups import WarmUps
from monitor.warmup.days import begins_at, ends_at
from monitor.warmup.plans import shipped
from monitor.warmup.rows import Start, going_on, start

PROVIDER, ZONE, OVERFLOW = "yahoo", "UTC", "acme-pool"
DAYS = 14
IDLE, SHORT, BLOCKED = frozenset({8, 9}), frozenset({5}), frozenset({11})  # days of the two weeks
SOURCE = "demo-warm-up"


def write(store: Store, now: datetime) -> None:
    """Begin two weeks ago; each day's facts, and the move at its end."""
    first = (now - timedelta(days=DAYS)).date()
    began = begins_at(first, ZONE)
    wanted = Start(WARMING.ips[0], None, PROVIDER, shipped()["conservative"], ZONE, OVERFLOW)
    with store.session() as session:
        begun = start(session, wanted, actor="demo", reason="a new IP of Acme", now=began).id
    for number in range(DAYS):
        day = first + timedelta(days=number)
        end = ends_at(day, ZONE)
        with store.reading_session() as session:
            [allowance] = going_on(session, end - timedelta(hours=1), [begun])
        if number not in IDLE and allowance.cap is not None:
            _sent(store, number, allowance.cap, end - timedelta(hours=12))
        WarmUps(store, lambda end=end: end, Settings()).close(end)  # type: ignore[misc]


def _sent(store: Store, number: int, cap: int, at: datetime) -> None:
    subject = Subject(WARMING.customer, WARMING.stream, None, WARMING.ips[0], WARMING.domain, PROVIDER)
    blocked = cap // 4 if number in BLOCKED else 0
    delivered = cap // 2 if number in SHORT else cap - blocked
    counts = {"delivered": delivered, "block": blocked, "deferral": cap // 20, "hard_bounce": cap // 300, "complaint": 0}
    facts = tuple(Observation(name, subject, at, float(count)) for name, count in counts.items())
    store.intake([Batch(SOURCE, at.isoformat(), at, observations=facts)], at)


def send(client: httpx.Client, url: str, headers: dict[str, str], now: datetime) -> dict[str, Any] | None:
    """Reserve a few messages and send as many as were granted: the event that says so, or None where nothing is left today."""
    about = {
        "customer": WARMING.customer, "stream": WARMING.stream, "ip": WARMING.ips[0], "domain": WARMING.domain,
        "recipient_domain": PROVIDER_DOMAIN,
    }  # fmt: skip
    granted = client.post(f"{url}/v1/allowances/grant", json=about | {"count": WARMING.messages, "sender": "demo"}, headers=headers)
    granted.raise_for_status()
    answer = granted.json()
    if not answer["granted"]:
        return None
    if answer["grant"] is not None:
        back = {"grant": answer["grant"], "used": answer["granted"]}
        client.post(f"{url}/v1/allowances/return", json=back, headers=headers).raise_for_status()
    return about | {"at": now.isoformat(), "outcome": "delivered", "count": answer["granted"]}
