"""What a collector is: the one seam between the world and the monitor.

A collector owns its settings and its rhythm and turns what its source says into batches of facts.
It never reaches up: what it must know of ours (targets, secrets, its last cursor, who a identifier
belongs to) is handed in with the context.
"""

from __future__ import annotations

import difflib
import enum
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from collectors.observation import Batch
from collectors.providers import ProviderTable


class Reason(enum.StrEnum):
    """Why an answer is not known, or why something failed. Closed: log field, row value and label alike."""

    TIMEOUT = "timeout"
    NETWORK = "network"
    SERVFAIL = "servfail"
    REFUSED = "refused"
    REWRITTEN = "rewritten"
    CANARY_FAILED = "canary_failed"
    DEAD = "dead"
    KEY_MISSING = "key_missing"
    BUDGET = "budget"
    UNSUPPORTED_TARGET = "unsupported_target"
    AUTH = "auth"
    TLS = "tls"
    QUOTA = "quota"
    NOT_FOUND = "not_found"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    TOO_OLD = "too_old"
    UNVERIFIED = "unverified"
    REVISED = "revised"
    SERIES_LIMIT = "series_limit"
    CONFIG = "config"
    NO_DATA = "no_data"
    STALE = "stale"
    INSUFFICIENT = "insufficient"
    BELOW_THRESHOLD = "below_threshold"  # the source has the day out, and us not in it
    NOT_REGISTERED = "not_registered"
    PERMISSION_LOST = "permission_lost"
    REAUTH_REQUIRED = "reauth_required"
    REMOVED = "removed"  # gone for good
    INTERNAL = "internal"


class CollectorError(Exception):
    """A whole run failed for one known reason; `text` says what a person does next."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason
        self.text = text


class CollectorSettings(BaseModel):
    """What every collector lets its user set; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    every: timedelta = Field(timedelta(minutes=15), gt=timedelta(0))


class Purpose(enum.StrEnum):
    """What a mailbox is for: who reads it, and with which settings."""

    FEEDBACK_LOOP = "feedback_loop"
    BOUNCES = "bounces"
    DMARC_REPORTS = "dmarc_reports"
    ABUSE = "abuse"


class Tls(enum.StrEnum):
    """How a connection to a mail server is protected: from its first byte, after STARTTLS, or not at all."""

    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    NONE = "none"


class Tokens(Protocol):
    """The access tokens of one mailbox (SASL XOAUTH2). Raises CollectorError where none can be had."""

    def current(self) -> str: ...

    def after_refusal(self, refused: str) -> str:
        """A new token in place of one the server refused; the same one where there is no other."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One IMAP mailbox to read, with its secret already looked up: a password, or `tokens` (OAuth 2).

    `provider` names the source whose feedback loop ends here, None where many do.
    """

    name: str
    host: str
    username: str
    password: str = ""
    port: int = 993
    tls: Tls = Tls.IMPLICIT
    folder: str = "INBOX"
    done_folder: str | None = None  # None: flag as seen instead of moving
    parked_folder: str | None = None
    provider: str | None = None
    tokens: Tokens | None = None

    def __repr__(self) -> str:
        return f"Mailbox({self.name!r}, {self.username!r}@{self.host!r}:{self.port})"


class Role(enum.StrEnum):
    """What an address of ours does: policy listings (of dynamic or dial-up space) matter where it sends mail."""

    MTA = "mta"
    WEB = "web"
    DNS = "dns"
    NAT = "nat"
    OTHER = "other"

    @classmethod
    def named(cls, text: str) -> Role:
        """The role of this name in either case. Raises ValueError with the one that was meant."""
        name = text.strip().lower()
        if name in set(cls):
            return cls(name)
        swapped = [each for each in cls if sorted(each) == sorted(name)]  # mat for mta
        near = swapped or difflib.get_close_matches(name, list(cls), 1, 0.5)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"the role is one of {', '.join(cls)}{meant}")


@dataclass(frozen=True, slots=True)
class Target:
    """An address or domain of ours to be asked about.

    `kind` is ipv4, ipv6 or domain; `role` is what it does (`Role`), which policy lists are judged by.
    """

    name: str
    kind: str
    role: str = "mta"
    customer: str | None = None


@dataclass(frozen=True, slots=True)
class Identifiers:
    """What a report says of the mail it is about; any field may be missing."""

    tokens: tuple[str, ...] = ()  # candidate identifiers: VERP parts, CFBL- and Feedback-ID
    headers: Mapping[str, str] | None = None  # lower-case names of the reported mail
    message_id: str | None = None
    recipient: str | None = None
    source_ip: str | None = None
    domain: str | None = None
    provider: str | None = None


# values of `Attribution.how` that no outsider can bring about: our own signed token
UNFORGEABLE = frozenset({"token"})


@dataclass(frozen=True, slots=True)
class Attribution:
    """Whose mail it was, and which identifier said so (`how`; None when nothing matched).

    `recipient`, `ip` and `domain` are as the report says, the latter two only where they are ours;
    `recipient_ref` and `recipient_hash` are what our token or our records say instead.
    """

    customer: str | None = None
    stream: str | None = None
    campaign: str | None = None
    recipient: str | None = None
    ip: str | None = None
    domain: str | None = None
    provider: str | None = None
    how: str | None = None
    recipient_ref: str | None = None
    recipient_hash: str | None = None


class Context(Protocol):
    """What the monitor hands to a collector for one run."""

    def targets(self) -> Sequence[Target]: ...

    def mailboxes(self, purpose: str) -> Sequence[Mailbox]: ...

    @property
    def providers(self) -> ProviderTable:
        """Mailbox providers: those shipped and our own."""

    def attribute(self, identifiers: Identifiers) -> Attribution: ...

    def prepare(self, expected: Iterable[Identifiers]) -> None:
        """What `attribute` will be asked soon (Message-IDs and recipients): looked up together. Optional, and changes no answer."""

    def cursor(self, name: str) -> Mapping[str, Any] | None:
        """The last cursor committed under this name by this collector."""

    def secret(self, name: str) -> str:
        """A named secret of the configuration; raises CollectorError(key_missing)."""

    def stopping(self) -> bool:
        """True when the run should end after the batch at hand."""


@runtime_checkable
class Collector(Protocol):
    """One source. Building it never touches the network.

    One that measures more than it is there for says with a further `feeds: ClassVar[frozenset[str]]` which measures are
    too low while it fails.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[CollectorSettings]]
    measures: ClassVar[frozenset[str]]

    def __init__(self, settings: Any) -> None: ...

    def collect(self, context: Context, now: datetime) -> Iterator[Batch]:
        """Ask once; yield facts in batches. Raises CollectorError where nothing at all could be asked."""


@runtime_checkable
class Watcher(Protocol):
    """A collector that can be notified of news (IMAP IDLE) instead of waiting for its next turn."""

    def watch(self, context: Context, stop: threading.Event) -> Iterator[None]:
        """Block; yield each time there is something to collect; end when `stop` is set."""
