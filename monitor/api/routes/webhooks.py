"""`POST /v1/events/RELAY/SOURCE`: what relays post of mail sent through them. No key of ours: each relay's own proof is checked.

An event that cannot be read is parked and the rest counts; a post that is not proven, or is none of this relay's, is refused.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Annotated

import httpx
from fastapi import Depends, Path, Request

from collectors.delivery.outcomes import Event
from collectors.delivery.webhooks import RELAYS
from collectors.delivery.webhooks.proof import NotProvenError, Post
from collectors.delivery.webhooks.relay import Relay, lines_in
from collectors.observation import Subject
from monitor.api.body import received, unpacked_rows
from monitor.api.given import Given
from monitor.api.pressure import ADMITTED
from monitor.api.problem import Problem
from monitor.api.route import new_router
from monitor.api.services import Hook, Services
from monitor.facts.too_old import too_old
from monitor.intake.records import PREFIX, Attribution, take_records
from monitor.intake.wire import CountedRecords
from monitor.wire import RefusedLine

log = logging.getLogger(__name__)
_MOST_NAMED = 100
router = new_router("events")
Source = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]


def _route(relay: Relay) -> None:
    async def known(services: Given, source: Source) -> None:
        """A stranger who does not know a name is answered before a byte of the body has come."""
        hook = services.webhooks.get(source)
        if hook is None or hook.relay != relay.name:
            raise Problem(404, f"no webhook of {relay.name} has this name: configure it under `webhooks:`")

    def webhook(request: Request, services: Given, source: Source, body: Annotated[bytes, Depends(received)]) -> CountedRecords:
        hook = services.webhooks[source]
        headers = {name.lower(): value for name, value in request.headers.items()}
        plain = unpacked_rows(body, headers.get("content-encoding", "").strip().lower())
        post = Post(plain, services.now(), headers, hook.secret, hook.topics, partial(_certificate, hook.get), _url(services, request))
        _prove(relay, post, hook)
        return _taken(relay, services, hook, source, post)

    router.post(
        f"/v1/events/{relay.name}/{{source}}", name=f"{relay.name}_webhook", description=f"Take what {relay.name} posts of mail sent through it.",
        response_model_exclude_unset=True, dependencies=[Depends(known), ADMITTED],
    )(webhook)  # fmt: skip


for _relay in RELAYS.values():
    _route(_relay)


def _url(services: Services, request: Request) -> str:
    """The address as the relay knows it: behind a balancer, `public_url`'s."""
    public = services.settings.public_url
    return f"{str(public).rstrip('/')}{request.url.path}" if public else str(request.url)


@lru_cache(maxsize=32)  # a relay signs with the same one for months, under an address of its own
def _certificate(get: Callable[[str], bytes], url: str) -> bytes:
    return get(url)


def _prove(relay: Relay, post: Post, hook: Hook) -> None:
    try:
        relay.proof(post)
        if (url := relay.confirm(post)) is not None:
            hook.get(url)
            log.info("a subscription of %s is confirmed", relay.name)
    except NotProvenError as error:
        if error.challenge:
            raise Problem(401, error.text, headers={"WWW-Authenticate": 'Basic realm="vigie"'}) from None
        raise Problem(403, error.text) from None
    except httpx.HTTPError as error:
        raise Problem(503, f"an address of {relay.name} does not answer: {type(error).__name__}", headers={"Retry-After": "30"}) from None


def _taken(relay: Relay, services: Services, hook: Hook, source: str, post: Post) -> CountedRecords:
    named = PREFIX + relay.name
    try:
        lines = lines_in(relay, post, named)
    except ValueError as error:
        raise Problem(400, str(error)) from None
    attribution = Attribution(services.records, services.gate.names, services.gate.owners)

    def whose(event: Event, provider: str | None) -> Subject:
        about = attribution(event, provider)
        return about._replace(customer=hook.customer) if hook.customer is not None else about

    counted, taken = take_records(
        services.take, lines, source=named, key=secrets.token_hex(16), now=services.now(), providers=services.gate.providers, whose=whose,
        brought_by=f"webhook {source}",
    )  # fmt: skip
    warnings = [*too_old(taken.batch), *dict.fromkeys(taken.refused.values())]
    return CountedRecords(
        **counted.as_counts(),
        errors=[RefusedLine(line=line, error=reason) for line, reason in counted.unreadable[:_MOST_NAMED]],
        duplicate=not taken.new,
        **({"warnings": warnings} if warnings else {}),
    )
