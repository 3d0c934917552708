"""The lists of a catalogue as rules, pages and answers see them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from collectors.dnsbl.catalogue import DnsList
from collectors.dnsbl.result import delist_url
from monitor.rules.lists import KnownList, KnownLists


def known_lists(lists: Iterable[DnsList]) -> KnownLists:
    """What is known of these."""
    return KnownLists({entry.id: _known(entry) for entry in lists})


def _known(entry: DnsList) -> KnownList:
    return KnownList(
        entry.id, entry.name, entry.operator or None, entry.kind, entry.isps, entry.collateral, entry.included_in,
        bool(entry.paid_delist), partial(delist_url, entry),
    )
