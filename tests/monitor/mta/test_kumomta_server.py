"""The port a stock kumod is pointed at, asked by a client that behaves as kumod does."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from monitor.config.mta import KumoMta
from monitor.mta.kumomta.hub import Hub, texts
from monitor.mta.kumomta.translate import ReadyKey, SchedKey, Suspension
from tests.monitor.mta.conftest import now, record, running
from tests.servers.kumod import Kumod
from tests.waiting import eventually


def counted(store, measure):
    sums = store.window_counts([measure], ["customer", "campaign", "ip", "provider"], now() - timedelta(days=1), now() + timedelta(minutes=1))
    return {key: values[measure] for key, values in sums.items()}


def test_a_hold_is_held_and_a_lift_releases_it(platform):
    node = platform.kumod()
    eventually(lambda: node.connects)
    held = platform.hold({"customer": "acme"})
    eventually(lambda: node.holds(tenant="acme", domain="gmail.com", campaign="x"))
    assert not node.holds(tenant="bolt", domain="gmail.com")
    end, reason, rule_hash = node.sched[None, None, "acme"]
    assert (reason, rule_hash) == ("too many complaints", held)
    assert end - now().timestamp() <= 15 * 60  # a lease
    platform.lift(held)
    eventually(lambda: not node.holds(tenant="acme", domain="gmail.com"))
    assert node.faults == []


def test_whoever_connects_hears_of_everything_and_after_a_restart_again(platform):
    platform.hold({"customer": "acme", "campaign": "nl-42"})
    platform.hold({"customer": "bolt"})
    first = platform.kumod()
    eventually(lambda: first.holds(tenant="bolt") and first.holds(tenant="acme", campaign="nl-42"))
    assert not first.holds(tenant="acme", campaign="nl-43")
    again = platform.kumod()  # kumod keeps suspensions in memory only
    eventually(lambda: again.holds(tenant="bolt") and again.holds(tenant="acme", campaign="nl-42"))


def test_a_lift_that_a_node_missed_is_made_up_for_when_it_connects(kumo_store, platform):
    held = platform.hold({"customer": "acme"})
    node = platform.kumod()
    eventually(lambda: node.holds(tenant="acme"))
    node.stop()
    platform.lift(held)
    eventually(lambda: not platform.speaker.hub.held)
    node.start()
    eventually(lambda: not node.holds(tenant="acme"))


def test_two_restrictions_on_one_scope_are_one_suspension_and_the_lift_of_one_leaves_the_other(platform):
    node = platform.kumod()
    first = platform.hold({"customer": "acme"}, reason="listed", until=now() + timedelta(minutes=5))
    platform.hold({"customer": "acme"}, reason="too many complaints")
    eventually(lambda: node.holds(tenant="acme") and set(node.sched[None, None, "acme"][1].split("; ")) == {"listed", "too many complaints"})
    platform.lift(first)
    eventually(lambda: node.sched[None, None, "acme"][1] == "too many complaints")
    assert node.holds(tenant="acme")


def test_a_hold_at_a_provider_follows_the_domains_that_are_seen_there(platform):
    node = platform.kumod()
    platform.hold({"customer": "acme", "provider": "gmail"})
    eventually(lambda: node.holds(tenant="acme", domain="gmail.com") and node.holds(tenant="acme", domain="googlemail.com"))
    assert not node.holds(tenant="acme", domain="workspace.example")
    seen = record(recipient="u@workspace.example", queue="nl-42:acme@workspace.example", site="ip-3->aspmx.l.google.com@smtp_client",
                  peer_address={"name": "aspmx.l.google.com.", "addr": "142.251.2.27"})
    assert node.publish(seen) == 200
    eventually(lambda: node.holds(tenant="acme", domain="workspace.example"))
    assert not node.holds(tenant="acme", domain="example.org")


def test_a_hold_of_an_address_is_a_hold_of_the_ready_queues_seen_from_it(platform):
    node = platform.kumod()
    platform.hold({"ip": "192.0.2.7", "provider": "gmail"})
    node.publish(record())
    node.publish(record(recipient="u@example.org", queue="acme@example.org", site="ip-3->mx.example.org@smtp_client",
                        peer_address={"name": "mx.example.org.", "addr": "203.0.113.1"}))
    eventually(lambda: node.holds(ready=record()["site"]))
    assert not node.holds(ready="ip-3->mx.example.org@smtp_client")
    assert node.frames[-1]["ReadyQSuspension"]["source"] == "ip-3"


def test_what_was_seen_outlives_a_restart(kumo_store):
    with running(kumo_store) as platform:
        assert Kumod(platform.url).publish(record()) == 200
        platform.speaker.write_down(now())
        eventually(lambda: kumo_store.cursor("mta/kumomta", "seen"))
        platform.hold({"ip": "192.0.2.7"})
    with running(kumo_store) as platform:
        node = platform.kumod()
        eventually(lambda: node.holds(ready=record()["site"]))


def test_a_scope_kumomta_cannot_match_is_never_widened_and_said(platform):
    platform.hold({"domain": "acme.example"})
    platform.hold({"customer": "acme", "stream": "news"})
    platform.hold({"customer": "acme", "ip": "192.0.2.7"})
    eventually(lambda: len(platform.speaker.wanted.unspoken) == 3)
    assert dict(platform.speaker.hub.held) == {}
    status = httpx.get(f"{platform.url}/vigie/status").json()
    assert sorted(row["why"] for row in status["unspoken"]) == [
        "KumoMTA's queues do not show the stream (mta.kumomta.mapping.stream is not set)",
        "KumoMTA's queues know no sending domain",
        "a ready queue holds the mail of all customers: customer cannot be separated in it",
    ]


def test_leases_are_renewed_before_they_end():
    hub, start = Hub(timedelta(minutes=15)), now()
    hub.update({SchedKey(None, None, "acme"): Suspension("listed", ("sus-1",), start + timedelta(hours=24))}, start)
    assert hub.renew(start)
    assert not hub.renew(start + timedelta(minutes=4))
    assert hub.renew(start + timedelta(minutes=5))
    ((_, entry),) = hub.replay(start + timedelta(hours=23, minutes=55), lifts=False)
    assert entry["expires"] == f"{start + timedelta(hours=24):%Y-%m-%dT%H:%M:%S}Z"  # never later than the restriction itself


def test_the_frames_are_those_of_kumomtas_own_daemon():
    """Golden: kumo-api-types/src/tsa.rs, externally tagged."""
    hub, at = Hub(timedelta(minutes=15)), datetime(2026, 11, 26, 18, 0, tzinfo=UTC)
    hub.update({
        SchedKey(None, "gmail.com", "acme"): Suspension("listed", ("sus-1", "sus-2"), None),
        ReadyKey("ip-3->gmail@smtp_client", "ip-3"): Suspension("too many complaints", ("sus-3",), at + timedelta(minutes=5)),
    }, at)
    assert texts(hub.replay(at), old=False) == [
        ('{"ReadyQSuspension":{"rule_hash":"sus-3","site_name":"ip-3->gmail@smtp_client","source":"ip-3","reason":"too many complaints",'
        '"expires":"2026-11-26T18:05:00Z"}}'),
        ('{"SchedQSuspension":{"rule_hash":"sus-1,sus-2","tenant":"acme","domain":"gmail.com","campaign":null,"reason":"listed",'
        '"expires":"2026-11-26T18:15:00Z"}}'),
    ]
    hub.update({}, at)
    assert texts(hub.replay(at), old=True)[0] == (
        '{"SchedQ":{"rule_hash":"","tenant":"acme","domain":"gmail.com","campaign":null,"reason":"lifted","expires":"2026-11-25T18:00:00Z"}}')


def test_records_are_counted_once_and_only_what_went_to_a_provider(platform):
    node, delivered = Kumod(platform.url), record()
    for body in (delivered, delivered, record(type="TransientFailure", response={"code": 421, "content": "KumoMTA internal: scheduled queue is suspended: x"}),
                 record(reception_protocol="LogRecord", delivery_protocol="Lua"), record(type="Bounce", response={"code": 550, "content": "5.1.1 no such user"})):
        assert node.publish(body) == 200
    assert counted(platform.store, "delivered") == {("acme", "nl-42", "192.0.2.7", "gmail"): 1}
    assert counted(platform.store, "held_by_us") == {("acme", "nl-42", "192.0.2.7", "gmail"): 1}
    assert counted(platform.store, "hard_bounce") == {("acme", "nl-42", "192.0.2.7", "gmail"): 1}
    assert counted(platform.store, "deferral") == {}


def test_a_poison_record_is_parked_and_answered_200(platform):
    node = Kumod(platform.url)
    for body in (b"{", b"[]", json.dumps(record(response={"code": "x"})).encode(), b'{"type":"Delivery"}', b"{" + b"x" * (3 * 1024 * 1024)):
        assert node.publish(body, tries=1) == 200
    assert httpx.get(f"{platform.url}/vigie/status").json()["records"] == {"counted": 0, "parked": 5}


def test_a_record_that_could_not_be_stored_is_wanted_again(platform, monkeypatch):
    node, take = Kumod(platform.url), platform.store.intake
    failures = [OSError("the database is away")]

    def failing(*arguments, **more):
        if failures:
            raise failures.pop()
        return take(*arguments, **more)

    monkeypatch.setattr(platform.store, "intake", failing)
    assert node.publish(record(), wait_seconds=0.05) == 200
    assert (failures, counted(platform.store, "delivered")) == ([], {("acme", "nl-42", "192.0.2.7", "gmail"): 1})


def test_the_overlay_asks_for_every_record_and_kumod_can_read_it(platform):
    node = Kumod(platform.url)
    assert node.shaping() == {"default": {"automation": [{"regex": ".", "action": "Suspend", "duration": "1m"}]}}
    node.publish(record(provider_name="google"))
    platform.hold({"ip": "192.0.2.7", "provider": "gmail"}, effect="slow", rate_per_hour=480)
    platform.hold({"provider": "gmail"}, effect="slow", rate_per_hour=24_000, until=now() + timedelta(hours=2))
    eventually(lambda: "provider" in node.shaping())
    google = node.shaping()["provider"]["google"]
    assert list(google["sources"]["ip-3"]["additional_source_selection_rates"].values()) == ["480/h,max_burst=20"]
    assert list(google["additional_message_rate_throttles"].values()) == ["24000/h,max_burst=1000"]


def test_the_paths_people_and_old_nodes_ask(platform):
    platform.hold({"customer": "acme"})
    eventually(lambda: platform.speaker.hub.held)
    def get(path, **more):
        return httpx.get(platform.url + path, **more)

    assert get("/tsa/status").text == "TSA Daemon OK"
    assert get("/get_bounce_v1/bounced.json").json() == []
    suspended = get("/get_suspension_v1/suspended.json").json()
    assert [set(entry) for entry in suspended["sched_q"]] == [{"rule_hash", "tenant", "domain", "campaign", "reason", "expires"}]
    overlay = get("/get_config_v1/shaping.toml", headers={"If-None-Match": "*"})
    assert (overlay.status_code, overlay.headers["content-type"].split(";")[0]) == (200, "text/plain")
    assert get("//get_config_v1/shaping.toml").status_code == 200
    assert get("/nothing").status_code == 404


def test_an_old_node_hears_the_old_words(platform):
    platform.hold({"customer": "acme"})
    old = platform.kumod(endpoint="subscribe_suspension_v1")
    eventually(lambda: old.frames)
    assert set(old.frames[0]) == {"SchedQ"}


def test_with_nodes_every_path_stands_behind_a_token(kumo_store):
    settings = KumoMta(nodes={"mx1": {"token": "secret-of-mx1"}, "mx2": {"token": "secret-of-mx2"}})
    with running(kumo_store, settings) as platform:
        for path in ("/tsa/status", "/other-token/tsa/status", "/secret-of-mx/tsa/status", "/"):
            assert httpx.get(platform.url + path).status_code in (403, 404)
        assert httpx.get(f"{platform.url}/secret-of-mx1/tsa/status").status_code == 200
        node = Kumod(f"{platform.url}/secret-of-mx2", batch_seconds=0.05, sleep_seconds=0.2).start()
        platform.nodes.append(node)
        eventually(lambda: node.connects)
        assert httpx.get(f"{platform.url}/secret-of-mx1/vigie/status").json()["subscribers"] == ["mx2"]
        with pytest.raises(ConnectionError):
            Kumod(platform.url).listen()
        assert httpx.post(f"{platform.url}/publish_log_v1", json=record()).status_code == 403


def test_only_allowed_networks_are_answered_and_no_browser(kumo_store):
    with running(kumo_store, KumoMta(allow=["198.51.100.0/24"])) as platform:
        assert httpx.get(f"{platform.url}/tsa/status").status_code == 403
    with running(kumo_store) as platform:
        forged = httpx.post(f"{platform.url}/publish_log_v1", json=record(), headers={"Origin": "https://stranger.example"})
        assert forged.status_code == 403
