"""What we send with, as rows; `monitor.inventory.items` checks what may stand in them."""

from __future__ import annotations

from typing import ClassVar

from sqlmodel import Field, SQLModel

from monitor.database.tables.columns import json_column


class Customer(SQLModel, table=True):
    """Whose mail we send. `id` is a short stable slug; `id_headers`: header → value that only its mails carry."""

    id: str = Field(primary_key=True)
    name: str
    id_headers: dict[str, str] = json_column()


class Stream(SQLModel, table=True):
    """One customer's mail of one class; `kind` is transactional or marketing."""

    customer: str = Field(primary_key=True, foreign_key="customer.id")
    name: str = Field(primary_key=True)
    kind: str = "marketing"


class Pool(SQLModel, table=True):
    name: str = Field(primary_key=True)
    customer: str | None = Field(default=None, foreign_key="customer.id")  # None: shared


class SendingIp(SQLModel, table=True):
    """An egress address in canonical form (IPv6 compressed, lower case)."""

    __tablename__: ClassVar[str] = "sending_ip"
    address: str = Field(primary_key=True)
    pool: str | None = Field(default=None, foreign_key="pool.name")
    customer: str | None = Field(default=None, foreign_key="customer.id")  # None: shared
    role: str = "mta"


class SendingDomain(SQLModel, table=True):
    """A From or DKIM d= domain, lower case, A-labels."""

    __tablename__: ClassVar[str] = "sending_domain"
    domain: str = Field(primary_key=True)
    customer: str | None = Field(default=None, foreign_key="customer.id")
    stream: str | None = None


class MailboxProvider(SQLModel, table=True):
    """A mailbox provider the shipped table does not know, or knows differently."""

    __tablename__: ClassVar[str] = "mailbox_provider"
    id: str = Field(primary_key=True)
    name: str
    domains: list[str] = json_column(list)
    mx: list[str] = json_column(list)


class Seed(SQLModel, table=True):
    """Our mailbox at a provider. `secret` names an entry of the configuration's secrets."""

    address: str = Field(primary_key=True)
    provider: str
    host: str
    port: int = 993
    tls: str = "implicit"
    username: str | None = None
    secret: str


class ReportMailbox(SQLModel, table=True):
    """An IMAP mailbox where reports arrive; `purpose` is feedback_loop, bounces, dmarc_reports or abuse.

    `secret`, `client_secret` and `refresh_token` name entries of the configuration's secrets.
    """

    __tablename__: ClassVar[str] = "report_mailbox"
    name: str = Field(primary_key=True)
    purpose: str = "feedback_loop"
    provider: str | None = None
    host: str
    port: int = 993
    tls: str = "implicit"
    username: str
    auth: str = "password"
    secret: str | None = None
    token_command: list[str] = json_column(list)
    token_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    refresh_token: str | None = None
    scope: str | None = None
    folder: str = "INBOX"
    done_folder: str | None = None
    parked_folder: str | None = "Vigie-parked"
