"""A web hook on loopback that remembers what was sent to it; it can be set to fail."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ChatHook:
    """`with ChatHook() as chat:` `chat.url` takes JSON messages into `chat.messages`."""

    def __init__(self):
        self.messages = []
        self.status = 200
        self.attempts = 0
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                hook.attempts += 1
                if hook.status == 200:
                    hook.messages.append(json.loads(body))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def keys(self, event):
        """The incident ids for which this event was notified, with repeats; those of a digest too."""
        pairs = [pair.rsplit(":", 1) for message in self.messages for pair in message.get("incidents", "").split(",") if pair]
        return [incident for incident, what in pairs if what == event]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
