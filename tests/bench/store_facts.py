"""The facts the store is measured with: made, the same in every run.

43,200 series (120 customers, 3 streams, 12 providers, 10 counts); a trace is a bounce of one of 1,000 addresses and of one
mailing a day and customer. Of texts a half names the recipient, as SMTP replies do, and a quarter an id seen once.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from collectors.observation import Batch, Observation, Subject, Trace

START = datetime(2026, 1, 3, tzinfo=UTC)
DAYS, BATCH = 28, 20_000
END = START + timedelta(days=DAYS)
CUSTOMERS = 120
MEASURES = ("delivered", "complaint", "hard_bounce", "soft_bounce", "deferral", "block", "unsubscribe", "report",
            "autoreply", "dmarc_pass")  # fmt: skip
SUBJECTS = [
    Subject(customer=f"customer-{customer}", stream=f"stream-{stream}", provider=f"provider-{provider}")
    for customer in range(CUSTOMERS) for stream in range(3) for provider in range(12)
]  # fmt: skip
SERIES = [(measure, subject) for subject in SUBJECTS for measure in MEASURES]
_TEXTS = (
    "550 5.1.1 <{recipient}>: Recipient address rejected: User unknown in virtual mailbox table",
    "452 4.2.2 The recipient's inbox is out of storage space",
    "552 5.2.2 <{recipient}> Mailbox full (in reply to RCPT TO command)",
    "421 4.7.0 [TSS04] Messages temporarily deferred due to unexpected volume; {number:x}-20020a056402 - gsmtp",
)


def readings(count: int, first: datetime, span: timedelta, dice: random.Random) -> Iterator[Batch]:
    """Batches of 20,000 counts, each of another series, in the four quarters of what the batch covers."""
    for begin in range(0, count, BATCH):
        size = min(BATCH, count - begin)
        at = first + span * begin / count
        instants = [at + span * BATCH / count * quarter / 4 for quarter in range(4)]
        chosen = dice.sample(range(len(SERIES)), size)
        yield Batch(f"scale {first}", str(begin), at, tuple(
            Observation(*SERIES[each], instants[number % 4], float(number % 9)) for number, each in enumerate(chosen)
        ))


def trace(number: int, total: int) -> Trace:
    """One of `total` over 28 days."""
    dice = random.Random(number)
    customer = dice.randrange(CUSTOMERS)
    at = START + timedelta(days=DAYS) * number / total
    about = Subject(customer=f"customer-{customer}", stream=f"stream-{number % 3}", campaign=f"c{customer}-{at:%m%d}",
                    ip=f"192.0.{number % 4}.{number % 251}", domain="example.com", provider=f"provider-{number % 12}")
    recipient = f"jo{dice.randrange(total // 3 + 1)}@example.net"
    return Trace(
        "bounce", at, about, recipient=recipient, message_id=f"<{number}.{dice.getrandbits(64):x}@mx.example.com>",
        category="mailbox_full", status="4.2.2", reply_code="452",
        text=_TEXTS[dice.randrange(len(_TEXTS))].format(recipient=recipient, number=number),
    )  # fmt: skip


def traces(total: int) -> Iterator[Batch]:
    for begin in range(0, total, BATCH):
        made = tuple(trace(number, total) for number in range(begin, min(total, begin + BATCH)))
        yield Batch("events/scale", str(begin), made[-1].at, traces=made)
