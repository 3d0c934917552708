"""Closed words have one definition: what is stored, offered and documented is taken from it."""

import ast
import enum
import importlib
import pkgutil
import typing
from pathlib import Path

import click
import pytest

import collectors
import monitor
from collectors.traces import TRACE_KINDS, TraceKind
from monitor.cli import cli
from monitor.config.receivers import Receiver
from monitor.config.severity import GRAVEST_FIRST, Severity, worst
from monitor.database.engine import table
from monitor.database.tables import FOLLOWED_KINDS, Listing, Outbox, Run
from monitor.facts.runs import Outcome
from monitor.notify.outbox import OutboxState
from monitor.rules.conditions.listing import Listing as ListingRule
from monitor.rules.lists import Phase
from monitor.suppressions.rows import RULES, SUPPRESSING

ROOTS = (collectors, monitor)


def _modules() -> list[str]:
    return [
        module.name for root in ROOTS for module in pkgutil.walk_packages(root.__path__, f"{root.__name__}.")
        if "migrations" not in module.name and not module.name.endswith("__main__")
    ]  # fmt: skip


def _enums() -> list[type[enum.StrEnum]]:
    defined = {
        value for name in _modules() for value in vars(importlib.import_module(name)).values()
        if isinstance(value, type) and issubclass(value, enum.StrEnum) and value is not enum.StrEnum
        and value.__module__.partition(".")[0] in {"collectors", "monitor"}
    }  # fmt: skip
    return sorted(defined, key=lambda each: (each.__module__, each.__name__))


ENUMS = _enums()


def _literals() -> list[tuple[str, frozenset[str]]]:
    """Every Literal[...] of several words written out in the source, with its file."""
    literals = []
    for root in ROOTS:
        for path in Path(root.__path__[0]).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "Literal":
                    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                    words = frozenset(part.value for part in parts if isinstance(part, ast.Constant))
                    literals += [(path.name, words)] if len(words) > 1 else []
    return literals


LITERALS = _literals()


def test_no_two_enums_say_the_same_words():
    words = [frozenset(each) for each in ENUMS]
    assert len(set(words)) == len(words), [each.__qualname__ for each in ENUMS if words.count(frozenset(each)) > 1]


@pytest.mark.parametrize("each", ENUMS, ids=lambda each: each.__qualname__)
def test_no_literal_repeats_an_enum(each: type[enum.StrEnum]):
    assert [name for name, words in LITERALS if words == frozenset(each)] == []


def test_no_two_literals_say_the_same_words():
    words = [each for _, each in LITERALS]
    assert [(name, sorted(each)) for name, each in LITERALS if words.count(each) > 1] == []


def test_every_kind_of_trace_has_a_row_and_a_meaning():
    assert list(TRACE_KINDS) == list(TraceKind)
    assert all(row.meaning for row in TRACE_KINDS.values())


def test_what_forbids_a_recipient_is_decided_for_every_kind_of_trace_about_one():
    assert set(RULES) == {kind for kind, row in TRACE_KINDS.items() if row.recipient}
    assert {TraceKind.COMPLAINT, TraceKind.BOUNCE, TraceKind.UNSUBSCRIBE} == SUPPRESSING


def test_traces_that_become_cases_are_those_the_index_is_for():
    assert FOLLOWED_KINDS == ("abuse_letter", "abuse_report")  # the index in the database says so


def test_a_change_of_state_is_written_in_words_that_are_defined_once():
    written = []
    for path in Path(monitor.__path__[0]).rglob("*.py"):
        if "migrations" in path.parts:
            continue
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Transition":
                written += [f"{path.name}:{each.value.lineno}" for each in call.keywords
                            if each.arg in {"kind", "old", "new"} and isinstance(each.value, ast.Constant)]
    assert written == []


def test_there_is_one_scale_of_severities():
    assert [*Severity] == ["info", "warning", "critical"]
    assert [*GRAVEST_FIRST] == ["critical", "warning", "info"]
    assert worst(["info", "critical", "warning"]) is Severity.CRITICAL
    assert Receiver.model_fields["severities"].default == frozenset(Severity)
    assert set(typing.get_args(ListingRule.model_fields["severity"].annotation)) == {*Severity, "auto"}


def test_the_index_of_open_listings_knows_the_last_phase():
    index = next(each for each in table(Listing).indexes if each.name == "listing_open")
    assert str(index.dialect_options["sqlite"]["where"]) == f"phase <> '{Phase.CLEARED}'"


def test_a_row_begins_as_its_enum_says():
    assert Outbox.model_fields["state"].default == OutboxState.WAITING
    assert Run.model_fields["outcome"].default == Outcome.RUNNING


def _choices(command: click.Command) -> list[frozenset[str]]:
    own = [frozenset(map(str, each.type.choices)) for each in command.params if isinstance(each.type, click.Choice)]
    context = click.Context(command)
    inner = [command.get_command(context, name) for name in command.list_commands(context)] if isinstance(command, click.Group) else []
    return own + [choice for each in inner if each is not None for choice in _choices(each)]


def test_commands_offer_words_of_an_enum_or_of_data():
    words = [frozenset(each) for each in ENUMS]
    offered = {each for each in _choices(cli) if len(each) > 2}
    partly = [each for each in offered if each not in words and any(each < known for known in words)]
    assert partly == []
