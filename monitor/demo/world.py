"""The world of the demo, on loopback: a DNSBL, a mailbox provider that sends feedback reports, a chat, a sender.

Everything speaks its real protocol to the service under watch; only the people are missing. What happens is
drawn from one seeded generator in the order of the ticks, so the same seed gives the same story.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

Emit = Callable[[Mapping[str, Any]], None]

PROVIDER_DOMAIN = "yahoo.com"
HEALTHY_RATE = 0.0002  # complaints per delivered mail of people who asked for it
BOUGHT_RATE = 0.02  # and of people who did not
COMPLAINING_AT_MOST = 8  # feedback reports written per tick and stream: the demo's mailbox is a small one


@dataclass(frozen=True, slots=True)
class Mailing:
    """What one customer sends in one tick, from the first of `ips` that may."""

    customer: str
    stream: str
    domain: str
    ips: tuple[str, ...]
    messages: int


MAILINGS = (
    Mailing("acme", "receipts", "acme.example", ("192.0.2.10", "192.0.2.11"), 60),
    Mailing("acme", "newsletter", "acme.example", ("192.0.2.10", "192.0.2.11"), 300),
    Mailing("bolt", "receipts", "bolt.example", ("198.51.100.20",), 40),
    Mailing("bolt", "newsletter", "bolt.example", ("198.51.100.20",), 300),
)

# what goes out from the IP that warms up
WARMING = Mailing("acme", "welcome", "acme.example", ("192.0.2.12",), 3)


class Web:
    """The web of the demo: a hook that people would see as a chat, and the removal page of the DNSBL.

    `on_message` gets each chat message once it arrived.
    """

    def __init__(self, on_message: Callable[[Mapping[str, Any]], None]) -> None:
        web = self

        class Site(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("content-length", 0)), 1_000_000)
                web.on_message(json.loads(self.rfile.read(length)))
                self.send_response(200)
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/plain; charset=utf-8")
                self.end_headers()
                self.wfile.write(b"The demo's DNSBL: here one would ask for removal, once the cause is repaired.\n")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
                del format, args

        self.on_message = on_message
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="demo-web", daemon=True)

    def start(self) -> int:
        self._thread.start()
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(slots=True)
class Sender:
    """Asks the gate before each mailing, sends, says what was delivered; recipients may complain."""

    url: str
    key: str
    dice: random.Random
    deliver: Callable[[bytes, str, datetime], object]  # a feedback report into a folder of the mailbox, at a time
    emit: Emit
    bought: bool = False  # Bolt mails a bought list
    warm: Callable[[httpx.Client, str, dict[str, str], datetime], dict[str, Any] | None] | None = None  # a few mails from a new IP
    preferred: str = ""  # the IP to try first, where a mailing has it
    _last: dict[tuple[str, str, str], str] = field(default_factory=dict)
    _serial: int = 0

    def tick(self, client: httpx.Client, now: datetime) -> None:
        """One mailing of every stream, from the first of its IPs that the gate lets send."""
        events: list[dict[str, Any]] = []
        for mailing in MAILINGS:
            complaints = self._complaints(mailing)  # drawn also when held: the story must not depend on timing
            ips = sorted(mailing.ips, key=lambda ip: ip != self.preferred)
            ip = next((ip for ip in ips if self._may_send(client, mailing, ip)), None)
            if ip is None:
                continue
            events.append({
                "at": now.isoformat(), "customer": mailing.customer, "stream": mailing.stream, "ip": ip,
                "domain": mailing.domain, "recipient_domain": PROVIDER_DOMAIN, "outcome": "delivered",
                "count": mailing.messages,
            })
            for _ in range(complaints):
                self._serial += 1
                self.deliver(feedback_report(mailing, ip, self._serial, now), "INBOX", now)
        if self.warm is not None and (sent := self.warm(client, self.url, self._auth, now)) is not None:
            events.append(sent)
        if events:
            answer = client.post(
                f"{self.url}/v1/events/generic", json=events,
                headers={**self._auth, "Idempotency-Key": f"demo-{now.isoformat()}"},
            )
            answer.raise_for_status()

    @property
    def _auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def _complaints(self, mailing: Mailing) -> int:
        rate = BOUGHT_RATE if self.bought and (mailing.customer, mailing.stream) == ("bolt", "newsletter") else HEALTHY_RATE
        drawn = sum(self.dice.random() < rate for _ in range(mailing.messages))
        return min(drawn, COMPLAINING_AT_MOST)

    def _may_send(self, client: httpx.Client, mailing: Mailing, ip: str) -> bool:
        request = {
            "customer": mailing.customer, "stream": mailing.stream, "ip": ip, "domain": mailing.domain,
            "recipient_domain": PROVIDER_DOMAIN, "count": mailing.messages,
        }
        answer = client.post(f"{self.url}/v1/decision", json=request, headers=self._auth)
        answer.raise_for_status()
        decided = answer.json()
        key = (mailing.customer, mailing.stream, ip)
        if self._last.get(key) != decided["decision"]:
            self._last[key] = decided["decision"]
            why = decided["reasons"][0]["text"] if decided["reasons"] else None
            self.emit({
                "event": "decision", "customer": mailing.customer, "stream": mailing.stream, "ip": ip,
                "decision": decided["decision"], "why": why,
            })
        return bool(decided["decision"] == "send")


def feedback_report(mailing: Mailing, ip: str, serial: int, sent_at: datetime) -> bytes:
    """A complaint as Yahoo's loop writes it (RFC 5965), about one mail of this mailing."""
    recipient = f"reader{serial}@{PROVIDER_DOMAIN}"
    report = MIMEMultipart("report")
    report.set_param("report-type", "feedback-report")
    report["From"] = "Demo Mail AntiSpam Feedback <feedback@arf.mail.yahoo.com>"
    report["To"] = "fbl@vigie.example"
    report["Subject"] = "FW:Our offers of the week"
    report["Date"] = format_datetime(sent_at)
    report["Message-ID"] = f"<report-{serial}@arf.demo.example>"
    fields = EmailMessage()
    for name, value in (
        ("Feedback-Type", "abuse"), ("User-Agent", "Yahoo!-Mail-Feedback/2.0"), ("Version", "1"),
        ("Original-Mail-From", f"<bounce@{mailing.domain}>"), ("Original-Rcpt-To", recipient),
        ("Received-Date", format_datetime(sent_at)), ("Reported-Domain", mailing.domain), ("Source-IP", ip),
    ):
        fields[name] = value
    facts = MIMEText(fields.as_string().strip() + "\n")
    facts.replace_header("Content-Type", "message/feedback-report")
    original = EmailMessage()
    original["From"] = f"{mailing.customer} <news@{mailing.domain}>"
    original["To"] = recipient
    original["Subject"] = "Our offers of the week"
    original["Message-ID"] = f"<{serial}.{mailing.stream}@{mailing.domain}>"
    original["Feedback-ID"] = f"week:{mailing.stream}:{mailing.customer}:vigiedemo"
    original.set_content("Offers.")
    report.attach(MIMEText("This is an email abuse report.\n"))
    report.attach(facts)
    report.attach(MIMEMessage(original))
    return report.as_bytes()
