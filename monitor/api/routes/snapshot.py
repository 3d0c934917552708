"""`GET /v1/gate/snapshot`: what a sender needs to decide by itself while Vigie cannot be asked."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import orjson
from fastapi import Header, Response

from monitor.api.given import Gates, Given
from monitor.api.route import new_router
from monitor.restrictions.follow import GateIndex

router = new_router("gate")


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
    body = orjson.dumps(_content(services.gate, caller.customer), option=orjson.OPT_UTC_Z)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if if_none_match and (if_none_match.strip() == "*" or etag in if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, "application/json")


def _content(gate: GateIndex, customer: str | None) -> dict[str, Any]:
    """Of a customer only what can apply to it: nothing that names another customer, or its IPs, pools and domains."""
    index, owners = gate.index, gate.owners
    return {
        "version": index.version,
        "restrictions": [
            held for held in index.restrictions if customer is None or owners.foreign_to(customer, held.scope) is None
        ],
        "pools": {
            ip: pool
            for ip, pool in index.pools.items()
            if customer is None or owners.foreign_to(customer, {"ip": ip, "pool": pool}) is None
        },
        "streams": [
            {"customer": owner, "name": name, "kind": kind}
            for (owner, name), kind in sorted(index.kinds.items())
            if customer in {None, owner}
        ],
        "providers": {"domains": dict(index.providers.domains), "names": dict(index.providers.names)},
    }
