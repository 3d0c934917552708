"""An inventory file becomes rows by its difference, whole or not at all, and empties nothing by accident."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from monitor.cli import cli
from monitor.config.yaml_file import ConfigErrors
from monitor.database.engine import table
from monitor.database.tables import SendingIp, Series
from monitor.inventory.difference import InventoryError, difference, planned
from monitor.inventory.faults import faults, notes
from monitor.inventory.file import load_inventory
from monitor.inventory.items import KINDS, Customer, Domain, Inventory, Ip, Pool
from monitor.inventory.names import addresses
from monitor.inventory.rows import ROWS, apply_difference, read_inventory
from monitor.inventory.wire import ItemChange
from tests.places import ROOT

EXAMPLE = ROOT / "inventory.example.yaml"

ACME_AND_BOLT = """
customers:
  - {id: acme, name: Acme, streams: [{name: receipts, kind: transactional}, newsletter]}
  - {id: bolt}
pools: [shared, {name: dedicated, customer: acme}]
ips:
  - {address: 192.0.2.0/30, pool: dedicated}
  - {address: 198.51.100.1-198.51.100.3, pool: shared}
  - 2001:DB8:0::25
domains:
  - {domain: Bücher.example, customer: acme, stream: newsletter}
  - mail.bolt.example
"""


def loaded(tmp_path, text, name="inventory.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return load_inventory(path)


# ── what a file says ──


def test_streams_stand_with_their_customer_and_names_are_canonical(tmp_path):
    inventory = loaded(tmp_path, ACME_AND_BOLT)
    assert {key: stream.kind for key, stream in inventory.streams.items()} == {
        "acme/receipts": "transactional", "acme/newsletter": "marketing"}
    assert inventory.customers["bolt"].name == "bolt"
    assert list(inventory.domains) == ["xn--bcher-kva.example", "mail.bolt.example"]
    assert list(inventory.ips)[-1] == "2001:db8::25"


def test_networks_and_ranges_stand_for_every_address_in_them(tmp_path):
    assert list(loaded(tmp_path, ACME_AND_BOLT).ips)[:7] == [
        "192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1", "198.51.100.2", "198.51.100.3"]
    assert len(list(addresses("2001:db8::/116"))) == 4096


def test_an_address_belongs_to_the_customer_of_its_pool(tmp_path):
    inventory = loaded(tmp_path, ACME_AND_BOLT)
    assert inventory.ips["192.0.2.1"].customer == "acme"
    assert inventory.ips["198.51.100.1"].customer is None
    moved = inventory.put("ips", Ip(address="198.51.100.1", pool="dedicated"))
    assert moved.ips["198.51.100.1"].customer == "acme"


def test_several_files_make_one_inventory(tmp_path):
    (tmp_path / "a.yaml").write_text("customers: [{id: acme}]\npools: [shared]\n")
    (tmp_path / "b.yaml").write_text("ips: [{address: 192.0.2.1, customer: acme}]\npools: [shared]\n")
    with pytest.raises(ConfigErrors) as caught:
        load_inventory(tmp_path / "a.yaml", tmp_path / "b.yaml")
    message = f"{tmp_path}/b.yaml:2: pools[0]: pool shared stands in {tmp_path}/a.yaml:2 too — keep one"
    assert str(caught.value) == message
    (tmp_path / "b.yaml").write_text("ips: [{address: 192.0.2.1, customer: acme}]\n")
    both = load_inventory(tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert both.stated == {"customers", "streams", "pools", "ips"}


def test_addresses_the_world_never_sees_are_noted_once_per_reason(tmp_path):
    inventory = loaded(tmp_path, "ips: [192.0.2.0/29, 10.0.0.1, 127.0.0.1, 8.8.8.8]\n")
    assert notes(inventory) == [
        "8 of 11 IPs are documentation addresses (first 192.0.2.0): no mailbox provider or DNSBL sees them — write those that mail goes out from",
        ("2 of 11 IPs are private or reserved addresses (first 10.0.0.1):"
        " no mailbox provider or DNSBL sees them — write those that mail goes out from"),
    ]


def test_the_example_inventory_fits_together():
    inventory = load_inventory(EXAMPLE)
    assert not list(faults(inventory))
    assert inventory.stated == KINDS.keys()


# ── differences ──


def test_a_difference_reads_like_a_diff(tmp_path):
    old = loaded(tmp_path, "customers: [{id: acme}]\npools: [shared]\nips: [192.0.2.1, 192.0.2.2]\n")
    new = loaded(tmp_path, "customers: [{id: acme, name: Acme}]\npools: [shared]\n"
                           "ips: [{address: 192.0.2.1, pool: shared}, 192.0.2.3]\n")
    change = difference(old, new)
    assert [str(line) for line in change.changes] == [
        "~ customer acme: name acme → Acme",
        "~ IP 192.0.2.1: pool none → shared",
        "- IP 192.0.2.2",
        "+ IP 192.0.2.3",
    ]
    assert change.counts() == {"customers": {"added": 0, "changed": 1, "removed": 0},
                               "ips": {"added": 1, "changed": 1, "removed": 1}}
    assert ItemChange.shown(change.changes[2]).model_dump() == {
        "change": "removed", "kind": "ips", "key": "192.0.2.2", "new": None,
        "old": {"address": "192.0.2.2", "pool": None, "customer": None, "role": "mta"}}


def test_what_a_file_leaves_out_stays_and_an_empty_list_empties():
    acme = Inventory().put("customers", Customer(id="acme"))
    silent = Inventory(stated=frozenset({"ips"}))
    assert not difference(acme, silent)
    assert silent.over(acme).customers == acme.customers
    assert [str(line) for line in difference(acme, Inventory()).changes] == ["- customer acme (name acme)"]


def test_putting_or_taking_away_one_item_changes_only_that_item(tmp_path):
    inventory = loaded(tmp_path, ACME_AND_BOLT)
    put = difference(inventory, inventory.put("domains", Domain(domain="mail.bolt.example", customer="bolt")))
    assert [str(line) for line in put.changes] == ["~ domain mail.bolt.example: customer none → bolt"]
    assert [str(line) for line in difference(inventory, inventory.without("ips", "192.0.2.1")).changes] == [
        "- IP 192.0.2.1 (pool dedicated, customer acme)"]


def test_what_would_not_fit_together_is_refused_with_every_reason(tmp_path):
    inventory = loaded(tmp_path, ACME_AND_BOLT)
    with pytest.raises(InventoryError, match="—") as caught:
        planned(inventory, inventory.without("customers", "acme").without("pools", "shared"))
    lines = str(caught.value).splitlines()
    assert "stream acme/receipts: customer: no customer 'acme' — known: bolt" in lines
    assert "IP 198.51.100.1: pool: no pool 'shared' — known: dedicated" in lines


@pytest.mark.parametrize("kind", ["customers", "ips", "domains"])
def test_a_file_cut_short_does_not_empty_the_inventory(kind):
    items: list[Any] = {"customers": [Customer(id=f"c{i}") for i in range(10)],
             "ips": [Ip(address=f"192.0.2.{i}") for i in range(10)],
             "domains": [Domain(domain=f"d{i}.example.com") for i in range(10)]}[kind]
    current = Inventory(**{kind: {item.key: item for item in items}})
    fewer = Inventory(**{kind: {item.key: item for item in items[:7]}})
    with pytest.raises(InventoryError, match=f"3 of 10 {kind} would be removed, more than 20%"):
        planned(current, fewer)
    assert len(planned(current, fewer, remove=True).changes) == 3
    assert len(planned(current, fewer.put(kind, items[7])).changes) == 2


# ── rows ──


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_has_the_fields_of_its_row(kind):
    assert list(KINDS[kind].model_fields) == [column.name for column in table(ROWS[kind]).columns]


def test_what_was_applied_is_read_back_the_same(store, tmp_path):
    wanted = load_inventory(EXAMPLE)
    with store.session() as session:
        apply_difference(session, difference(read_inventory(session), wanted))
    with store.reading_session() as session:
        assert not difference(read_inventory(session), wanted)


def test_a_customer_may_be_replaced_with_all_that_is_his(store, tmp_path):
    before = loaded(tmp_path, ACME_AND_BOLT)
    after = loaded(tmp_path, ACME_AND_BOLT.replace("acme", "apex"))
    for wanted in (before, after, Inventory()):
        with store.session() as session:
            apply_difference(session, difference(read_inventory(session), wanted))
        with store.reading_session() as session:
            assert not difference(read_inventory(session), wanted)


def test_facts_about_a_removed_address_stay(store):
    pool = Inventory().put("pools", Pool(name="shared")).put("ips", Ip(address="192.0.2.1", pool="shared"))
    with store.session() as session:
        apply_difference(session, difference(Inventory(), pool))
        session.add(Series(measure="listing", key="listing|192.0.2.1", ip="192.0.2.1"))
    with store.session() as session:
        apply_difference(session, difference(pool, Inventory()))
    with store.reading_session() as session:
        assert session.connection().execute(select(func.count()).select_from(table(Series))).scalar() == 1


def test_a_thousand_addresses_and_three_hundred_domains_are_applied_at_once(store, tmp_path, record_property):
    text = "customers:\n" + "".join(f"  - {{id: c{i}, streams: [news]}}\n" for i in range(100))
    text += "ips:\n" + "".join(
        f"  - {{address: 198.51.{i // 250}.{i % 250}, customer: c{i % 100}}}\n" for i in range(1000))
    text += "domains:\n" + "".join(
        f"  - {{domain: d{i}.example.com, customer: c{i % 100}, stream: news}}\n" for i in range(300))
    began = time.perf_counter()
    wanted = loaded(tmp_path, text)
    with store.session() as session:
        apply_difference(session, planned(read_inventory(session), wanted))
    record_property("seconds", time.perf_counter() - began)
    print(f"applied in {time.perf_counter() - began:.3f} s")
    with store.reading_session() as session:
        inventory = read_inventory(session)
    assert (len(inventory.ips), len(inventory.domains), len(inventory.streams)) == (1000, 300, 100)


# ── commands ──


def run(*arguments):
    return CliRunner().invoke(cli, list(map(str, arguments)))


@pytest.fixture
def here(tmp_path):
    (tmp_path / "vigie.yaml").write_text("api:\ninventory: inventory.yaml\n")
    (tmp_path / "inventory.yaml").write_text(ACME_AND_BOLT, encoding="utf-8")
    return tmp_path


def apply(here, *options):
    return run("apply", here / "inventory.yaml", "--config", here / "vigie.yaml", *options)


def test_apply_shows_the_difference_applies_it_and_then_has_nothing_to_do(here):
    counts = "customers +2 ~0 -0; streams +2 ~0 -0; pools +2 ~0 -0; ips +8 ~0 -0; domains +2 ~0 -0"
    looked = apply(here, "--dry-run")
    assert looked.exit_code == 0
    assert looked.stdout.endswith(f"{counts}; nothing was changed (--dry-run)\n")
    applied = apply(here)
    assert "+ IP 192.0.2.0 (pool dedicated, customer acme)\n" in applied.stdout
    assert applied.stdout.endswith(f"{counts}\n")
    assert "note: 8 of 8 IPs are documentation addresses" in applied.stderr
    assert apply(here).stdout == "nothing to do: the stored inventory is what the file says\n"


def test_apply_prints_json_lines_and_nothing_else_where_asked(here):
    lines = [json.loads(line) for line in apply(here, "--json").stdout.splitlines()]
    assert {line["change"] for line in lines[:-1]} == {"added"}
    assert lines[-1]["applied"] is True
    assert lines[-1]["counts"]["ips"] == {"added": 8, "changed": 0, "removed": 0}


def test_apply_refuses_a_file_cut_short_until_asked_to_remove(here):
    apply(here)
    (here / "inventory.yaml").write_text("domains: []\n")
    refused = apply(here)
    assert refused.exit_code == 2
    assert refused.stderr.endswith("inventory.yaml: 2 of 2 domains would be removed, more than 20%"
                                   " — if the file is whole, ask to remove\n")
    assert apply(here, "--remove").stdout.splitlines() == [
        "- domain mail.bolt.example",
        "- domain xn--bcher-kva.example (customer acme, stream newsletter)",
        "domains +0 ~0 -2",
    ]


def test_apply_names_file_and_line_of_a_mistake_and_writes_nothing(here):
    (here / "inventory.yaml").write_text("ips: [192.0.2.300]\n")
    refused = apply(here)
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert "inventory.yaml:1: ips[0]: '192.0.2.300' is no IP address" in refused.stderr
    assert not (here / "vigie.sqlite").exists()


def test_apply_says_when_the_database_cannot_be_reached(here):
    (here / "vigie.yaml").write_text("engine: {url: 'postgresql://vigie:opensesame@127.0.0.1:1/vigie'}\n")
    refused = apply(here)
    assert refused.exit_code == 3
    assert "the database cannot be used: " in refused.stderr
    assert "opensesame" not in refused.stderr


def test_check_config_counts_what_it_found_right(here):
    checked = run("check-config", here / "vigie.yaml")
    assert checked.exit_code == 0
    assert checked.stdout.startswith("ok: 0 collectors, ")
    assert json.loads(run("check-config", here / "vigie.yaml", "--json").stdout)["receivers"] == 0


def test_check_config_warns_of_names_that_nothing_has_and_says_what_to_do(here):
    (here / "vigie.yaml").write_text(
        'secrets: {fbl: opensesame}\ninventory: inventory.yaml\nreceivers: [{name: chat, url: "json://127.0.0.1", customers: [acmee]}]\n'
        "collectors:\n  feedback_loop: {trusted_mailboxes: [fbx], reporters: {isp.example: [gmial]}}\n"
    )
    mailbox = "{name: fbl, host: imap.example.com, username: fbl, secret: fbl}"
    (here / "inventory.yaml").write_text(f"customers: [{{id: acme}}]\nmailboxes: [{mailbox}]\n")
    checked = run("check-config", here / "vigie.yaml")
    assert checked.exit_code == 0
    notes = "".join(f"note: {here}/vigie.yaml:{line}: {text} Otherwise add it to the inventory.\n" for line, text in (
        (3, "receiver chat: customer: the inventory has no customer acmee — did you mean 'acme'?"),
        (5, "collectors.feedback_loop.trusted_mailboxes: mailbox: the inventory has no mailbox fbx — did you mean 'fbl'?"),
        (5, "collectors.feedback_loop.reporters: provider: the inventory has no provider gmial — did you mean 'gmail'?"),
    ))
    assert checked.stderr == notes


def test_an_inventory_that_is_not_there_is_a_mistake_of_the_line_that_names_it(here):
    for written in ("inventory:\n  - gone.yaml\n", "inventory: gone.yaml\n"):
        (here / "vigie.yaml").write_text(written)
        place = "2: inventory[0]" if "-" in written else "1: inventory"
        for command in ("check-config", "run", "keys"):
            arguments = {"run": ["--config"], "keys": ["create", "--name", "x", "--scope", "read", "--customer", "acme", "--config"]}
            refused = run(command, *arguments.get(command, ()), here / "vigie.yaml")
            assert refused.exit_code == 2
            assert f"{here}/vigie.yaml:{place}: the file {here}/gone.yaml does not exist" in refused.stderr


def test_a_role_of_an_older_version_is_read_as_sending(sqlite_store):
    with sqlite_store.session() as session:
        session.add(SendingIp(address="192.0.2.1", role="relay"))
    with sqlite_store.reading_session() as session:
        assert read_inventory(session).ips["192.0.2.1"].role == "mta"


def test_check_config_reports_mistakes_of_configuration_rules_and_inventory(here):
    (here / "vigie.yaml").write_text("inventory: inventory.yaml\nrules:\n- {id: x, kind: nothing}\n")
    mailbox = "{name: fbl, host: imap.example.com, username: fbl, secret: fbl}"
    (here / "inventory.yaml").write_text(f"mailboxes:\n- {mailbox}\n")
    checked = run("check-config", here / "vigie.yaml")
    assert checked.exit_code == 2
    assert checked.stdout == ""
    reported = checked.stderr.splitlines()
    assert reported[0] == (f"{here}/inventory.yaml:2: mailboxes[0].secret: "
                           "the configuration has no secret 'fbl' — none is known here")
    assert reported[1].startswith(f"{here}/vigie.yaml:3: rules[0].kind: ")
    lines = map(json.loads, run("check-config", here / "vigie.yaml", "--json").stdout.splitlines())
    places = [(Path(line["file"]).name, line["line"]) for line in lines]
    assert places == [("inventory.yaml", 2), ("vigie.yaml", 3)]


def test_headers_that_name_a_customer_are_kept_in_lower_case_and_come_back_as_they_went_in(tmp_path, store):
    wanted = loaded(tmp_path, 'customers: [{id: acme, id_headers: {X-Mandant: "4711", X-Kunde: A}}, {id: bolt}]')
    assert wanted.customers["acme"].id_headers == {"x-mandant": "4711", "x-kunde": "A"}
    assert str(wanted.customers["bolt"]) == "customer bolt (name bolt)"
    with store.session() as session:
        apply_difference(session, planned(read_inventory(session), wanted))
    with store.reading_session() as session:
        assert not difference(read_inventory(session), wanted)
    other = wanted.put("customers", Customer(id="acme"))
    assert "x-mandant: 4711, x-kunde: A → none" in str(difference(wanted, other).changes[0])
