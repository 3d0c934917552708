"""What we send with: customers and their streams, pools, IPs, domains, seeds, report mailboxes.

An `Inventory` is a plain value; `difference` says what turns one into another; `faults` says what in it does
not fit together. Nothing here reads a file (monitor.inventory_file) or a database (monitor.store.inventory).
The JSON shape of an item is `item.model_dump(mode="json")`: its fields as below, in canonical form.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from collectors.contract import Purpose
from monitor.config.validation import did_you_mean
from monitor.inventory_names import (
    address_name,
    domain_name,
    host_name,
    mail_address,
    own_header,
    reserved_as,
    slug,
)

Slug = Annotated[str, AfterValidator(slug)]
Address = Annotated[str, AfterValidator(address_name)]
DomainName = Annotated[str, AfterValidator(domain_name)]
Host = Annotated[str, AfterValidator(host_name)]
Port = Annotated[int, Field(ge=1, le=65535)]
StreamKind = Literal["transactional", "marketing"]
Tls = Literal["implicit", "starttls", "none"]
HeaderName = Annotated[str, AfterValidator(own_header)]
Pattern = Annotated[str, AfterValidator(str.lower)]
MAX_REMOVED_SHARE = 0.2


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
    kind: StreamKind = "marketing"


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
    role: Slug = "mta"

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
    tls: Tls = "implicit"
    username: str | None = None
    secret: str = Field(min_length=1)


class Mailbox(Item):
    """An IMAP mailbox where mail for us to read arrives; `secret` names an entry of the configuration's secrets."""

    word, key_fields = "mailbox", ("name",)
    name: Slug
    purpose: Purpose = "feedback_loop"
    provider: Slug | None = None
    host: Host
    port: Port = 993
    tls: Tls = "implicit"
    username: str = Field(min_length=1)
    secret: str = Field(min_length=1)
    folder: str = Field(default="INBOX", min_length=1)
    done_folder: str | None = None
    parked_folder: str | None = "Vigie-parked"


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


@dataclass(frozen=True, slots=True)
class Change:
    """`old` None: added; `new` None: removed."""

    kind: str
    key: str
    old: Item | None
    new: Item | None

    @property
    def what(self) -> Literal["added", "changed", "removed"]:
        if self.old is None:
            return "added"
        return "removed" if self.new is None else "changed"

    def __str__(self) -> str:
        if self.old is None or self.new is None:
            return f"- {self.old}" if self.new is None else f"+ {self.new}"
        new = self.new
        fields = [f"{name} {_text(value)} → {_text(getattr(new, name))}"
                  for name, value in self.old if value != getattr(new, name)]
        return f"~ {new.word} {self.key}: {', '.join(fields)}"

    def as_json(self) -> dict[str, Any]:
        old, new = (item and item.model_dump(mode="json") for item in (self.old, self.new))
        return {"change": self.what, "kind": self.kind, "key": self.key, "old": old, "new": new}


@dataclass(frozen=True, slots=True)
class Difference:
    """What turns one inventory into another, in the order of KINDS, then of keys."""

    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def of(self, kind: str, what: str) -> list[Change]:
        return [change for change in self.changes if change.kind == kind and change.what == what]

    def counts(self) -> dict[str, dict[str, int]]:
        """By kind, only of kinds that change: how many are added, changed, removed."""
        found: dict[str, dict[str, int]] = {}
        for change in self.changes:
            counted = found.setdefault(change.kind, {"added": 0, "changed": 0, "removed": 0})
            counted[change.what] += 1
        return found


def difference(current: Inventory, wanted: Inventory) -> Difference:
    """What has to change for `current` to become `wanted`, in the kinds `wanted` states."""
    return Difference(tuple(
        Change(kind, key, old, new)
        for kind in KINDS if kind in wanted.stated
        for key in sorted(current.of(kind).keys() | wanted.of(kind).keys())
        if (old := current.of(kind).get(key)) != (new := wanted.of(kind).get(key))
    ))


class InventoryError(ValueError):
    """Why an inventory may not be applied, a line per reason."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = tuple(reasons)


def planned(current: Inventory, wanted: Inventory, *, remove: bool = False) -> Difference:
    """The difference that may be applied.

    Raises InventoryError where the result would not fit together, or where so much would go (without
    `remove`) that the wanted inventory looks cut short.
    """
    change = difference(current, wanted)
    reasons = [str(fault) for fault in faults(wanted.over(current))]
    if not reasons and not remove and (reason := _removes_too_much(current, change)):
        reasons = [reason]
    if reasons:
        raise InventoryError(reasons)
    return change


def _removes_too_much(current: Inventory, change: Difference) -> str | None:
    for kind in ("customers", "ips", "domains"):
        removed, had = len(change.of(kind, "removed")), len(current.of(kind))
        if removed > MAX_REMOVED_SHARE * had:
            much = f"{removed} of {had} {kind} would be removed, more than {MAX_REMOVED_SHARE:.0%}"
            return f"{much} — if the file is whole, ask to remove"
    return None


@dataclass(frozen=True, slots=True)
class Fault:
    """An item that does not fit the others: what is wrong with which field of it."""

    kind: str
    key: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{KINDS[self.kind].word} {self.key}: {self.field}: {self.message}"


# kind, field → the kind it refers to
_REFERENCES = (
    ("streams", "customer", "customers"),
    ("pools", "customer", "customers"),
    ("ips", "customer", "customers"),
    ("ips", "pool", "pools"),
    ("domains", "customer", "customers"),
)


def faults(inventory: Inventory) -> Iterator[Fault]:
    """Every item that refers to what is not there; kinds that are not stated are not judged."""
    for kind, name, target in _REFERENCES:
        known = inventory.of(target)
        for key, item in inventory.of(kind).items():
            referred = getattr(item, name)
            if target in inventory.stated and referred is not None and referred not in known:
                message = f"no {KINDS[target].word} '{referred}' — {did_you_mean(referred, known)}"
                yield Fault(kind, key, name, message)
    yield from _header_faults(inventory)
    for domain in inventory.domains.values():
        yield from _stream_faults(inventory, domain)
    for ip in inventory.ips.values():
        pool = inventory.pools.get(ip.pool or "")
        if pool is not None and pool.customer not in {None, ip.customer}:
            message = f"its pool {pool.name} is customer {pool.customer}'s"
            yield Fault("ips", ip.key, "customer", f"{message} — name that customer, or another pool")


def _header_faults(inventory: Inventory) -> Iterator[Fault]:
    first: dict[tuple[str, str], str] = {}
    for key, customer in inventory.customers.items():
        for said in customer.id_headers.items():
            other = first.setdefault(said, key)
            if other != key:
                text = f"{said[0]}: {said[1]} is customer {other}'s too — it must tell them apart"
                yield Fault("customers", key, "id_headers", text)


def _stream_faults(inventory: Inventory, domain: Domain) -> Iterator[Fault]:
    if domain.stream is None:
        return
    if domain.customer is None:
        yield Fault("domains", domain.key, "stream", "a stream is one customer's — name the customer too")
    elif "streams" in inventory.stated and f"{domain.customer}/{domain.stream}" not in inventory.streams:
        known = [stream.name for stream in inventory.streams.values() if stream.customer == domain.customer]
        message = f"customer {domain.customer} has no stream '{domain.stream}'"
        yield Fault("domains", domain.key, "stream", f"{message} — {did_you_mean(domain.stream, known)}")


def notes(inventory: Inventory) -> list[str]:
    """What is allowed and yet worth a second look."""
    seen: dict[str, list[str]] = {}
    for address in inventory.ips:
        reason = reserved_as(address)
        if reason is not None:
            seen.setdefault(reason, []).append(address)
    return [f"{len(found)} of {len(inventory.ips)} IPs are {reason} addresses (first {found[0]}):"
            " no mailbox provider or DNSBL sees them" for reason, found in seen.items()]


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {said}" for name, said in value.items()) or "none"
    return "none" if value is None else str(value)
