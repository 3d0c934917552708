"""What routes are given: the services, the caller by the scope it needs, the page of a list, names and reasons.

A route names what it needs by these types; nothing else reaches into the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from monitor.access.bound import ForeignError
from monitor.access.keys import Caller, KeyScope
from monitor.api.access import Guard
from monitor.api.services import Services
from monitor.database.paging import LONGEST_PLACE, MOST, USUAL, Page, Paged
from monitor.facts import Answer, Question
from monitor.wire import Wire

NO_NUL = r"^[^\x00]*$"  # PostgreSQL keeps none
LARGEST_ID = 2**63 - 1
LARGEST_RATE = 2**31 - 1

Shown = TypeVar("Shown", bound=BaseModel)
AnyWire = TypeVar("AnyWire", bound=Wire)


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Given = Annotated[Services, Depends(_services)]

Gates = Annotated[Caller, Depends(Guard(KeyScope.GATE))]
Brings = Annotated[Caller, Depends(Guard(KeyScope.EVENTS))]
Reads = Annotated[Caller, Depends(Guard(KeyScope.READ))]
Operates = Annotated[Caller, Depends(Guard(KeyScope.OPERATE))]
Administers = Annotated[Caller, Depends(Guard(KeyScope.ADMIN))]



def remembered_as(services: Services, caller: Caller, idempotency_key: str) -> str:
    """What a call is remembered by: of this caller alone. Senders make such keys of Message-IDs: no address stays in clear."""
    recipients = services.store.recipients
    return f"{caller.key_id}/{recipients.redacted(recipients.redacted_id(idempotency_key))}"


# in a query
Named = Annotated[str, Query(min_length=1, max_length=255, pattern=NO_NUL)]
MaybeNamed = Annotated[str | None, Query(min_length=1, max_length=255, pattern=NO_NUL)]
Why = Annotated[str, Query(alias="reason", min_length=1, max_length=1000, pattern=NO_NUL)]

# in a body
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=NO_NUL)]
Text = Annotated[str, Field(max_length=1000, pattern=NO_NUL)]


class Body(BaseModel):
    """A JSON body: nothing unknown in it, and no value of it repeated in an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Reasoned(Body):
    """A change, and why."""

    reason: str = Field(min_length=1, max_length=1000, pattern=NO_NUL)


class Paging:
    """The page a list is asked for. The page after it is named in the header `Link` with `rel="next"` (RFC 8288)."""

    def __init__(
        self,
        request: Request,
        response: Response,
        limit: Annotated[int, Query(ge=1, le=MOST)] = USUAL,
        after: Annotated[str | None, Query(
            max_length=LONGEST_PLACE, pattern=NO_NUL, description='from the header Link, rel="next", of the page before'
        )] = None,
    ) -> None:
        self.page = Page(limit, after)
        self._request, self._response = request, response

    def shown(self, page: Paged[Any], wire: type[AnyWire]) -> list[AnyWire]:
        """The rows of a page as they are printed; says where the next one is."""
        self.linked(page)
        return wire.from_rows(page.rows)

    def linked(self, page: Paged[Shown]) -> list[Shown]:
        """The same of what is printed as it is."""
        if page.next is not None:
            given = [pair for pair in self._request.query_params.multi_items() if pair[0] != "after"]
            query = urlencode([*given, ("after", page.next)])
            self._response.headers["Link"] = f'<{self._request.url.path}?{query}>; rel="next"'
        return page.rows


Listed = Annotated[Paging, Depends(Paging)]


class Looking:
    """Asks what a person wants to see. `Vigie-As-Of` in the answer: it is a replica's, and holds as of then."""

    def __init__(self, request: Request, response: Response, services: Given) -> None:
        self._request, self._response, self._services = request, response, services
        self.as_of: datetime | None = None

    def __call__(self, question: Question[Answer]) -> Answer:
        caller: Caller | None = getattr(self._request.state, "caller", None)
        looked = self._services.store.look(question, caller.key_id if caller else None)
        self.as_of = looked.as_of
        if looked.as_of is not None:
            self._response.headers["Vigie-As-Of"] = looked.as_of.isoformat(timespec="milliseconds")
        return looked.answer


Look = Annotated[Looking, Depends(Looking)]


def only_own(services: Services, caller: Caller, about: Mapping[str, str]) -> None:
    """Raise for a key bound to a customer unless that customer is named, and nothing of another's."""
    services.own(caller, about)
    if caller.customer is not None and "customer" not in about:
        raise ForeignError(f"customer: this key is bound to {caller.customer}; name it")
