"""How the inventory and its changes are printed. Its items (`items.py`) are models of their own and printed as they are."""

from __future__ import annotations

from monitor.inventory.difference import Change, Changed, Difference
from monitor.inventory.items import Customer, Domain, Ip, Mailbox, Pool, Provider, Seed, Stream
from monitor.wire import Wire

AnyItem = Customer | Stream | Pool | Ip | Domain | Provider | Seed | Mailbox


class KindCounts(Wire):
    added: int
    changed: int
    removed: int


class ItemChange(Wire):
    """`old` null: added; `new` null: removed."""

    change: Changed
    kind: str
    key: str
    old: AnyItem | None
    new: AnyItem | None

    @classmethod
    def shown(cls, change: Change) -> ItemChange:
        return cls(change=change.what, kind=change.kind, key=change.key, old=change.old, new=change.new)


class Applied(Wire):
    """What changes, or would change in a dry run."""

    dry_run: bool
    changes: list[ItemChange]
    counts: dict[str, KindCounts]

    @classmethod
    def shown(cls, change: Difference, *, dry_run: bool) -> Applied:
        counts = {kind: KindCounts(**counted) for kind, counted in change.counts().items()}
        return cls(dry_run=dry_run, changes=[ItemChange.shown(each) for each in change.changes], counts=counts)


class AppliedCounts(Wire):
    """The last line of `vigie apply --json`."""

    applied: bool
    counts: dict[str, KindCounts]
