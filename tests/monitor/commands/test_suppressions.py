import json

import pytest
from click.testing import CliRunner

from monitor.cli import cli
from monitor.inventory.difference import planned
from monitor.inventory.items import Customer, Inventory, Stream
from monitor.inventory.rows import apply_difference, read_inventory


@pytest.fixture
def vigie(tmp_path, database_url, store):
    """Run `vigie …` on an inventory of two customers."""
    path = tmp_path / "vigie.yaml"
    path.write_text(json.dumps({"engine": {"url": database_url}}))
    wanted = Inventory().put("customers", Customer(id="acme")).put("customers", Customer(id="bolt"))
    with store.session() as session:
        wanted = wanted.put("streams", Stream(customer="acme", name="newsletter"))
        apply_difference(session, planned(read_inventory(session), wanted))

    def call(*arguments, stdin=None, code=0):
        result = CliRunner(env={"VIGIE_CONFIG": str(path)}).invoke(cli, [str(each) for each in arguments], input=stdin)
        assert result.exit_code == code, result.output
        return result

    return call


def rows(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_an_address_is_added_checked_listed_and_removed_with_a_reason(vigie):
    assert "1 added" in vigie("suppressions", "add", "Ann@example.org", "--customer", "acme", "--text", "by phone").stdout
    command = ("suppressions", "check", "ann@example.org", "bob@example.org", "--customer", "acme")
    assert [row["suppressed"] for row in rows(vigie(*command, "--json", code=1))] == [True, False]
    assert "bob@example.org: may be mailed" in vigie(*command, code=1).stdout
    [row] = rows(vigie("suppressions", "list", "--recipient", "ann@example.org", "--json"))
    assert (row["customer"], row["reason"], row["text"], row["stream"]) == ("acme", "manual", "by phone", None)
    assert row["ref"] in vigie("suppressions", "list").stdout
    vigie("suppressions", "remove", "ann@example.org", "--customer", "acme", code=2)
    assert "asked us" in vigie("suppressions", "remove", "ann@example.org", "--customer", "acme", "--reason", "asked us").stdout
    vigie(*command)
    assert "nobody" in vigie("suppressions", "list").stderr
    assert len(rows(vigie("suppressions", "list", "--lifted", "--json"))) == 1
    assert "nothing holds" in vigie("suppressions", "remove", "ann@example.org", "--customer", "acme", "--reason", "x", code=2).stderr


def test_a_stream_alone_can_be_closed_and_opened(vigie):
    vigie("suppressions", "add", "ann@example.org", "--customer", "acme", "--stream", "newsletter", "--reason", "unsubscribe")
    vigie("suppressions", "check", "ann@example.org", "--customer", "acme")
    vigie("suppressions", "check", "ann@example.org", "--customer", "acme", "--stream", "newsletter", code=1)
    vigie("suppressions", "remove", "ann@example.org", "--customer", "acme", "--stream", "newsletter", "--reason", "x", "--json")
    vigie("suppressions", "check", "ann@example.org", "--customer", "acme", "--stream", "newsletter")


def test_a_list_goes_out_and_comes_in_again(vigie, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("email,reason\nann@example.org,complaint\nnobody,complaint\n")
    imported = vigie("suppressions", "import", path, "--customer", "acme", "--json")
    assert rows(imported) == [{"added": 1, "already": 0, "rejected": 1}]
    assert "line 3: email: no mail address" in imported.stderr
    exported = vigie("suppressions", "export", "--customer", "acme").stdout
    assert exported.startswith("customer,ref,reason,stream,since")
    assert rows(vigie("suppressions", "import", "--customer", "acme", "--json", stdin=exported)) == [
        {"added": 0, "already": 1, "rejected": 0}]
    assert rows(vigie("suppressions", "export", "--format", "ndjson"))[0]["reason"] == "complaint"


def test_what_nobody_can_mean_is_said_plainly(vigie):
    assert "no customer acmee" in vigie("suppressions", "add", "ann@example.org", "--customer", "acmee", code=2).stderr
    assert "no stream nope" in vigie("suppressions", "add", "a@example.org", "--customer", "acme", "--stream", "nope", code=2).stderr
    assert "no suppressions" in vigie("suppressions", "import", "--customer", "acme", stdin="", code=2).stderr
    vigie("suppressions", "add", "ann@example.org", "--customer", "acme", "--reason", "dislike", code=2)


def test_a_token_is_made_and_read_back_from_a_return_path_in_capitals(vigie, store):
    [made] = rows(vigie("token", "make", "--customer", "acme", "--stream", "newsletter", "--recipient", "ann@example.org", "--json"))
    [read] = rows(vigie("token", "read", made["return_path"].upper(), "--json"))
    assert read == {"customer": "acme", "stream": "newsletter", "campaign": None,
                    "recipient_ref": store.recipient_ref("acme", "ann@example.org")}
    assert "customer: acme" in vigie("token", "read", made["token"]).stdout
    assert "X-Vigie-Token" in vigie("token", "make", "--customer", "bolt").stdout


def test_what_is_no_token_is_a_finding_and_an_unknown_name_a_mistake(vigie):
    assert "no token of ours" in vigie("token", "read", "b+redacted@example.com", code=1).stderr
    assert "no customer" in vigie("token", "make", "--customer", "nobody", code=2).stderr
    assert "no stream" in vigie("token", "make", "--customer", "bolt", "--stream", "newsletter", code=2).stderr


def test_a_long_list_is_written_in_pieces_with_its_progress_and_again_adds_nothing(vigie, tmp_path, monkeypatch):
    monkeypatch.setattr("monitor.commands.suppressions.PROGRESS_EVERY", 20_000)
    path = tmp_path / "list.txt"
    path.write_text("".join(f"user{number}@example.org\n" for number in range(21_000)) + "nobody\n")
    taken = vigie("suppressions", "import", path, "--customer", "acme")
    assert taken.stdout == "21000 added, 0 already, 1 rejected\n"
    assert taken.stderr.splitlines() == ["20,000 lines", "line 21001: address: no mail address"]
    assert vigie("suppressions", "import", path, "--customer", "acme").stdout == "0 added, 21000 already, 1 rejected\n"
