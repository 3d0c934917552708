"""The inventory over HTTP: one item at a time, or the whole file at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Body, Depends, Response
from pydantic import ValidationError

from collectors.dimensions import DIMENSIONS, Form
from monitor.access.keys import Caller
from monitor.api.body import received
from monitor.api.given import Administers, Given, Listed, Look, Reads
from monitor.api.problem import Problem, places, refusals
from monitor.api.route import new_router, problems
from monitor.api.services import Services
from monitor.config.yaml_file import ConfigErrors
from monitor.database.paging import part
from monitor.inventory.difference import Change, Difference, planned
from monitor.inventory.file import load_inventory
from monitor.inventory.items import KINDS, Inventory, Item, Mailbox
from monitor.inventory.names import canonical
from monitor.inventory.rows import apply_difference, read_inventory
from monitor.inventory.wire import AnyItem, Applied

router = new_router("inventory")
Kind = Literal["customers", "streams", "ips", "pools", "domains", "seeds", "providers", "mailboxes"]
# kind → the dimension whose form its keys have; the ids of the others are as they are written
_KEYS = {row.owner: row.name for row in DIMENSIONS if row.form in {Form.ADDRESS, Form.DOMAIN}}
_OWNER = {"customers": "id"}  # the field that says whose an item is; `customer` elsewhere


@router.get("/v1/inventory/{kind}")
def items(look: Look, caller: Reads, listed: Listed, kind: Kind) -> list[AnyItem]:
    """All items of a kind, by key. A key bound to a customer sees that customer's."""
    stored: Iterable[Any] = look(read_inventory).of(kind).values()
    with refusals():
        visible = (each for each in stored if _visible(kind, each, caller))
        return listed.linked(part(visible, lambda each: (each.key,), listed.page))


@router.get("/v1/inventory/{kind}/{key:path}")
def item(look: Look, caller: Reads, kind: Kind, key: str) -> AnyItem:
    """One item."""
    stored: Any = look(read_inventory).of(kind).get(_canonical_key(kind, key))
    if stored is None or not _visible(kind, stored, caller):
        raise Problem(404, f"no {KINDS[kind].word} {key}")
    shown: AnyItem = stored
    return shown


@router.put("/v1/inventory/{kind}/{key:path}")
def put(
    services: Given, caller: Administers, kind: Kind, key: str, fields: Annotated[dict[str, Any], Body()]
) -> AnyItem:
    """Add or replace one item. Its key stands in the address and need not be repeated in the body."""
    del caller
    names = KINDS[kind].key_fields
    named = dict(zip(names, key.split("/", len(names) - 1), strict=False))
    try:
        wanted: Any = KINDS[kind].model_validate(named | fields)
    except ValidationError as error:
        raise Problem(422, f"this is no {KINDS[kind].word}", errors=places(error.errors())) from None
    if wanted.key != _canonical_key(kind, key):
        raise Problem(422, f"the body names {wanted.key}, the address {key}")
    with services.store.session() as session:
        current = read_inventory(session)
        whole = current.put(kind, wanted)
        apply_difference(session, _planned(current, whole, 422))
    _follow(services)
    shown: Any = whole.of(kind)[wanted.key]
    stored: AnyItem = shown
    return stored


@router.delete("/v1/inventory/{kind}/{key:path}", status_code=204, responses=problems(409))
def delete(services: Given, caller: Administers, kind: Kind, key: str) -> Response:
    """Remove one item; refused while others refer to it. Facts about it stay."""
    del caller
    key = _canonical_key(kind, key)
    with services.store.session() as session:
        current = read_inventory(session)
        if key not in current.of(kind):
            raise Problem(404, f"no {KINDS[kind].word} {key}")
        apply_difference(session, _planned(current, current.without(kind, key), 409))
    _follow(services)
    return Response(status_code=204)


@router.post("/v1/inventory/apply")
def apply(
    services: Given,
    caller: Administers,
    body: Annotated[bytes, Depends(received)],
    *,
    dry_run: bool = False,
    remove: bool = False,
) -> Applied:
    """Make the inventory what this file says (YAML or JSON as `vigie apply` takes it). Sections left out stay.

    A file that removes much of what is there is refused unless `remove`: it may have been cut short.
    """
    del caller
    wanted = _read(body)
    with services.store.session() as session:
        change = _planned(read_inventory(session), wanted, 422, remove=remove)
        if not dry_run:
            apply_difference(session, change)
    _follow(services)
    return Applied.shown(change, dry_run=dry_run)


def _read(body: bytes) -> Inventory:
    with tempfile.TemporaryDirectory() as directory:  # the reader of files names the line of every mistake
        path = Path(directory, "inventory")
        path.write_bytes(body)
        try:
            return load_inventory(path)
        except ConfigErrors as error:
            errors = [{"at": f"line {each.line}", "error": each.message} for each in error.errors[:50]]
            raise Problem(422, "the inventory is not as it should be", errors=errors) from None


def _planned(current: Inventory, wanted: Inventory, refused: int, *, remove: bool = True) -> Difference:
    try:
        change = planned(current, wanted, remove=remove)
    except ValueError as error:
        errors = [{"error": reason} for reason in str(error).splitlines()[:50]]
        raise Problem(refused, "the inventory would not fit together", errors=errors) from None
    for each in change.changes:
        _names_no_program(each)
    return change


def _names_no_program(change: Change) -> None:
    """A key for this API must not become a way to run programs on this machine."""
    new, old = change.new, change.old
    command = new.token_command if isinstance(new, Mailbox) else ()
    if command and (not isinstance(old, Mailbox) or old.token_command != command):
        raise Problem(422, f"{change.kind} {change.key}: a token_command is set on the machine itself, with `vigie apply`")


def _stored(services: Services) -> Inventory:
    with services.store.reading_session() as session:
        return read_inventory(session)


def _follow(services: Services) -> None:
    services.gate.refresh(services.store, services.now(), everything=True)


def _visible(kind: str, item: Item, caller: Caller) -> bool:
    return caller.customer is None or getattr(item, _OWNER.get(kind, "customer"), None) == caller.customer


def _canonical_key(kind: str, key: str) -> str:
    try:
        return canonical(_KEYS.get(kind, ""), key)
    except ValueError as error:
        raise Problem(422, str(error)) from None
