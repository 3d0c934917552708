"""An authorization server on loopback: a token endpoint (RFC 6749) for Vigie, a tokeninfo endpoint for Dovecot."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class AuthorizationServer:
    """`with AuthorizationServer() as server:` whoever shows `refresh_token` gets an access token of `user`.

    `rotates`: each use replaces the refresh token, and the old one is refused from then on. `answer`: (status, body)
    to give instead. `asked` holds the forms that came.
    """

    def __init__(self):
        self.user = "fbl"
        self.refresh_token = "refresh-0"
        self.rotates = False
        self.expires_in = 3600
        self.answer = None
        self.valid = {}  # access token → user
        self.asked = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                server.asked.append(form)
                self._reply(*(server.answer or server.granted(form)))

            def do_GET(self):
                token = parse_qs(urlsplit(self.path).query).get("access_token", [""])[0]
                user = server.valid.get(token)
                self._reply(200, {"email": user, "active": True}) if user else self._reply(401, {"error": "invalid_token"})

            def _reply(self, status, body):
                written = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(written)))
                self.end_headers()
                self.wfile.write(written)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.token_url = f"{self.base}/token"
        self.tokeninfo_url = f"{self.base}/tokeninfo?access_token="
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def granted(self, form):
        if form.get("refresh_token") != self.refresh_token:
            return 400, {"error": "invalid_grant", "error_description": f"no such token {form.get('refresh_token')}"}
        token = self.issue()
        granted = {"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in}
        if self.rotates:
            self.refresh_token = f"refresh-{len(self.asked)}"
            granted["refresh_token"] = self.refresh_token
        return 200, granted

    def issue(self):
        """A new access token that opens the mailbox of `user`."""
        token = f"access-{self.user}-{len(self.valid)}"
        self.valid[token] = self.user
        return token

    def revoke(self):
        """No access token given so far opens anything."""
        self.valid = dict.fromkeys(self.valid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
