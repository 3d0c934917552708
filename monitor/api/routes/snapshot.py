"""`GET /v1/gate/snapshot`: what a sender needs to decide by itself while Vigie cannot be asked."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Response

from monitor.api.given import Gates, Given
from monitor.gate import Index

router = APIRouter(tags=["gate"])


@router.get("/v1/gate/snapshot")
def snapshot(
    services: Given,
    caller: Gates,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Every restriction in force, the pool of each IP, the kind of each stream and the domains of providers.

    Ask again with the ETag as If-None-Match: 304 while nothing changed. A key bound to a customer gets what
    can hold that customer back.
    """
    body = orjson.dumps(_content(services.gate.index, caller.customer), option=orjson.OPT_UTC_Z)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if if_none_match and (if_none_match.strip() == "*" or etag in if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, "application/json")


def _content(index: Index, customer: str | None) -> dict[str, Any]:
    return {
        "version": index.version,
        "restrictions": [
            held for held in index.restrictions if customer is None or held.scope.get("customer", customer) == customer
        ],
        "pools": dict(index.pools),
        "streams": [
            {"customer": owner, "name": name, "kind": kind}
            for (owner, name), kind in sorted(index.kinds.items())
            if customer in {None, owner}
        ],
        "providers": {"domains": dict(index.providers.domains), "names": dict(index.providers.names)},
    }
