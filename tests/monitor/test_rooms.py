"""Every room has a floor and a line in the README, and the queries of a table stand beside its feature."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import monitor.database.tables as tables

ROOT = Path(tables.__file__).parents[3]
_FACTS = {"facts", "database"}
_INVENTORY = {"inventory"}
# table → the rooms that may query it; more than one where a room joins or locks it on purpose
HOMES = {
    "AbuseCase": {"abuse"},
    "AllowanceAnswer": {"warmup"},
    "AllowanceGrant": {"warmup"},
    "AllowancePart": {"warmup"},
    "ApiKey": {"access"},
    "BatchRow": _FACTS,
    "CountedRow": _FACTS,
    "Cursor": {"facts", "abuse"},  # what was read already is moved in the transaction of what came of it
    "Customer": _INVENTORY,
    "Daily": _FACTS,
    "EvidenceRow": _FACTS,
    "FblEnrolment": {"feedback_loops"},
    "Hourly": _FACTS,
    "Incident": {"incidents", "restrictions"},
    "IncidentLink": {"incidents"},
    "Job": {"database"},
    "JudgedRule": {"judging"},
    "Latest": _FACTS,
    "Listing": {"listings"},
    "MailboxProvider": _INVENTORY,
    "Outbox": {"notify"},
    "ParkedRow": _FACTS,
    "Pool": _INVENTORY,
    "Reading": _FACTS,
    "RecordKey": _FACTS,
    "ReportMailbox": _INVENTORY,
    "RollupDue": _FACTS,
    "Run": _FACTS,
    "Seed": _INVENTORY,
    "SendingDomain": _INVENTORY,
    "SendingIp": _INVENTORY,
    "Series": _FACTS,
    "Setting": _FACTS,
    "Silence": {"incidents"},
    "Stream": _INVENTORY,
    "Suppression": {"suppressions"},
    "Suspension": {"restrictions"}, "Recovery": {"restrictions"}, "ShadowSuspension": {"restrictions"},
    "TraceRow": _FACTS,
    "Transition": _FACTS,  # what followers go by
    "VerdictRow": {"judging", "incidents"},
    "WarmUp": {"warmup"},
    "WarmUpDay": {"warmup"},
}
_ACROSS = {"database/erase.py", "database/kept.py"}  # a person's data goes out of every table; each has its time
_QUERIES = {"select", "get", "table", "delete", "update", "aliased", "join", "outerjoin"}


def _queried(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in _QUERIES:
                for part in (each for argument in node.args for each in ast.walk(argument)):
                    if isinstance(part, ast.Name) and part.id in HOMES:
                        yield node.lineno, part.id


def test_every_table_has_a_home():
    assert set(HOMES) == {name for name in tables.__all__ if hasattr(getattr(tables, name), "__tablename__")}


def test_queries_are_seen():
    tree = ast.parse("select(Run).where(x)\nsession.get(Listing, 1)\ninsert(table(Outbox))")
    assert sorted(name for _, name in _queried(tree)) == ["Listing", "Outbox", "Run"]


def test_a_table_is_queried_at_home_only():
    strays = [
        f"{path.relative_to(ROOT)}:{line} queries {name}"
        for path in sorted((ROOT / "monitor").rglob("*.py"))
        for line, name in _queried(ast.parse(path.read_text("utf-8")))
        if (room := path.relative_to(ROOT / "monitor")).parts[0] not in HOMES[name] and str(room) not in _ACROSS
    ]
    assert strays == []


def _floors() -> list[str]:
    """The rooms of monitor that are there, from the top down, as import-linter holds them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    [floors] = [each for each in contracts if each.get("containers") == ["monitor"]]
    assert floors["exhaustive"]
    names = [name.strip() for layer in floors["layers"] for name in layer.split("|")]
    return [name for name in names if not name.startswith("(") and name != "__main__"]


def test_the_readme_has_a_line_for_every_room_in_the_order_of_the_floors():
    table = (ROOT / "monitor" / "README.md").read_text("utf-8").partition("| room |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    rooms = [name for cell in cells for name in re.findall(r"`(\w+)(?:/|\.py)`|\[(\w+)/\]", cell)]
    assert ["".join(pair) for pair in rooms] == _floors()
