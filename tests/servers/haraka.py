"""A real Haraka on loopback: takes mail from anybody, and delivers all of it to one port."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

from tests.waiting import PATIENCE_SECONDS, eventually, free_port

INSTALLED = Path(__file__).parent / "haraka_node" / "node_modules" / "Haraka" / "bin" / "haraka"  # npm ci --prefix tests/servers/haraka_node
_RELAY = """
exports.register = function () { this.register_hook('rcpt', 'all'); this.register_hook('get_mx', 'mx'); this.register_hook('mail', 'whose') }
exports.whose = function (next, connection, params) {
    connection.transaction.notes.vigie = { customer: params[0].host.split('.')[0], domain: params[0].host }
    next()
}
exports.all = function (next, connection) { connection.relaying = true; next(OK) }
exports.mx = function (next) { next(OK, [{ priority: 0, exchange: '127.0.0.1', port: PORT }]) }
"""


class Haraka:
    """`folder` is its own; `plugin` is run beside one that relays to `deliver_to`; `vigie_ini` is what that reads."""

    def __init__(self, folder: Path, plugin: Path, vigie_ini: str, deliver_to: int) -> None:
        self.port, self.folder = free_port(), folder
        for each in ("config", "plugins", "queue"):
            (folder / each).mkdir(parents=True)
        shutil.copy(plugin, folder / "plugins" / "vigie.js")
        (folder / "plugins" / "take_all.js").write_text(_RELAY.replace("PORT", str(deliver_to)))
        for name, text in {
            "smtp.ini": f"listen=127.0.0.1:{self.port}\nnodes=0\n", "plugins": "take_all\nvigie\n", "me": "mx.acme.example\n",
            "log.ini": "level=INFO\n", "vigie.ini": vigie_ini, "outbound.ini": "enable_tls=false\n",
            "host_list": "",
        }.items():  # fmt: skip
            (folder / "config" / name).write_text(text)
        shutil.copy(INSTALLED.parents[1] / "config" / "connection.ini", folder / "config")
        self.log = folder / "log"

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["node", str(INSTALLED), "-c", str(self.folder)], stdout=log, stderr=log, start_new_session=True
            )
        eventually(self._listens)
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE_SECONDS)

    def _listens(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        return "listening" in self.log.read_text().lower()
