"""How many posts of facts are taken in at once: whoever comes beyond that is asked to come again, and keeps what it has.

A post holds its body in memory until it is committed. A queue without an end would take the memory of those already in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import Depends

from monitor.api.given import Given
from monitor.api.problem import Problem

RETRY_AFTER_SECONDS = 2


async def _admitted(services: Given) -> AsyncIterator[None]:
    place = services.posts
    if place.taken >= place.most:
        raise Problem(503, f"{place.most} posts are being taken in, and no more at once", headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    place.taken += 1
    try:
        yield
    finally:
        place.taken -= 1


ADMITTED = Depends(_admitted)
