"""Whatever is sent to whatever call: an answer it documents, never a fault of ours; made from the OpenAPI document."""

import json
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.monitor.api.running import running, seen

HEAVY = {"/metrics"}
NASTY = ["", "\0", "\ud800", "\udfff", "é", "a\rb", "\u202e", "0", "-1", str(2**63), str(2**64), "1" + "0" * 30, "1e400", "NaN", "null",
         "[]", "{}", "x" * 300, "%00", "../..", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-01-02T03:04:05Z",
         "acme", "gmail", "192.0.2.1", "::ffff:192.0.2.1", "fe80::1%eth0", "news.example", "xn--", "delivered", "true"]  # fmt: skip
texts = st.sampled_from(NASTY) | st.text(st.characters(), max_size=20)
numbers = st.sampled_from([0, 1, -1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, -(10**30), 0.5, 1e300])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.real("postgres"))])
def api(request, tmp_path_factory):
    from monitor.intake.consequences import open_store

    url = f"sqlite:///{tmp_path_factory.mktemp('any') / 'vigie.sqlite'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_cluster").fresh_database()
    store = open_store(url)
    store.migrate()
    with running(store) as vigie:
        admin = vigie.client("admin")
        admin.put("/v1/inventory/customers/acme", json={"name": "Acme"})
        yield admin, admin.get("/openapi.json").json()
    store.close()


def resolved(document, schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def valid(document, schema, depth=0):
    """Mostly what the schema wants, so that more than the first check is reached."""
    schema = resolved(document, schema)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return st.one_of([valid(document, each, depth) for each in schema[key]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    kind = schema.get("type")
    if isinstance(kind, list):
        return st.one_of([valid(document, schema | {"type": each}, depth) for each in kind])
    if kind == "object" and depth < 3:
        names = schema.get("properties", {})
        fields = {name: valid(document, each, depth + 1) | values for name, each in names.items()}
        some = st.fixed_dictionaries({n: f for n, f in fields.items() if n in schema.get("required", ())},
                                     optional={n: f for n, f in fields.items() if n not in schema.get("required", ())})
        scopes = st.dictionaries(st.sampled_from(["customer", "ip", "domain", "provider", "rule"]) | texts, texts, max_size=3)
        return some if names else scopes | st.dictionaries(texts, values, max_size=3)
    if kind == "array" and depth < 3:
        return st.lists(valid(document, schema.get("items", {}), depth + 1), max_size=3)
    return {"integer": numbers, "number": numbers, "boolean": st.booleans(), "null": st.none(), "string": texts}.get(kind, values)


def wire_json(value):
    return json.dumps(value).encode()  # lone surrogates as \udXXX escapes, numbers of any size


@st.composite
def requests(draw, document):
    path, operations = draw(st.sampled_from(sorted((p, o) for p, o in document["paths"].items() if p not in HEAVY)))
    method = draw(st.sampled_from(sorted(operations)))
    operation = operations[method]
    url, query, headers, body = path, [], {}, None
    for each in operation.get("parameters", ()):
        if not each["required"] and draw(st.booleans()):
            continue
        value = draw(st.one_of(valid(document, each["schema"]), texts))
        text = value if isinstance(value, str) else json.dumps(value)
        quoted = quote(text.encode("utf-8", "surrogatepass"), safe="")
        if each["in"] == "path":
            url = url.replace(f"{{{each['name']}}}", quoted or "x")
        elif each["in"] == "query":
            query.append(f"{quote(each['name'])}={quoted}")
        else:
            headers[each["name"]] = "".join(char for char in text if " " < char < "\x7f") or "x"
    if "requestBody" in operation:
        kind, content = draw(st.sampled_from(sorted(operation["requestBody"]["content"].items())))
        headers["Content-Type"] = kind
        body = draw(st.one_of(
            valid(document, content.get("schema", {})).map(wire_json), values.map(wire_json),
            st.lists(texts, max_size=5).map(lambda cells: ",".join(cells).encode("utf-8", "surrogatepass")), st.binary(max_size=60),
        ))
    return method.upper(), url + ("?" + "&".join(query) if query else ""), headers, body, operation


def test_every_answer_is_one_the_call_documents_and_none_is_a_fault(api):
    client, document = api
    faults = []  # what is stored changes answers, so that a failing example need not fail again: collect, then say

    @settings(max_examples=500, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(requests(document))
    def ask(request):
        method, url, headers, body, operation = request
        answer = seen(client, httpx.Request(method, f"{client.base_url}".rstrip("/") + url, content=body,
                                            headers={"Authorization": client.headers["Authorization"]} | headers))
        # an address that is no call's any more (an empty or dotted part) is answered 404 or 405
        documented = str(answer.status_code) in operation["responses"].keys() | {"404", "405", "307"}
        problem = answer.status_code < 400 or answer.headers.get("content-type") == (
            "application/json" if url.startswith("/api/") else "application/problem+json")
        if answer.status_code >= 500 or not documented or not problem:
            faults.append((method, url, headers, body, answer.status_code, answer.text[:300]))

    ask()
    assert faults == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/suppressions/import?customer=acme", b"a\rb@c.example\r"),
        ("/v1/suppressions/import?customer=acme", b'"' + b"x" * 90_000 + b"\n" + b"x" * 90_000 + b'"'),
        ("/v1/suppressions/import?customer=acme", b"a\0b@c.example\n"),
        ("/v1/suspensions", b'{"reason":"x","scope":{"\\ud800":"acme"}}'),
        ("/v1/suspensions", b'{"reason":"x","scope":{"customer":"\\ud800"}}'),
        ("/v1/suspensions", b'{"reason":"\\ud800","scope":{"customer":"acme"}}'),
        ("/v1/suspensions", b'{"reason":"x","rate_per_hour":1' + b"0" * 30 + b',"scope":{"customer":"acme"},"effect":"slow"}'),
        ("/v1/suspensions", b'{"reason":"x","until":"9999-12-31T23:59:59-14:00","scope":{"customer":"acme"}}'),
        ("/v1/suspensions", b'{"reason":"x","until":1' + b"0" * 40 + b',"scope":{"customer":"acme"}}'),
        ("/v1/suspensions", b"[" * 60_000),
        ("/v1/decision", b'{"customer":"\\ud800"}'),
        ("/v1/decision", b'{"customer":"acme","count":1' + b"0" * 40 + b"}"),
        ("/v1/events/generic", b'{"customer":"\\ud800"}'),
        ("/v1/events/generic", b'[{"at":1' + b"0" * 40 + b',"customer":"acme","outcome":"delivered"}]'),
        ("/v1/inventory/apply", b'customers: [{id: acme, name: "\\ud800"}]'),
        ("/v1/inventory/apply", b"\xff\xfe"),
        ("/v1/inventory/apply", b"customers: &a [*a]"),
    ],
)
def test_input_known_to_break_programs_is_refused_in_words(api, path, body):
    answer = api[0].post(path, content=body, headers={"Content-Type": "application/json" if body[:1] in b"[{" else "text/csv"})
    assert answer.status_code in {200, 400, 422}, answer.text
