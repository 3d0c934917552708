from datetime import UTC, datetime, timedelta

import pytest

from monitor.access.keys import KeyRing, make_key, rotate_key
from monitor.api.access import key_in

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_a_key_is_known_by_its_secret_of_which_only_the_hash_is_kept():
    row, key = make_key("mta", ["events", "gate"], None, NOW)
    prefix, key_id, secret = key.split("_")
    assert (prefix, key_id, row.scopes) == ("vigie", row.id, ["gate", "events"])
    assert secret not in repr(row)
    ring = KeyRing()
    ring.hold([row], NOW)
    assert ring.caller(key).name == "mta"
    for wrong in ("", "vigie", key[:-1], key + "0", key.replace("vigie", "other"), f"vigie_{row.id}_", "vigie__"):
        assert ring.caller(wrong) is None


def test_a_revoked_key_is_nobodys():
    row, key = make_key("mta", ["gate"], None, NOW)
    ring = KeyRing()
    ring.hold([row], NOW)
    row.revoked_at = NOW
    ring.hold([row], NOW)
    assert ring.caller(key) is None


def test_admin_may_everything_and_the_others_what_they_were_given():
    ring = KeyRing()
    admin, admins_key = make_key("root", ["admin"], None, NOW)
    mta, mtas_key = make_key("mta", ["gate"], "acme", NOW)
    ring.hold([admin, mta], NOW)
    assert ring.caller(admins_key).may("events")
    assert ring.caller(mtas_key).may("gate")
    assert not ring.caller(mtas_key).may("events")


@pytest.mark.parametrize(("scopes", "customer"), [([], None), (["everything"], None), (["admin"], "acme")])
def test_a_key_nobody_could_mean_is_not_made(scopes, customer):
    with pytest.raises(ValueError):
        make_key("x", scopes, customer, NOW)


@pytest.mark.parametrize(
    ("header", "by_bearer", "by_basic"),
    [
        ("Bearer vigie_1_2", "vigie_1_2", "vigie_1_2"),
        ("bearer vigie_1_2", "vigie_1_2", "vigie_1_2"),
        ("Basic YW5uOnZpZ2llXzFfMg==", None, "vigie_1_2"),
        ("Basic ???", None, None),
        ("Digest x", None, None),
        ("", None, None),
    ],
)
def test_a_key_comes_as_bearer_and_as_a_password_only_where_a_browser_was_asked(header, by_bearer, by_basic):
    assert key_in(header, "bearer") == by_bearer
    assert key_in(header, "basic") == by_basic


def test_a_key_made_a_moment_ago_is_known_and_a_revoked_one_soon_is_not(vigie):
    row, key = make_key("late", ["read"], None, NOW)
    with vigie.store.session() as session:
        session.add(row)
    client = vigie.client()
    client.headers["Authorization"] = f"Bearer {key}"
    assert client.get("/v1/runs").status_code == 200
    with vigie.store.session() as session:
        session.merge(row).revoked_at = NOW
    vigie.gate.refresh(vigie.store, NOW)
    assert client.get("/v1/runs").status_code == 401


@pytest.mark.parametrize("customer", ["", " "])
def test_a_key_of_an_empty_customer_is_not_made(customer):
    with pytest.raises(ValueError, match="empty"):
        make_key("x", ["read"], customer, NOW)


def test_a_rotated_key_ends_when_the_overlap_is_over_and_the_new_one_may_the_same(sqlite_store):
    old, key = make_key("mta", ["gate", "events"], "acme", NOW)
    with sqlite_store.session() as session:
        session.add(old)
        session.flush()
        new, other = rotate_key(session, old.id, timedelta(hours=24), NOW)
        with pytest.raises(LookupError):
            rotate_key(session, "nosuch", timedelta(hours=24), NOW)
    ring = KeyRing()
    for hours, still in [(0, True), (23, True), (24, False)]:
        ring.hold([old, new], NOW + timedelta(hours=hours))
        assert (ring.caller(key) is not None, ring.caller(other) is not None) == (still, True)
    assert (new.name, new.scopes, new.customer) == (old.name, old.scopes, old.customer)
