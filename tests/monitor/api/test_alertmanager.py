"""Alertmanager's own `amtool` speaks to a running Vigie: alerts, silences, routes, and only what its key may see."""

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from monitor.config.settings import Api
from monitor.database.tables import Customer, Incident
from monitor.incidents.matchers import parse
from monitor.notify.message import Receiver
from monitor.notify.routing import Route, Routing
from tests.monitor.api.running import NOW, running
from tests.waiting import PATIENCE_SECONDS

ROUTING = Routing(
    [Receiver("cell"), Receiver("pager"), Receiver("acme-contact", customers=frozenset({"acme"}))],
    Route(receiver="cell", group_by=("rule", "customer"), routes=(
        Route((parse("severity=critical"),), "pager", ("rule",), goes_on=True, name="0"),
        Route((parse("customer=acme"),), "acme-contact", name="1"),
    )),
)  # fmt: skip


@pytest.fixture
def vigie(store):
    with running(store, settings=Api(console="open", public_url="https://vigie.example"), routing=ROUTING) as started:
        yield started


def incident(name, customer, rule="complaint-rate", state="firing", severity="critical"):
    return Incident(
        id=name, rule=rule, subject_key=name, open_key=name, subject={"customer": customer, "provider": "gmail"}, state=state,
        severity=severity, summary=f"too many at {customer}", started_at=NOW - timedelta(hours=1), judged_at=NOW,
        fired_at=None if state == "pending" else NOW - timedelta(minutes=30),
    )


@pytest.fixture
def fired(vigie):
    with vigie.store.session() as session:
        session.add_all([Customer(id="acme", name="Acme"), Customer(id="bolt", name="Bolt")])
        session.add_all([
            incident("inc-acme", "acme"), incident("inc-bolt", "bolt", "ip-listed", severity="warning"),
            incident("inc-slow", "acme", "deferrals", "recovering"), incident("inc-maybe", "acme", "blocks", "pending"),
        ])
    vigie.clock.now = datetime.now(UTC)  # amtool goes by its own clock
    vigie.gate.refresh(vigie.store, vigie.clock.now, everything=True)
    return vigie


@pytest.fixture
def amtool(fired, tmp_path):
    """`amtool` with a key; what it prints as JSON, or its error."""

    def run(*arguments, customer=None, scopes=("read", "operate"), fails=False, plain=False):
        key = fired.client(*scopes, customer=customer).headers["Authorization"].removeprefix("Bearer ")
        config = tmp_path / "http.yml"
        config.write_text(f"authorization: {{type: Bearer, credentials: {key}}}\n")
        done = subprocess.run(
            ["amtool", f"--alertmanager.url={fired.url}", f"--http.config.file={config}", "--no-version-check",
             *([] if plain else ["--output=json"]), *arguments],
            capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS, env={**os.environ, "HOME": str(tmp_path)},
        )  # fmt: skip
        fired.clock.now = datetime.now(UTC)
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stdout + done.stderr if fails or plain else json.loads(done.stdout or "null")

    return run


pytestmark = pytest.mark.real("amtool")


def names(alerts):
    return sorted(each["labels"]["incident"] for each in alerts)


def test_alerts_are_what_fires_or_recovers(amtool):
    alerts = amtool("alert", "query")
    assert names(alerts) == ["inc-acme", "inc-bolt", "inc-slow"]
    (acme,) = amtool("alert", "query", "alertname=complaint-rate")
    assert acme["labels"] == {
        "alertname": "complaint-rate", "rule": "complaint-rate", "severity": "critical", "incident": "inc-acme",
        "customer": "acme", "provider": "gmail",
    }
    assert acme["annotations"]["summary"] == "too many at acme"
    assert acme["generatorURL"] == "https://vigie.example/incidents/inc-acme"
    assert [each["name"] for each in acme["receivers"]] == ["pager", "acme-contact"]
    assert names(amtool("alert", "query", "customer=~ac.*", 'alertname!="deferrals"')) == ["inc-acme"]
    assert names(amtool("alert", "query", "--receiver=cell")) == ["inc-bolt"]


def test_a_silence_is_put_on_asked_for_changed_and_ended(amtool, fired):
    added = amtool("silence", "add", "alertname=~complaint-.*", "customer!=bolt", "--comment=move of the pool", "--author=dana",
                   "--duration=2h", plain=True).strip()
    (shown,) = amtool("silence", "query")
    assert (shown["id"], shown["status"]["state"], shown["comment"]) == (added, "active", "move of the pool")
    assert shown["createdBy"] == "read-operate (dana)"
    assert {(each["name"], each["value"], each["isRegex"], each["isEqual"]) for each in shown["matchers"]} == {
        ("rule", "complaint-.*", True, True), ("customer", "bolt", False, False),
    }
    assert names(amtool("alert", "query")) == ["inc-bolt", "inc-slow"]
    assert names(amtool("alert", "query", "--silenced")) == ["inc-acme"]
    changed = amtool("silence", "update", "--comment=longer", "--duration=4h", added)
    assert [each["comment"] for each in changed] == ["longer"]
    (standing,) = amtool("silence", "query")
    assert standing["id"] != added
    assert amtool("silence", "query", "--expired", "--within=0s")[0]["id"] == added
    amtool("silence", "expire", standing["id"], plain=True)
    assert amtool("silence", "query") == []
    assert names(amtool("alert", "query")) == ["inc-acme", "inc-bolt", "inc-slow"]


def test_what_nobody_should_silence_is_refused_with_the_reason(amtool):
    add = ("silence", "add", "--comment=x", "--author=d", "--duration=1h")
    assert "not known" in amtool(*add, r"customer=~\bx", fails=True)
    assert "silence everything" in amtool(*add, "customer=~.*", fails=True)
    assert "cannot match on planet" in amtool(*add, "planet=mars", fails=True)
    assert "404" in amtool("silence", "expire", "sil-nope", fails=True)


def test_a_customers_key_sees_and_silences_its_own(amtool, fired):
    def own(*arguments, **options):
        return amtool(*arguments, customer="acme", **options)

    amtool("silence", "add", "customer=bolt", "--comment=bolts secret", "--author=d", plain=True)
    assert own("silence", "query") == []
    alerts = own("alert", "query")
    assert names(alerts) == ["inc-acme", "inc-slow"]
    assert {each["name"] for alert in alerts for each in alert["receivers"]} == {"acme-contact"}
    add = ("silence", "add", "--comment=x", "--author=d")
    assert "403" in own(*add, "customer=bolt", fails=True)
    assert "403" in own(*add, "severity=critical", fails=True)
    assert "403" in own(*add, "customer=~acme|bolt", fails=True)
    made = own(*add, "customer=acme", "provider=~g.*", plain=True).strip()
    assert [each["id"] for each in own("silence", "query")] == [made]
    assert names(own("alert", "query")) == []
    assert names(amtool("alert", "query")) == ["inc-acme", "inc-slow"]  # we go on hearing of it; what is bolt's we silenced
    (bolts,) = amtool("silence", "query", "customer=bolt")
    assert "404" in own("silence", "expire", bolts["id"], fails=True)
    assert "403" in own(*add, "customer=acme", scopes=("read",), fails=True)


def test_routes_are_shown_as_alertmanager_writes_them(amtool):
    shown = amtool("config", "routes", "test", "--verify.receivers=pager,acme-contact", "alertname=x", "severity=critical", "customer=acme", plain=True)
    assert "pager" in shown
    assert "receiver: cell" in amtool("config", "routes", "show", plain=True)


def test_groups_and_receivers(fired):
    reader, own = fired.client("read"), fired.client("read", customer="acme")
    assert [each["name"] for each in reader.get("/api/v2/receivers").json()] == ["cell", "pager", "acme-contact"]
    assert [each["name"] for each in own.get("/api/v2/receivers").json()] == ["acme-contact"]
    routes = own.get("/api/v2/status").json()["config"]["original"]
    assert "acme-contact" in routes
    assert not any(strange in routes for strange in ("cell", "pager", "severity"))
    groups = reader.get("/api/v2/alerts/groups").json()
    assert [(each["receiver"]["name"], each["labels"], names(each["alerts"])) for each in groups] == [
        ("acme-contact", {"incident": "inc-acme"}, ["inc-acme"]), ("acme-contact", {"incident": "inc-slow"}, ["inc-slow"]),
        ("cell", {"alertname": "ip-listed", "customer": "bolt"}, ["inc-bolt"]),
        ("pager", {"alertname": "complaint-rate"}, ["inc-acme"]), ("pager", {"alertname": "deferrals"}, ["inc-slow"]),
    ]
    assert fired.client().get("/api/v2/alerts").status_code == 401
    assert reader.get("/api/v2/alerts", params={"filter": "x"}).status_code == 400
    assert reader.post("/api/v2/silences", json={}).status_code == 403
