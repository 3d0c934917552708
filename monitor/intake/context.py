"""What one run of a collector is given of ours: targets, mailboxes with their secrets, whose mail, its cursor."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from collectors.contract import Attribution, CollectorError, Identifiers, Mailbox, Reason, Target
from collectors.delivery.counting import Whose
from collectors.providers import ProviderTable
from monitor.config.mta import KumoMta
from monitor.facts import Store, deliveries
from monitor.facts.append import taken_records
from monitor.intake import records
from monitor.intake.attribution import directory
from monitor.intake.mailbox_tokens import MailboxTokens
from monitor.inventory.items import Inventory
from monitor.inventory.items import Mailbox as MailboxItem
from monitor.inventory.known import read_names
from monitor.inventory.owners import read_owners
from monitor.inventory.rows import read_inventory
from monitor.sender.token import keys_of

LATELY = timedelta(days=30)  # how long a delivery shows whose mail a recipient complains of


class SentMail:
    """The delivery records in the store, as attribution asks for them."""

    def __init__(self, store: Store, now: datetime) -> None:
        self._store = store
        self._since = now - LATELY
        self._campaigns: dict[str, Sequence[str]] = {}
        self._messages: Mapping[str, Attribution | None] = {}
        self._recipients: Mapping[str, Attribution | None] = {}

    def prepare(self, expected: Iterable[Identifiers]) -> None:
        """Look up at once what is going to be asked; it is answered from memory until the next time."""
        message_ids, recipients = set(), set()
        for each in expected:
            message_ids.add(each.message_id)
            recipients.add(each.recipient)
        keys = self._store.recipients
        ids = {each: keys.redacted_id(each) for each in message_ids if each}
        hashes = {each: keys.hash(each) for each in recipients if each}
        with self._store.reading() as connection:
            messages = deliveries.of_messages(connection, set(ids.values()))
            sent_to = deliveries.of_recipients(connection, set(hashes.values()), self._since)
        self._messages = {each: messages[redacted] for each, redacted in ids.items()}
        self._recipients = {each: sent_to[digest] for each, digest in hashes.items()}

    def of_message(self, message_id: str) -> Attribution | None:
        if message_id in self._messages:
            return self._messages[message_id]
        with self._store.reading() as connection:
            return deliveries.of_message(connection, self._store.recipients.redacted_id(message_id))

    def of_recipient(self, address: str) -> Attribution | None:
        if address in self._recipients:
            return self._recipients[address]
        with self._store.reading() as connection:
            return deliveries.of_recipient(connection, self._store.recipient_hash(address), self._since)

    def campaigns(self, customer: str) -> Sequence[str]:
        if customer not in self._campaigns:
            with self._store.reading_session() as session:
                self._campaigns[customer] = deliveries.campaigns(session, customer)
        return self._campaigns[customer]


class RunContext:
    """The inventory as it stands when the run begins; it does not change under the run's feet."""

    def __init__(
        self, store: Store, collector: str, secrets: Mapping[str, SecretStr], stop: threading.Event,
        now: datetime, *, tokens: MailboxTokens | None = None,
    ) -> None:
        self._store = store
        self._tokens = tokens or MailboxTokens(store)
        self._collector = collector
        self._secrets = secrets
        self._stop = stop
        with store.reading_session() as session:
            self._inventory: Inventory = read_inventory(session)
        keys = keys_of((customer, store.customer_key(customer)) for customer in self._inventory.customers)
        self._sent = SentMail(store, now)
        self._directory = directory(self._inventory, keys, self._sent)

    def targets(self) -> Sequence[Target]:
        ips = [
            Target(ip.address, f"ipv{ipaddress.ip_address(ip.address).version}", ip.role, ip.customer)
            for ip in self._inventory.ips.values()
        ]
        return ips + [
            Target(domain.domain, "domain", customer=domain.customer) for domain in self._inventory.domains.values()
        ]

    def mailboxes(self, purpose: str) -> Sequence[Mailbox]:
        return [self._mailbox(box) for box in self._inventory.mailboxes.values() if box.purpose == purpose]

    @property
    def providers(self) -> ProviderTable:
        return self._directory.providers

    def attribute(self, identifiers: Identifiers) -> Attribution:
        return self._directory.attribute(identifiers)

    def prepare(self, expected: Iterable[Identifiers]) -> None:
        self._sent.prepare(expected)

    def cursor(self, name: str) -> Mapping[str, Any] | None:
        return self._store.cursor(self._collector, name)

    def whose(self, mapping: Mapping[str, str], sources: Mapping[str, str]) -> Whose:
        """Whose mail records were, by the words of theirs that `mapping` names and the addresses of `sources`."""
        settings = KumoMta.model_validate({"mapping": dict(mapping), "sources": dict(sources)})
        with self._store.reading_session() as session:
            return records.Attribution(settings, read_names(session), read_owners(session))

    def known_records(self, keys: Sequence[int]) -> frozenset[int]:
        """Which of these records were counted before."""
        with self._store.reading() as connection:
            return taken_records(connection, list(keys))

    def secret(self, name: str) -> str:
        if name not in self._secrets:
            raise CollectorError(
                Reason.KEY_MISSING, f"the inventory asks for secret '{name}': name it under `secrets:` in the configuration"
            )
        return self._secrets[name].get_secret_value()

    def stopping(self) -> bool:
        return self._stop.is_set()

    def _mailbox(self, box: MailboxItem) -> Mailbox:
        return Mailbox(
            name=box.name, host=box.host, username=box.username, password=self.secret(box.secret) if box.secret else "",
            port=box.port, tls=box.tls, folder=box.folder, done_folder=box.done_folder, parked_folder=box.parked_folder,
            provider=box.provider, tokens=self._tokens.of(box, self.secret) if box.auth == "xoauth2" else None,
        )
