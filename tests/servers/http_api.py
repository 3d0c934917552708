"""An HTTP API on loopback whose answers a test writes: statuses, pages, slow, cut and packed bodies."""

import gzip
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Reply:
    """`cut`: the connection ends so many bytes before the body does. `after`: seconds before it begins."""

    status: int = 200
    body: object = b""
    headers: dict = field(default_factory=dict)
    cut: int = 0
    after: float = 0.0

    @property
    def written(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Asked:
    method: str
    path: str
    query: dict
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def packed(reply):
    return Reply(reply.status, gzip.compress(reply.written), {"Content-Encoding": "gzip", **reply.headers})


class HttpApi:
    """`with HttpApi(answer) as api:` where `answer(request)` gives the Reply; `asked` holds what came."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self):
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Asked(self.command, parts.path, query, headers, self.rfile.read(int(self.headers.get("content-length", 0))))
                api.asked.append(request)
                self._reply(api.answer(request))

            do_GET = do_POST = _serve

            def _reply(self, reply):
                time.sleep(reply.after)
                written = reply.written
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if not any(name.lower() == "content-type" for name in reply.headers):
                    self.send_header("Content-Type", "application/json; charset=UTF-8")
                self.send_header("Content-Length", str(len(written)))
                self.end_headers()
                try:
                    self.wfile.write(written[: len(written) - reply.cut] if reply.cut else written)
                except OSError:
                    return
                if reply.cut:
                    self.close_connection = True

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
