"""The queries of a table stand beside the feature the table belongs to."""

import ast
from collections.abc import Iterator
from pathlib import Path

import monitor.database.tables as tables

ROOT = Path(tables.__file__).parents[2]
_FACTS = {"facts", "database"}
_INVENTORY = {"inventory"}
# table → the rooms that may query it; more than one where a room joins or locks it on purpose
HOMES = {
    "AbuseCase": {"abuse"},
    "ApiKey": {"access"},
    "BatchRow": _FACTS,
    "Cursor": {"facts", "abuse"},  # what was read already is moved in the transaction of what came of it
    "Customer": _INVENTORY,
    "Daily": _FACTS,
    "EvidenceRow": _FACTS,
    "FblEnrolment": {"feedback_loops"},
    "Hourly": _FACTS,
    "Incident": {"incidents", "restrictions"},
    "Job": {"database"},
    "Latest": _FACTS,
    "Listing": {"listings"},
    "MailboxProvider": _INVENTORY,
    "Outbox": {"notify"},
    "ParkedRow": _FACTS,
    "Pool": _INVENTORY,
    "Reading": _FACTS,
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
    "Suspension": {"restrictions"},
    "TraceRow": _FACTS,
    "Transition": _FACTS,  # what followers go by
}
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


def test_a_table_is_queried_at_home_only():
    strays = [
        f"{path.relative_to(ROOT)}:{line} queries {name}"
        for path in sorted((ROOT / "monitor").rglob("*.py"))
        for line, name in _queried(ast.parse(path.read_text("utf-8")))
        if path.relative_to(ROOT / "monitor").parts[0] not in HOMES[name]
    ]
    assert strays == []
