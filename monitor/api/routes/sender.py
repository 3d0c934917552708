"""What the sender module asks: the compact filter of a customer's suppressions, its key, and `check`.

Addresses are turned into references here and kept nowhere; they come in the body, for an address in a query
would stand in the logs of proxies.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from fastapi import Header, Query, Response
from pydantic import Field

from monitor.api.given import Body, Gates, Given, MaybeNamed
from monitor.api.problem import Problem, refusals
from monitor.api.route import new_router
from monitor.inventory.rows import streams_of_customers
from monitor.sender.recipient import key_name
from monitor.sender.suppressions import FALSE_POSITIVE_RATE, RATES, build_filter
from monitor.suppressions import rows as suppression_rows
from monitor.suppressions.lines import MOST_AT_ONCE, Named, read_address, read_ref
from monitor.suppressions.wire import Checked, Forbidden, SenderKey

router = new_router("sender")


_Recipient = Annotated[str, Field(max_length=1000)]  # read in `check`, beside the event loop


class Check(Body):
    """Recipients to ask about, as addresses or as refs. Without a stream only what holds for all counts."""

    customer: Named | None = None
    stream: Named | None = None
    addresses: list[_Recipient] = Field(default_factory=list, max_length=MOST_AT_ONCE)
    refs: list[_Recipient] = Field(default_factory=list, max_length=MOST_AT_ONCE)


@router.get("/v1/suppressions/filter")
def compact(
    services: Given,
    caller: Gates,
    *,
    customer: MaybeNamed = None,
    false_positive_rate: Annotated[float, Query(ge=RATES[0], le=RATES[1])] = FALSE_POSITIVE_RATE,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The compact filter for the sender module (monitor.sender.suppressions), with an ETag for the next time."""
    store = services.store
    with store.reading_session() as session:
        customer = _known(streams_of_customers(session), services.own(caller, {"customer": customer}))
        key = store.customer_key(customer)
        state = (*suppression_rows.version(session, customer), f"{false_positive_rate:g}", key_name(key).hex())
        etag = f'"{"-".join(map(str, state))}"'
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if if_none_match and (if_none_match.strip() == "*" or etag in if_none_match):
            return Response(status_code=304, headers=headers)
        refs = suppression_rows.refs_in_force(session, customer)
    data = build_filter(map(bytes.fromhex, refs), key, false_positive_rate)
    return Response(data, 200, headers, "application/octet-stream")


@router.get("/v1/suppressions/key")
def sender_key(
    services: Given, response: Response, caller: Gates, *, customer: MaybeNamed = None
) -> SenderKey:
    """The key of one customer's sender. Who holds it can try addresses against this customer's lists."""
    store = services.store
    with store.reading_session() as session:
        customer = _known(streams_of_customers(session), services.own(caller, {"customer": customer}))
    response.headers["Cache-Control"] = "no-store"
    key = store.customer_key(customer)
    return SenderKey(customer=customer, key=key.hex(), name=key_name(key).hex())


@router.post("/v1/suppressions/check")
def check(services: Given, caller: Gates, wanted: Check) -> Checked:
    """Which of up to 10,000 recipients must not be mailed."""
    store = services.store
    with store.reading_session() as session:
        customer = _known(streams_of_customers(session), services.own(caller, {"customer": wanted.customer}))
        with refusals():
            refs = {each: store.recipient_ref(customer, each) for each in map(read_address, wanted.addresses)}
            refs |= {each: each for each in map(read_ref, wanted.refs)}
        forbidden = suppression_rows.forbidden(session, customer, refs.values(), wanted.stream)
    return Checked(suppressed=[
        Forbidden(recipient=each, ref=ref, reasons=sorted({row.reason for row in forbidden[ref]}))
        for each, ref in refs.items() if ref in forbidden
    ])


def _known(customers: Collection[str], customer: str | None) -> str:
    if customer is None:
        raise Problem(422, "name a customer")
    if customer not in customers:
        raise Problem(404, f"no customer {customer}")
    return customer
