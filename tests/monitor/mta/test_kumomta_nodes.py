"""A node's own admin API, played: what is in force there is read back, held mail released, and its clock compared."""

import json
import threading
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from monitor.config.mta import KumoMta
from tests.monitor.mta.conftest import now, record, running
from tests.servers.kumod import Kumod
from tests.waiting import eventually


class Admin(ThreadingHTTPServer):
    """`node` is the kumod whose suspensions it lists; `posts`: what was asked of it."""

    daemon_threads = True
    node, status, posts = None, 200, ()

    def listed(self, path):
        if path == "/api/admin/suspend/v1":
            return [{"id": "x", "campaign": c, "domain": d, "tenant": t, "reason": r} for (c, d, t), (_, r, _) in self.node.sched.items()] if self.node else []
        return [{"id": "y", "name": name, "reason": r} for name, (_, r, _) in self.node.ready.items()] if self.node else []


class Handler(BaseHTTPRequestHandler):
    server: Admin

    def log_message(self, *_):
        pass

    def _answer(self, body):
        raw = json.dumps(body).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self):
        self._answer(self.server.listed(self.path))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.posts = (*self.server.posts, (self.path, body))
        self._answer({})


@contextmanager
def node_with_admin(store):
    server = Admin(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings = KumoMta(nodes={"mx1": {"token": "token-of-mx1", "admin_url": f"http://127.0.0.1:{server.server_port}"}})
    try:
        with running(store, settings) as platform:
            platform.url += "/token-of-mx1"
            yield platform, server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def latest(store, measure):
    return {series.aspect: (held.value, held.reason) for series, held in store.latest(measure)}


def test_after_a_lift_the_queues_meant_are_put_up_for_delivery_and_no_other(kumo_store):
    with node_with_admin(kumo_store) as (platform, admin):
        held = platform.hold({"customer": "acme", "campaign": "nl-1"})
        eventually(lambda: platform.speaker.hub.held)
        platform.lift(held)
        ((path, body),) = eventually(lambda: admin.posts)
        assert path == "/api/admin/rebind/v1"
        assert body == {"tenant": "acme", "campaign": "nl-1", "reason": "Vigie lifted a suspension", "data": {}, "always_flush": True, "suppress_logging": True}


def test_a_node_that_does_not_hold_what_it_was_given_is_seen(kumo_store, monkeypatch):
    monkeypatch.setattr("monitor.mta.kumomta.nodes._SETTLED", timedelta(0))
    with node_with_admin(kumo_store) as (platform, admin):
        eventually(lambda: latest(kumo_store, "mta_in_force") == {"mx1": (1.0, None)})
        platform.hold({"customer": "acme"})
        eventually(lambda: latest(kumo_store, "mta_in_force") == {"mx1": (0.0, None)})  # it does not listen
        admin.node = platform.kumod()
        eventually(lambda: latest(kumo_store, "mta_in_force") == {"mx1": (1.0, None)})
        admin.status = 403
        eventually(lambda: latest(kumo_store, "mta_in_force")["mx1"][1] == "auth", 20)


def test_a_node_whose_clock_is_ahead_is_seen(kumo_store):
    with node_with_admin(kumo_store) as (platform, _):
        ahead = now() + timedelta(minutes=10)
        assert Kumod(platform.url).publish(record(event_time=ahead.isoformat())) == 200
        eventually(lambda: 500 < latest(kumo_store, "mta_clock").get("mx1", (0, None))[0] < 700)
