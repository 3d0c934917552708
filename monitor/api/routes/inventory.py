"""The inventory over HTTP: one item at a time, or the whole file at once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import BaseModel, ValidationError

from monitor.access.keys import Caller
from monitor.api.access import require
from monitor.api.body import received
from monitor.api.problem import Problem
from monitor.api.services import Services
from monitor.config.yaml_file import ConfigErrors
from monitor.gate import canonical
from monitor.inventory.difference import Difference, planned
from monitor.inventory.file import load_inventory
from monitor.inventory.items import KINDS, Inventory, Item
from monitor.inventory.rows import apply_difference, read_inventory

router = APIRouter(tags=["inventory"])
Reads = Annotated[Caller, Depends(require("read"))]
Administers = Annotated[Caller, Depends(require("admin"))]
Kind = Literal["customers", "streams", "ips", "pools", "domains", "seeds", "providers", "mailboxes"]
_OWNER = {"customers": "id"}  # the field that says whose an item is; `customer` elsewhere


class Applied(BaseModel):
    """What changes, or would change in a dry run."""

    dry_run: bool
    changes: list[dict[str, Any]]
    counts: dict[str, dict[str, int]]


@router.get("/v1/inventory/{kind}")
def items(request: Request, kind: Kind, caller: Reads) -> list[dict[str, Any]]:
    """All items of a kind, by key. A key bound to a customer sees that customer's."""
    found = _stored(request).of(kind)
    return [found[key].model_dump(mode="json") for key in sorted(found) if _visible(kind, found[key], caller)]


@router.get("/v1/inventory/{kind}/{key:path}")
def item(request: Request, kind: Kind, key: str, caller: Reads) -> dict[str, Any]:
    """One item."""
    found = _stored(request).of(kind).get(_canonical_key(kind, key))
    if found is None or not _visible(kind, found, caller):
        raise Problem(404, f"no {KINDS[kind].word} {key}")
    return found.model_dump(mode="json")


@router.put("/v1/inventory/{kind}/{key:path}")
def put(
    request: Request, kind: Kind, key: str, caller: Administers, fields: Annotated[dict[str, Any], Body()]
) -> dict[str, Any]:
    """Add or replace one item. Its key stands in the address and need not be repeated in the body."""
    del caller
    names = KINDS[kind].key_fields
    said = dict(zip(names, key.split("/", len(names) - 1), strict=False))
    try:
        wanted = KINDS[kind].model_validate(said | fields)
    except ValidationError as error:
        errors = [{"at": ".".join(map(str, one["loc"])), "error": one["msg"]} for one in error.errors()]
        raise Problem(422, f"this is no {KINDS[kind].word}", errors=errors) from None
    if wanted.key != _canonical_key(kind, key):
        raise Problem(422, f"the body names {wanted.key}, the address {key}")
    with _services(request).store.session() as session:
        current = read_inventory(session)
        whole = current.put(kind, wanted)
        apply_difference(session, _planned(current, whole, 422))
    _follow(request)
    return whole.of(kind)[wanted.key].model_dump(mode="json")


@router.delete("/v1/inventory/{kind}/{key:path}", status_code=204)
def delete(request: Request, kind: Kind, key: str, caller: Administers) -> Response:
    """Remove one item; refused while others refer to it. Facts about it stay."""
    del caller
    key = _canonical_key(kind, key)
    with _services(request).store.session() as session:
        current = read_inventory(session)
        if key not in current.of(kind):
            raise Problem(404, f"no {KINDS[kind].word} {key}")
        apply_difference(session, _planned(current, current.without(kind, key), 409))
    _follow(request)
    return Response(status_code=204)


@router.post("/v1/inventory/apply")
def apply(
    request: Request,
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
    with _services(request).store.session() as session:
        change = _planned(read_inventory(session), wanted, 422, remove=remove)
        if not dry_run:
            apply_difference(session, change)
    _follow(request)
    return Applied(dry_run=dry_run, changes=[one.as_json() for one in change.changes], counts=change.counts())


def _read(body: bytes) -> Inventory:
    with tempfile.TemporaryDirectory() as directory:  # the reader of files tells the line of every mistake
        path = Path(directory, "inventory")
        path.write_bytes(body)
        try:
            return load_inventory(path)
        except ConfigErrors as error:
            errors = [{"at": f"line {one.line}", "error": one.message} for one in error.errors[:50]]
            raise Problem(422, "the inventory is not as it should be", errors=errors) from None


def _planned(current: Inventory, wanted: Inventory, refused: int, *, remove: bool = True) -> Difference:
    try:
        return planned(current, wanted, remove=remove)
    except ValueError as error:
        errors = [{"error": reason} for reason in str(error).splitlines()[:50]]
        raise Problem(refused, "the inventory would not fit together", errors=errors) from None


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _stored(request: Request) -> Inventory:
    with _services(request).store.reading_session() as session:
        return read_inventory(session)


def _follow(request: Request) -> None:
    services = _services(request)
    services.gate.refresh(services.store, services.now(), everything=True)


def _visible(kind: str, found: Item, caller: Caller) -> bool:
    return caller.customer is None or getattr(found, _OWNER.get(kind, "customer"), None) == caller.customer


def _canonical_key(kind: str, key: str) -> str:
    try:
        return canonical({"ips": "ip", "domains": "domain"}.get(kind, ""), key)
    except ValueError as error:
        raise Problem(422, str(error)) from None
