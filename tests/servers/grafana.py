"""The five calls of Grafana's HTTP API that publishing makes, answered as Grafana answers them, refusals included.

Source: Grafana's documentation of its HTTP API (folders, dashboards, health). Tokens: `editor`, `viewer`; any other is unknown.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class GrafanaServer:
    """`boards` and `folders` are what it holds; `calls` what was asked. `prefix`: the path it lives under."""

    def __init__(self, prefix: str = "") -> None:
        server = self
        self.boards: dict[str, dict] = {}
        self.folders: dict[str, str] = {}
        self.calls: list[tuple[str, str]] = []
        self.database = "ok"
        self.answer: tuple[int, bytes] | None = None  # what every call is answered with, instead

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._serve(None)

            def do_POST(self) -> None:
                self._serve(json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def _serve(self, body) -> None:
                server.calls.append((self.command, self.path))
                if server.answer is not None:
                    self._send(*server.answer)
                elif not self.path.startswith(f"{prefix}/api/"):
                    self._send(404, b"<html>404 page not found</html>")
                else:
                    status, answer = server.handle(self.command, self.path.removeprefix(f"{prefix}/api"), self.headers.get("authorization", ""), body)
                    self._send(status, json.dumps(answer).encode())

            def _send(self, status: int, answer: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", "text/html" if answer.startswith(b"<") else "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}{prefix}"
        Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def handle(self, method: str, path: str, authorization: str, body):
        if path == "/health":
            return 200, {"database": self.database, "version": "13.2.3", "commit": "0"}
        role = authorization.removeprefix("Bearer ")
        if role not in {"editor", "viewer"}:
            return 401, {"message": "Invalid API key"}
        if method == "POST" and role == "viewer":
            return 403, {"message": "Access denied"}
        if path == "/folders":
            if body["uid"] in self.folders:
                return 412, {"message": "a folder with the same uid already exists"}
            self.folders[body["uid"]] = body["title"]
            return 200, body
        if path.startswith("/folders/"):
            uid = path.removeprefix("/folders/")
            return (200, {"uid": uid, "title": self.folders[uid]}) if uid in self.folders else (404, {"message": "folder not found"})
        if path.startswith("/dashboards/uid/"):
            return self.board(path.removeprefix("/dashboards/uid/"))
        if path == "/dashboards/db":
            return self._save(body)
        return 404, {"message": "Not found"}

    def board(self, uid: str):
        kept = self.boards.get(uid)
        return (200, kept) if kept else (404, {"message": "Dashboard not found"})

    def _save(self, body):
        board, folder = body["dashboard"], body.get("folderUid", "")
        if folder and folder not in self.folders:
            return 400, {"message": "folder not found"}
        kept = self.boards.get(board["uid"])
        if kept and not body["overwrite"] and board.get("version") != kept["dashboard"]["version"]:
            return 412, {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
        version = kept["dashboard"]["version"] + 1 if kept else 1
        number = kept["dashboard"]["id"] if kept else len(self.boards) + 1
        self.boards[board["uid"]] = {
            "meta": {"folderUid": folder, "provisioned": False}, "dashboard": {**board, "version": version, "id": number},
        }
        return 200, {"uid": board["uid"], "status": "success", "version": version}
