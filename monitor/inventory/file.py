"""The inventory as a person writes it: YAML files → one `Inventory`, or every mistake with its line.

Streams stand with their customer; an IP may be a network or a range, an IP or domain a bare text. A section
that is left out says nothing (what is stored stays); an empty list says there are none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from monitor.config.load import Config
from monitor.config.validation import did_you_mean, validate
from monitor.config.yaml_file import ConfigError, ConfigErrors, Keys, Section, read_section
from monitor.gate import StreamKind
from monitor.inventory.faults import Fault, faults
from monitor.inventory.items import (
    Customer,
    Domain,
    Inventory,
    Ip,
    Item,
    Mailbox,
    Pool,
    Provider,
    Seed,
    Slug,
    Stream,
)
from monitor.inventory.names import address_range, addresses
from monitor.inventory.providers import provider_table


def _named(field: str) -> BeforeValidator:
    return BeforeValidator(lambda value: {field: value} if isinstance(value, str) else value)


class _StreamEntry(Item):
    """A stream without its customer, with whom it stands."""

    name: Slug
    kind: StreamKind = StreamKind.MARKETING


class _CustomerEntry(Customer):
    streams: tuple[Annotated[_StreamEntry, _named("name")], ...] = ()


class _IpEntry(Ip):
    address: Annotated[str, AfterValidator(address_range)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    customers: tuple[_CustomerEntry, ...] | None = None
    pools: tuple[Annotated[Pool, _named("name")], ...] | None = None
    ips: tuple[Annotated[_IpEntry, _named("address")], ...] | None = None
    domains: tuple[Annotated[Domain, _named("domain")], ...] | None = None
    providers: tuple[Provider, ...] | None = None
    seeds: tuple[Seed, ...] | None = None
    mailboxes: tuple[Mailbox, ...] | None = None


def load_inventory(*paths: Path, secrets: Collection[str] | None = None) -> Inventory:
    """The inventory in one or more files; raises ConfigErrors with all that is wrong.

    With `secrets`, the names the configuration knows, an item that names another is a mistake too.
    """
    gathered = _Gathered()
    for path in paths:
        try:
            gathered.read(read_section(path))
        except ConfigErrors as error:
            gathered.problems += error.errors
    if not gathered.problems:  # an item that could not be read would be missed by all that refer to it
        inventory = gathered.inventory()
        mistakes = (*faults(inventory), *_unknown_providers(inventory), *_unknown_secrets(inventory, secrets))
        gathered.problems += _each_once(map(gathered.located, mistakes))
    if gathered.problems:
        raise ConfigErrors(gathered.problems)
    return inventory


def configured_inventory(config: Config) -> Inventory:
    """The inventory a configuration names; a file that cannot be read is a mistake of the line that names it."""
    try:
        return load_inventory(*config.inventory, secrets=config.secrets)
    except ConfigErrors as errors:
        raise ConfigErrors(_named_by(config, error) for error in errors.errors) from None


def _named_by(config: Config, error: ConfigError) -> ConfigError:
    place = next((place for place, path in enumerate(config.inventory) if str(path) == error.file), None)
    if error.line is not None or place is None:
        return error
    written = config.source.data["inventory"]
    return config.source.error(("inventory", place) if isinstance(written, list) else ("inventory",),
                               f"the file {error.file} {error.message}")


def _each_once(problems: Iterable[ConfigError]) -> list[ConfigError]:
    """A range is one line for a person, however many addresses it holds."""
    return list({(each.file, each.line, each.message): each for each in problems}.values())


def _unknown_providers(inventory: Inventory) -> Iterator[Fault]:
    """Readings go by a provider's id: under another name they would stand apart."""
    table = provider_table(inventory.providers.values())
    known = table.rows.keys() | inventory.providers.keys()
    for kind, items in (("seeds", inventory.seeds), ("mailboxes", inventory.mailboxes)):
        for key, item in items.items():
            if item.provider is not None and item.provider not in known:
                same = table.named(item.provider)
                other = f"{did_you_mean(item.provider, known)} Or add it to providers"
                hint = f"write '{same}'" if same else other
                yield Fault(kind, key, "provider", f"no provider '{item.provider}' — {hint}")


def _unknown_secrets(inventory: Inventory, secrets: Collection[str] | None) -> Iterator[Fault]:
    for kind, items in (("seeds", inventory.seeds), ("mailboxes", inventory.mailboxes)):
        for key, item in items.items():
            for field, secret in item.secrets.items():
                if secrets is not None and secret not in secrets:
                    message = f"the configuration has no secret '{secret}'"
                    yield Fault(kind, key, field, f"{message} — {did_you_mean(secret, secrets)}")


class _Gathered:
    """Items of all files by kind and key, each with the place where it is written."""

    def __init__(self) -> None:
        self.problems: list[ConfigError] = []
        self._items: dict[str, dict[str, Any]] = {}
        self._places: dict[tuple[str, str], tuple[Section, Keys]] = {}

    def read(self, section: Section) -> None:
        if not isinstance(section.data, dict):
            known = ", ".join(_File.model_fields)
            self.problems.append(section.error((), f"must be a mapping of sections — known: {known}"))
            return
        file = validate(section, _File, self.problems)
        for kind, entries in file or ():
            if entries is not None:
                self._items.setdefault(kind, {})
                for i, entry in enumerate(entries):
                    self._add(kind, entry, section, (kind, i))

    def _add(self, kind: str, entry: Item, section: Section, path: Keys) -> None:
        if isinstance(entry, _CustomerEntry):
            self._place(kind, Customer(id=entry.id, name=entry.name, id_headers=entry.id_headers), section, path)
            self._items.setdefault("streams", {})
            for i, stream in enumerate(entry.streams):
                whole = Stream(customer=entry.id, name=stream.name, kind=stream.kind)
                self._place("streams", whole, section, (*path, "streams", i))
        elif isinstance(entry, _IpEntry):
            fields = dict(entry)
            for address in addresses(entry.address):
                ip = Ip.model_construct(**fields | {"address": address})
                if not self._place(kind, ip, section, path):
                    break  # one mistake per range
        else:
            self._place(kind, entry, section, path)

    def _place(self, kind: str, item: Item, section: Section, path: Keys) -> bool:
        first = self._places.setdefault((kind, item.key), (section, path))
        if first != (section, path):
            where = f"{first[0].file}:{first[0].line_of(first[1])}"
            message = f"{item.word} {item.key} stands in {where} too — keep one"
            self.problems.append(section.error(path, message))
            return False
        self._items[kind][item.key] = item
        return True

    def inventory(self) -> Inventory:
        inventory = Inventory(**self._items, stated=frozenset(self._items))
        owned = {key: ip.owned_through(inventory.pools) for key, ip in inventory.ips.items()}
        return dataclasses.replace(inventory, ips=owned)

    def located(self, fault: Fault) -> ConfigError:
        section, path = self._places[fault.kind, fault.key]
        return section.error((*path, fault.field), fault.message)
