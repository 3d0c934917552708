"""What we send with: customers and their streams, pools, IPs, domains, seeds, report mailboxes.

An `Inventory` is a plain value; `difference` says what turns one into another; `faults` says what in it does
not fit together. Nothing here reads a file (monitor.inventory.file) or a database (monitor.inventory.rows).
The JSON shape of an item is `item.model_dump(mode="json")`: its fields as below, in canonical form.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from collectors.contract import Purpose, Role, Tls
from monitor.gate import StreamKind
from monitor.gate.names import address_name
from monitor.inventory.names import (
    domain_name,
    host_name,
    mail_address,
    one_line,
    own_header,
    slug,
    token_endpoint,
)

Slug = Annotated[str, AfterValidator(slug)]
Address = Annotated[str, AfterValidator(address_name)]
DomainName = Annotated[str, AfterValidator(domain_name)]
Host = Annotated[str, AfterValidator(host_name)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Auth(enum.StrEnum):
    """How a mailbox is logged in to."""

    PASSWORD = "password"  # noqa: S105 - the name of a way in
    XOAUTH2 = "xoauth2"
SecretName = Annotated[str, Field(min_length=1)]
Argument = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]
HeaderName = Annotated[str, AfterValidator(own_header)]
RoleName = Annotated[Role, BeforeValidator(Role.named)]
Pattern = Annotated[str, AfterValidator(str.lower)]


# way to log in → the fields it needs, those it may have besides, and what to do
_WAYS_IN: dict[str, tuple[frozenset[str], frozenset[str], str]] = {
    Auth.PASSWORD.value: (frozenset({"secret"}), frozenset(), "name the password's entry of `secrets:`, or write auth: xoauth2"),
    "token_command": (frozenset({"token_command"}), frozenset(), "write token_command, or token_url with what belongs to it"),
    "token_url": (frozenset({"token_url", "client_id", "refresh_token"}), frozenset({"client_secret", "scope"}),
                  "write these, or a token_command that prints an access token"),
}  # fmt: skip
_WITH = {"token_command": " with token_command", "token_url": " with token_url"}
_LOGIN_FIELDS = frozenset[str]().union(*(needed | allowed for needed, allowed, _ in _WAYS_IN.values()))


class Item(BaseModel):
    """One thing of the inventory; `key` is its name among its kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    word: ClassVar[str]
    key_fields: ClassVar[tuple[str, ...]]

    @property
    def key(self) -> str:
        return "/".join(getattr(self, name) for name in self.key_fields)

    def __str__(self) -> str:
        about = ", ".join(f"{name} {_text(value)}" for name, value in self
                          if name not in self.key_fields and value not in (type(self).model_fields[name].default, {}))
        return f"{self.word} {self.key}" + (f" ({about})" if about else "")


class Customer(Item):
    """`id_headers`: what a header of their mails says that no other customer's says (X-Mandant: 4711)."""

    word, key_fields = "customer", ("id",)
    id: Slug
    name: str = Field(default_factory=lambda data: str(data.get("id", "")), min_length=1)
    id_headers: dict[HeaderName, Annotated[str, Field(min_length=1, max_length=255)]] = Field(default_factory=dict)


class Stream(Item):
    word, key_fields = "stream", ("customer", "name")
    customer: Slug
    name: Slug
    kind: StreamKind = StreamKind.MARKETING


class Pool(Item):
    """`customer` None: shared."""

    word, key_fields = "pool", ("name",)
    name: Slug
    customer: Slug | None = None


class Ip(Item):
    """A sending address. `customer` None: shared, or whose its pool is."""

    word, key_fields = "IP", ("address",)
    address: Address
    pool: Slug | None = None
    customer: Slug | None = None
    role: RoleName = Role.MTA

    def owned_through(self, pools: Mapping[str, Pool]) -> Ip:
        """The address with the customer of its pool, where it names none itself."""
        pool = pools.get(self.pool or "")
        if self.customer is not None or pool is None or pool.customer is None:
            return self
        return self.model_copy(update={"customer": pool.customer})


class Domain(Item):
    word, key_fields = "domain", ("domain",)
    domain: DomainName
    customer: Slug | None = None
    stream: Slug | None = None


class Provider(Item):
    """A mailbox provider the shipped table does not know, or knows differently."""

    word, key_fields = "provider", ("id",)
    id: Slug
    name: str = Field(default_factory=lambda data: str(data.get("id", "")), min_length=1)
    domains: tuple[DomainName, ...] = ()
    mx: tuple[Pattern, ...] = ()


class Seed(Item):
    """Our mailbox at a provider; `secret` names an entry of the configuration's secrets."""

    word, key_fields = "seed", ("address",)
    address: Annotated[str, AfterValidator(mail_address)]
    provider: Slug
    host: Host
    port: Port = 993
    tls: Tls = Tls.IMPLICIT
    username: str | None = None
    secret: str = Field(min_length=1)

    @property
    def secrets(self) -> dict[str, str]:
        """Field → the secret it names."""
        return {"secret": self.secret}


class Mailbox(Item):
    """An IMAP mailbox where mail for us to read arrives.

    `secret`, `client_secret` and `refresh_token` name entries of the configuration's secrets. With `auth` xoauth2 the
    access token comes from `token_command`, or from `token_url` for a refresh token.
    """

    word, key_fields = "mailbox", ("name",)
    name: Slug
    purpose: Purpose = Purpose.FEEDBACK_LOOP
    provider: Slug | None = None
    host: Host
    port: Port = 993
    tls: Tls = Tls.IMPLICIT
    username: Annotated[str, AfterValidator(one_line)] = Field(min_length=1)
    auth: Auth = Auth.PASSWORD
    secret: SecretName | None = None
    token_command: Annotated[tuple[Argument, ...], Field(max_length=100)] = ()
    token_url: Annotated[str, AfterValidator(token_endpoint)] | None = None
    client_id: Annotated[str, Field(min_length=1)] | None = None
    client_secret: SecretName | None = None
    refresh_token: SecretName | None = None
    scope: Annotated[str, Field(min_length=1)] | None = None
    folder: str = Field(default="INBOX", min_length=1)
    done_folder: str | None = None
    parked_folder: str | None = "Vigie-parked"

    @property
    def secrets(self) -> dict[str, str]:
        """Field → the secret it names."""
        named = {name: getattr(self, name) for name in ("secret", "client_secret", "refresh_token")}
        return {name: secret for name, secret in named.items() if secret is not None}

    @model_validator(mode="after")
    def _can_log_in(self) -> Mailbox:
        given = {name for name in _LOGIN_FIELDS if getattr(self, name)}
        way = self.auth.value if self.auth is Auth.PASSWORD else "token_command" if "token_command" in given else "token_url"
        needed, allowed, hint = _WAYS_IN[way]
        missing, odd = sorted(needed - given), sorted(given - needed - allowed)
        if missing:
            raise ValueError(f"auth {self.auth} needs {' and '.join(missing)} — {hint}")
        if odd:
            raise ValueError(f"{' and '.join(odd)} is not for auth {self.auth}{_WITH.get(way, '')} — {hint}")
        return self


# kind → its items; those referred to come before those that refer
KINDS: dict[str, type[Item]] = {
    "customers": Customer, "streams": Stream, "pools": Pool, "ips": Ip, "domains": Domain,
    "providers": Provider, "seeds": Seed, "mailboxes": Mailbox,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Inventory:
    """Items by kind and key. A kind that is not `stated` is left as it is when the inventory is applied."""

    customers: Mapping[str, Customer] = field(default_factory=dict)
    streams: Mapping[str, Stream] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    ips: Mapping[str, Ip] = field(default_factory=dict)
    domains: Mapping[str, Domain] = field(default_factory=dict)
    providers: Mapping[str, Provider] = field(default_factory=dict)
    seeds: Mapping[str, Seed] = field(default_factory=dict)
    mailboxes: Mapping[str, Mailbox] = field(default_factory=dict)
    stated: frozenset[str] = frozenset(KINDS)

    def of(self, kind: str) -> Mapping[str, Item]:
        items: Mapping[str, Item] = getattr(self, kind)
        return items

    def put(self, kind: str, item: Item) -> Inventory:
        """The inventory with this item, in place of one of the same key."""
        if isinstance(item, Ip):
            item = item.owned_through(self.pools)
        items = {**self.of(kind), item.key: item}
        return dataclasses.replace(self, **{kind: items})  # type: ignore[arg-type]  # by kind

    def without(self, kind: str, key: str) -> Inventory:
        left = {name: item for name, item in self.of(kind).items() if name != key}
        return dataclasses.replace(self, **{kind: left})  # type: ignore[arg-type]  # by kind

    def over(self, current: Inventory) -> Inventory:
        """What stands once this is applied to `current`."""
        kept = {kind: current.of(kind) for kind in KINDS if kind not in self.stated}
        return dataclasses.replace(self, **kept, stated=frozenset(KINDS))  # type: ignore[arg-type]  # by kind

    def as_json(self) -> dict[str, list[dict[str, Any]]]:
        return {kind: [item.model_dump(mode="json") for item in self.of(kind).values()] for kind in KINDS}


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {text}" for name, text in value.items()) or "none"
    return "none" if value is None else str(value)
