"""What a list is stands in the catalogue alone: a listing that was stored is shown with what is true of its list now."""

import pytest

from collectors.details import ListAnswer, ListKind, ListSeverity
from collectors.dnsbl.catalogue import load_catalogue
from monitor.database.tables import Listing as Row
from monitor.listings.catalogue import known_lists
from monitor.listings.wire import Listing
from monitor.rules.lists import KnownList, KnownLists, is_grave
from tests.monitor.conftest import T

SHIPPED = known_lists(load_catalogue().lists.values())
GRAVE = ListAnswer(severity=ListSeverity.CRITICAL, weight=1.0)


def row(dnsbl, **detail):
    return Row(id=7, target="192.0.2.7", dnsbl=dnsbl, phase="listed", codes=["127.0.0.2"], first_seen_at=T, last_seen_at=T,
               checked_at=T, confirmed_at=T, detail=detail)


def test_every_list_of_the_catalogue_is_known_by_its_name_operator_and_kind():
    for id_, entry in load_catalogue().lists.items():
        known = SHIPPED.of(id_)
        assert (known.title, known.operator or "", known.kind) == (entry.name or id_, entry.operator, entry.kind)
    assert SHIPPED.ids(ListKind.ALLOW) == {each.id for each in load_catalogue().lists.values() if each.kind == "allow"}


def test_a_listing_is_shown_with_what_the_catalogue_says_now_and_not_with_what_was_stored():
    detail = Listing.of(row("spamhaus-zen", name="Old name", operator="Old", kind="allow", meanings=["SBL"]), SHIPPED).detail
    zen = load_catalogue().lists["spamhaus-zen"]
    assert (detail.name, detail.operator, detail.kind, detail.meanings) == (zen.name, zen.operator, "block", ("SBL",))
    assert detail.delist_url == zen.delist_url


def test_a_list_nobody_knows_is_a_block_list_called_by_its_id():
    detail = Listing.of(row("gone"), SHIPPED).detail
    assert (detail.name, detail.operator, detail.kind, detail.delist_url) == ("gone", None, "block", None)


@pytest.mark.parametrize(("answer", "known", "grave"), [
    (GRAVE, KnownList("x"), True),
    (GRAVE, KnownList("x", kind=ListKind.ALLOW), False),
    (GRAVE, KnownList("x", collateral=True), False),
    (ListAnswer(severity=ListSeverity.CRITICAL, weight=1.0, finding=False), KnownList("x"), False),
    (ListAnswer(severity=ListSeverity.INFO, weight=1.0), KnownList("x"), False),
])
def test_what_is_more_than_information(answer, known, grave):
    assert is_grave(answer, known) is grave


def test_without_a_catalogue_every_list_is_known_by_its_id():
    assert KnownLists().of("zen").title == "zen"
