"""The shipped catalogue holds together, and a user's own is read or refused in plain words."""

import json
from pathlib import Path

import pytest
import yaml

from collectors.clients.dns_wire import Answer
from collectors.contract import Target
from collectors.dnsbl.canary import points
from collectors.dnsbl.catalogue import SHIPPED as SHIPPED_FILE
from collectors.dnsbl.catalogue import CatalogueError, load_catalogue
from collectors.dnsbl.decode import decode
from collectors.dnsbl.question import Zone
from collectors.dnsbl.result import Result, is_finding

SHIPPED = load_catalogue()
LIVING = [entry for entry in SHIPPED.lists.values() if not entry.is_dead]
KINDS = {"ipv4", "ipv6", "domain", "hash", "email-hash", "domain-hash"}


def octets(code):
    return bytes(17 if part == "*" else int(part) for part in code.split("."))


def ids(entry):
    return entry.id


@pytest.mark.parametrize("entry", LIVING, ids=ids)
def test_every_living_list_can_be_asked(entry):
    assert set(entry.targets) <= KINDS
    Zone(entry, "key")
    if set(entry.targets) & {"ipv4", "ipv6", "domain"}:
        assert points(entry)
    assert entry.operator
    assert not entry.dead


@pytest.mark.parametrize("entry", LIVING, ids=ids)
def test_every_documented_code_is_a_listing_with_its_meaning(entry):
    for code, documented in entry.codes.items():
        octet = entry.bitmask_octet - 1
        address = bytes([127, *(int(code) if n == octet else 0 for n in (1, 2, 3))]) if code.isdecimal() else octets(code)
        verdict = decode(Answer(0, (address,), 60), entry)
        assert verdict.listed, verdict
        assert documented.meaning in verdict.meanings


@pytest.mark.parametrize("entry", LIVING, ids=ids)
def test_every_refusal_is_unknown_and_no_listing(entry):
    for code in entry.refused_codes:
        if code.startswith("rcode:"):
            answer = Answer({"FORMERR": 1, "REFUSED": 5}[code[6:]])
        elif code.startswith("bit:"):
            answer = Answer(0, (bytes([127, 0, 0, int(code[4:]) | 2]),), 60)
        else:
            answer = Answer(0, (octets(code), octets("127.0.0.2")), 60)
        assert decode(answer, entry).reason == "refused"


@pytest.mark.parametrize("entry", [entry for entry in SHIPPED.lists.values() if entry.is_dead], ids=ids)
def test_every_dead_list_has_a_story_and_stays_off(entry):
    assert entry.zone in entry.why_dead()
    assert not entry.default_enabled
    with pytest.raises(CatalogueError, match="dead"):
        SHIPPED.refuse_dead([entry])


def test_inclusion_and_succession_name_known_lists_and_never_go_round():
    for entry in SHIPPED.lists.values():
        for other in (entry.included_in, entry.superseded_by, entry.replaced_by):
            assert other is None or other in SHIPPED.lists
        assert entry.id not in SHIPPED.holders(entry.id)


def test_zones_and_default_lists_are_counted_once():
    zones = [entry.zone for entry in LIVING]
    assert len(zones) == len(set(zones))
    defaults = [entry.id for entry in SHIPPED.enabled()]
    assert set(defaults) == SHIPPED.counted(defaults)
    assert not any(entry.needs_key for entry in SHIPPED.enabled())


def test_no_living_list_carries_the_zone_of_a_dead_one():
    assert [entry.id for entry in LIVING if SHIPPED.dead_by_zone(entry.zone)] == []
    assert SHIPPED.dead_by_zone("spam.dnsbl.sorbs.net").id == "sorbs"
    assert SHIPPED.dead_by_zone("notsorbs.net") is None


def test_operators_are_operators_of_lists():
    assert set(SHIPPED.operators) <= {entry.operator for entry in LIVING}


def test_a_sublist_does_not_count_beside_the_list_that_holds_it():
    assert SHIPPED.counted(["spamhaus-sbl", "spamhaus-zen", "uribl-red"]) == {"spamhaus-zen", "uribl-red"}
    assert SHIPPED.counted(["spamhaus-sbl"]) == {"spamhaus-sbl"}


def test_the_key_of_a_list_in_the_name_is_distinguished_from_a_resolver_that_must_be_known():
    assert SHIPPED.lists["spamhaus-dqs-zen"].takes_key
    assert not SHIPPED.lists["validity-rpbl"].takes_key
    assert Zone(SHIPPED.lists["abusix-black"]).key_missing
    assert not Zone(SHIPPED.lists["validity-rpbl"]).key_missing
    assert Zone(SHIPPED.lists["spamrats-all"]).key_missing


def write(folder: Path, *lists, name="own.json", **more) -> Path:
    path = folder / name
    path.write_text(json.dumps({"lists": lists, **more}, indent=1))
    return path


def test_an_own_file_needs_little(tmp_path):
    (entry,) = load_catalogue(write(tmp_path, {"id": "mine", "zone": "bl.example.net"})).lists.values()
    assert (entry.kind, entry.targets, entry.default_enabled) == ("block", ("ipv4",), True)


def test_yaml_is_read_as_well_as_json(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text('lists:\n- id: mine\n  zone: bl.example.net\n  codes: {"127.0.0.2": {meaning: spam}}\n')
    assert load_catalogue(path).lists["mine"].codes["127.0.0.2"].meaning == "spam"


def test_the_whole_schema_can_be_written_in_yaml(tmp_path):
    lists = json.loads(SHIPPED_FILE.read_text())["lists"][::9]
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"lists": lists}).replace("'2024-06-05'", "2024-06-05").replace("'2':", "2:"))
    assert load_catalogue(path).lists.keys() == {row["id"] for row in lists}


def test_an_own_file_stands_beside_the_shipped_one(tmp_path):
    both = SHIPPED.beside(load_catalogue(write(tmp_path, {"id": "mine", "zone": "bl.example.net"})))
    assert {"mine", "spamhaus-zen"} <= both.lists.keys()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"zone": "bl.example.net"}, "list number 1: id: Field required"),
        ({"id": "mine"}, "own.json:4: list mine: zone: Field required"),
        ({"id": "mine", "zone": "bl.example.net", "kind": "blok"}, "kind: Input should be 'block', 'allow' or 'score'"),
        ({"id": "mine", "zone": "bl.example.net", "refused_code": {}}, "unknown field 'refused_code', did you mean 'refused_codes'?"),
        ({"id": "mine", "zone": "bl.example.net", "codes": {"127.0.2": "x"}}, "codes: '127.0.2' is no IPv4 address"),
        ({"id": "mine", "zone": "bl.example.net", "code_style": "bitmask", "codes": {"3": "x"}}, "codes: '3' is not one bit"),
        ({"id": "mine", "zone": "bl.example.net", "refused_codes": {"bit:x": ""}}, "'bit:x' is no IPv4 address, bit:N or rcode:NAME"),
        ({"id": "mine", "zone": "bl.example.net", "refused_codes": {"bit:1": ""}}, "needs code_style bitmask"),
        ({"id": "mine", "zone": "bl.example.net", "code_style": "score"}, "a score list says how its answers are read"),
        ({"id": "mine", "zone": "bl.example.net", "key": {"where": "<KEY>.<rev>.<zone>"}}, "no other place is known"),
        ({"id": "mine", "zone": "bl..example net"}, "zone: String should match"),
        ({"id": "mine", "zone": "dul.dnsbl.sorbs.net"}, "list mine: dnsbl.sorbs.net is dead (2024-06-05)"),
        ("mine", "list number 1"),
    ],
)
def test_a_mistake_in_an_own_file_is_named_with_its_place(tmp_path, entry, message):
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(write(tmp_path, entry))
    assert message in str(caught.value)


def test_two_lists_of_one_id_and_files_that_hold_none_are_refused(tmp_path):
    twin = {"id": "mine", "zone": "bl.example.net"}
    with pytest.raises(CatalogueError, match="two lists have the id 'mine'"):
        load_catalogue(write(tmp_path, twin, twin))
    for number, text in enumerate(["{", "[]x", '{"list": []}', "7", ""]):
        path = tmp_path / f"{number}.json"
        path.write_text(text)
        with pytest.raises(CatalogueError, match=str(path)):
            load_catalogue(path)
    with pytest.raises(CatalogueError, match="No such file"):
        load_catalogue(tmp_path / "missing.yaml")


def test_a_remark_of_the_authors_own_is_kept(tmp_path, caplog):
    own = load_catalogue(write(tmp_path, {"id": "mine", "zone": "bl.example.net", "x_ticket": 7, "note": "ours"}))
    assert own.lists["mine"].notes == {"x_ticket": 7, "note": "ours"}
    assert "x_ticket" in caplog.text


def test_lists_are_chosen_by_id_or_pattern_and_a_wrong_name_gets_a_hint():
    assert [entry.id for entry in SHIPPED.choose(["spamcop", "spamhaus-dqs-zen"])] == ["spamcop", "spamhaus-dqs-zen"]
    assert {entry.id for entry in SHIPPED.choose(["uribl-*"])} >= {"uribl-multi", "uribl-red"}
    for name, hint in [
        ("spamcopp", "did you mean spamcop"),
        ("zen.spamhaus.org", "that is a zone, and lists are named by id; did you mean spamhaus-zen?"),
        ("zen.spamhaus.or", "did you mean spamhaus-zen"),
        ("ivmsip.invaluement.com", "Invaluement has no public DNS list"),
        ("dnsbl.sorbs.net", "Proofpoint decommissioned SORBS"),
        ("qqqqqqqq", "`vigie dnsbl lists` shows them all"),
    ]:
        with pytest.raises(CatalogueError) as refused:
            SHIPPED.choose([name])
        assert hint in str(refused.value)


def test_information_is_no_finding_whatever_list_says_it():
    for list_id, code in [("sem-fresh15", "127.0.0.2"), ("surbl-multi", "127.0.0.4"), ("spfbl-bl", "127.0.0.3"),
                          ("spfbl-bl", "127.0.0.4"), ("spamhaus-dqs-zrd", "127.0.2.4")]:  # fmt: skip
        entry = SHIPPED.lists[list_id]
        verdict = decode(Answer(0, (octets(code),), 60), entry)
        assert verdict.listed
        assert not is_finding(Result(Target("example.com", "domain"), entry, verdict)), list_id
    entry = SHIPPED.lists["surbl-multi"]
    assert is_finding(Result(Target("example.com", "domain"), entry, decode(Answer(0, (octets("127.0.0.12"),), 60), entry)))


def test_lists_whose_terms_exclude_us_are_off_until_they_are_named():
    on = {entry.id for entry in SHIPPED.enabled()}
    assert not on & {"hostkarma", "spamrats-all", "spamrats-dyna"}
    for list_id in ("surbl-multi", "uribl-multi"):
        entry = SHIPPED.lists[list_id]
        assert entry.terms
        assert (entry.is_beyond_free_use(500), entry.is_beyond_free_use(501)) == (False, True)
    assert not SHIPPED.lists["psbl"].is_beyond_free_use(10**6)


def test_zones_that_never_existed_and_empty_files_are_refused(tmp_path):
    with pytest.raises(CatalogueError, match="Invaluement has no public DNS list"):
        load_catalogue(write(tmp_path, {"id": "mine", "zone": "ivmSIP.invaluement.com"}))
    for name, text in [("a.json", ""), ("b.yaml", " \n"), ("c.yaml", "# nothing\n"), ("d.json", "[]")]:
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(CatalogueError, match=f"{name} is empty: expected lists"):
            load_catalogue(path)


def test_an_operator_of_no_list_is_refused(tmp_path):
    mine = {"id": "mine", "zone": "bl.example.net", "operator": "Acme"}
    with pytest.raises(CatalogueError, match="'Acmee' operates no list; did you mean 'Acme'"):
        load_catalogue(write(tmp_path, mine, operators={"Acmee": {"max_qps": 1}}))
