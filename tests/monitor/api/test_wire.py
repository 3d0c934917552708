import ast
import typing
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel
from sqlmodel import SQLModel

import monitor.commands
from monitor.api.app import ROUTERS
from monitor.api.given import Paging
from monitor.commands.printing import print_json
from monitor.facts.wire import Trace
from monitor.wire import Wire

ROUTES = [route for module in ROUTERS for route in module.router.routes if isinstance(route, APIRoute)]
COMMANDS = sorted(Path(monitor.commands.__file__).parent.glob("*.py"))
UNPAGED = {"/v1/suppressions/export"}  # a stream of lines


def types_in(annotation, seen=()):
    """Every class a type is made from, through containers, unions and the fields of models."""
    if annotation in seen:
        return
    if isinstance(annotation, type):
        yield annotation
    for part in typing.get_args(annotation):
        yield from types_in(part, seen)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for field in annotation.model_fields.values():
            yield from types_in(field.annotation, (*seen, annotation))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{','.join(route.methods)} {route.path}")
def test_no_route_answers_with_a_row_of_the_database(route):
    rows = [each.__name__ for each in types_in(route.response_model) if issubclass(each, SQLModel)]
    assert rows == []


def test_the_walk_finds_a_row_however_deep_it_lies():
    class Outer(BaseModel):
        inner: dict[str, list["Inner"] | None]

    class Inner(BaseModel):
        row: "Kept"

    class Kept(SQLModel):
        pass

    Inner.model_rebuild(_types_namespace={"Kept": Kept})
    Outer.model_rebuild(_types_namespace={"Inner": Inner})
    assert Kept in set(types_in(list[Outer]))


@pytest.mark.parametrize("file", COMMANDS, ids=lambda file: file.name)
def test_commands_print_json_by_one_function_only(file):
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)}
    printers = {call for call in calls if call.endswith((".dumps", ".dump_json", ".model_dump_json"))}
    allowed = {"printing.py": {"orjson.dumps"}, "gate.py": {"orjson.dumps"}}  # the gate's decision is a wire form of its own
    assert printers <= allowed.get(file.name, set())


def test_that_function_takes_wire_models_and_a_wire_model_is_no_row():
    assert typing.get_type_hints(print_json)["shown"] is Wire
    for model in subclasses(Wire):
        assert not issubclass(model, SQLModel)
        assert not [each for each in types_in(model) if issubclass(each, SQLModel)], model


def subclasses(model):
    for each in model.__subclasses__():
        yield each
        yield from subclasses(each)


def test_what_is_ours_alone_is_not_in_any_wire_model():
    inside = {"open_key", "subject_key", "scope_key", "counted_until", "notified_members", "recipient_hash", "sha256"}
    assert {name for model in subclasses(Wire) for name in model.model_fields} & inside == set()
    assert "recipient_ref" in Trace.model_fields


# Alertmanager's clients know no pages; a preview is the answer to a question, and bounded
NOT_PAGED = {"/api/v2/alerts", "/api/v2/alerts/groups", "/api/v2/receivers", "/api/v2/silences", "/v1/silences/preview"}


def lists():
    return [route for route in ROUTES if typing.get_origin(route.response_model) is list]


def test_lists_that_are_not_paged_are_still_there():
    assert {route.path for route in lists()} >= NOT_PAGED


@pytest.mark.parametrize("route", [route for route in lists() if route.path not in NOT_PAGED], ids=lambda route: route.path)
def test_every_list_is_paged_the_same_way(route):
    assert any(each.call is Paging for each in route.dependant.dependencies)
