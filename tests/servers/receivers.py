"""Receivers of messages on loopback that behave as the real ones do: they take, refuse, answer 429, hang, and take without answering."""

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OK, HANG, TAKE_AND_HANG = "ok", "hang", "take and hang"


class Receiver:
    """`plan` holds what the next requests meet: OK, HANG, TAKE_AND_HANG, a status, or (status, headers); then all is taken.

    `answer(path, body, headers, method)` gives status and JSON; what was taken is in `taken` as (path, body).
    """

    def __init__(self):
        self.plan, self.taken, self.headers, self.raw = deque(), [], [], []
        self._over = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                receiver._handle(self)

            do_PUT = do_POST
            do_GET = do_POST

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path, body, headers, method):
        return 200, {}

    def _handle(self, request):
        raw = request.rfile.read(int(request.headers.get("content-length") or 0))
        step = self.plan.popleft() if self.plan else OK
        if step == HANG:
            self._over.wait()
            return
        if step in (OK, TAKE_AND_HANG):
            body = json.loads(raw) if raw.startswith(b"{") else {"text": raw.decode()}
            self.taken.append((request.path, body))
            self.headers.append(dict(request.headers))
            self.raw.append(raw)
            status, answer, more = *self.answer(request.path, body, request.headers, request.command), {}
        else:
            status, more = step if isinstance(step, tuple) else (step, {})
            answer = {"error": "as planned"}
        if step == TAKE_AND_HANG:
            self._over.wait()
            return
        content = json.dumps(answer).encode()
        request.send_response(status)
        for name, value in {**more, "content-type": "application/json", "content-length": str(len(content))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._over.set()
        self._server.shutdown()
        self._server.server_close()


class SlackServer(Receiver):
    """Slack's web API as far as messages go: posts, threads, edits; 200 with `ok: false` for what it refuses."""

    def __init__(self, token="xoxb-1"):
        self.token, self.messages = token, {}
        super().__init__()

    def answer(self, path, body, headers, method):
        if headers["authorization"] != f"Bearer {self.token}":
            return 200, {"ok": False, "error": "invalid_auth"}
        if path == "/api/chat.postMessage":
            ts = f"1700000000.{len(self.messages):06}"
            if body.get("thread_ts") not in {None, *self.messages}:
                return 200, {"ok": False, "error": "thread_not_found"}
            self.messages[ts] = {**body, "edited": False}
            return 200, {"ok": True, "ts": ts, "channel": "C0" + body["channel"].lstrip("#")}
        if path == "/api/chat.update" and body["ts"] in self.messages:
            self.messages[body["ts"]] |= {**body, "edited": True}
            return 200, {"ok": True, "ts": body["ts"], "channel": body["channel"]}
        return 200, {"ok": False, "error": "message_not_found"}


class MattermostServer(Receiver):
    """Mattermost's posts."""

    def __init__(self, token="bot-1"):
        self.token, self.posts = token, {}
        super().__init__()

    def answer(self, path, body, headers, method):
        if headers["authorization"] != f"Bearer {self.token}":
            return 401, {"id": "api.context.session_expired.app_error"}
        if (method, path) == ("POST", "/api/v4/posts"):
            if body.get("root_id") and body["root_id"] not in self.posts:
                return 400, {"id": "api.post.create_post.root_id.app_error"}
            name = f"post{len(self.posts)}"
            self.posts[name] = {**body, "edited": False}
            return 201, {"id": name, **body}
        name = path.split("/")[-2]
        if method == "PUT" and path.endswith("/patch") and name in self.posts:
            self.posts[name] |= {**body, "edited": True}
            return 200, {"id": name}
        return 404, {}


class PagerDutyServer(Receiver):
    """Events API v2: alerts by their `dedup_key`; what lacks a field is 400."""

    def __init__(self, key="R1"):
        self.key, self.alerts = key, {}
        super().__init__()

    def answer(self, path, body, headers, method):
        action = body.get("event_action")
        payload = body.get("payload", {})
        complete = all(payload.get(name) for name in ("summary", "source", "severity")) and len(payload["summary"]) <= 1024
        if body.get("routing_key") != self.key or action not in {"trigger", "resolve"} or (action == "trigger" and not complete):
            return 400, {"status": "invalid event"}
        if action == "trigger" or body["dedup_key"] in self.alerts:
            self.alerts[body["dedup_key"]] = "triggered" if action == "trigger" else "resolved"
        return 202, {"status": "success", "dedup_key": body["dedup_key"]}
