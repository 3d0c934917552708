"""A pgbouncer in transaction mode on loopback, in front of one database."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.waiting import eventually, free_port

CONFIG = """\
[databases]
{name} = host=127.0.0.1 port={server} dbname={name}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 100
unix_socket_dir =
"""


@contextmanager
def pooled(address: str, connections: int) -> Iterator[str]:
    """The URL of the same database through the pool."""
    url, port = make_url(address), free_port()
    folder = Path(tempfile.mkdtemp(prefix="vigie-pgbouncer-"))
    config = folder / "pgbouncer.ini"
    # every client is the cluster's only user: auth_type any takes the name from here
    config.write_text(CONFIG.format(name=url.database, server=url.port, port=port, connections=connections).replace(
        f"dbname={url.database}", f"dbname={url.database} user={url.username}"
    ))
    command = [shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", str(config)]
    unprivileged = {}
    if os.geteuid() == 0:  # it refuses to run as root
        owner = pwd.getpwnam("nobody")
        unprivileged = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        for path in (folder, config):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, **unprivileged)
    try:
        eventually(lambda: _answers(port, process))
        yield url.set(port=port).render_as_string(hide_password=False)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
        Path(f"{folder}.log").unlink(missing_ok=True)


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "pgbouncer ended"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
