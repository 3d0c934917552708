"""The OpenAPI document says what is so."""

import json
import re

import pytest
from fastapi.routing import APIRoute

from monitor.api.access import Guard
from monitor.api.app import ROUTERS
from monitor.api.route import ForeignRoute, Route
from tests.monitor.api.test_strangers import sqlite_vigie  # noqa: F401 - a fixture

ROUTES = [route for module in ROUTERS for route in module.router.routes if isinstance(route, APIRoute)]


@pytest.fixture
def document(sqlite_vigie):  # noqa: F811
    return sqlite_vigie.client().get("/openapi.json").json()


def test_every_route_is_of_ours_and_so_asks_for_its_key_first():
    assert {type(route) for route in ROUTES} == {Route, ForeignRoute}
    keyless = {route.path for route in ROUTES if not any(isinstance(each.call, Guard) for each in route.dependant.dependencies)}
    relays = {path for path in keyless if re.fullmatch(r"/v1/events/[a-z]+/\{source\}", path)}  # proven by the relay's own signature instead
    assert len(relays) == 10
    assert keyless - relays == {"/healthz", "/readyz", "/metrics"}


def test_every_operation_documents_its_problems(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            wanted = {"421", "500", "503"} | ({"401", "403"} if "security" in operation else set())
            wanted |= {"400", "408", "413", "422"} if "requestBody" in operation else set()
            wanted |= {"404"} if "{" in path else set()
            assert wanted <= responses.keys(), (method, path)
            for status, response in responses.items():
                if status.startswith(("4", "5")):
                    shown = document["components"]["responses"]["Problem"] if "$ref" in response else response
                    form = "application/json" if path.startswith("/api/") else "application/problem+json"
                    assert list(shown["content"]) == [form], (method, path, status)


def test_the_document_refers_to_nothing_it_does_not_have(document):
    text = json.dumps(document)
    for kind, parts in document["components"].items():
        for name in parts:
            text = text.replace(f'"#/components/{kind}/{name}"', '""')
    assert "#/components" not in text
    assert "HTTPValidationError" not in document["components"]["schemas"]
