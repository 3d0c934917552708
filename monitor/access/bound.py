"""What a key bound to one customer may name: the one check, for every dimension of every call, reading or writing.

The customer must be its own; an IP, pool or domain must not be another customer's. What is shared, or not in the
inventory, is nobody's and may be named. Streams and campaigns are named together with their customer.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.access.keys import Caller
from monitor.inventory.known import KnownNames
from monitor.inventory.owners import Owners


class ForeignError(ValueError):
    """A key bound to one customer named what is another's."""


def shared(caller: Caller, owners: Owners, names: KnownNames, about: Mapping[str, str | None]) -> list[str]:
    """The dimensions of `about` that are in the inventory and not this customer's alone (none for a key of the platform).

    What such a key says of them must not count against others who use them.
    """
    if caller.customer is None:
        return []
    return [name for name in ("ip", "domain") if (value := about.get(name)) is not None
            and owners.owner(name, value) is None and names.has(name, value)]


def own(caller: Caller, owners: Owners, about: Mapping[str, str | None]) -> str | None:
    """The customer meant: the key's, else the one `about` names. Values are in canonical form. Raises ForeignError."""
    if caller.customer is None:
        return about.get("customer")
    foreign = owners.foreign_to(caller.customer, about)
    if foreign is not None:
        raise ForeignError(f"{foreign}: this key is bound to {caller.customer}")
    return caller.customer
