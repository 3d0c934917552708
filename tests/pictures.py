"""`make pictures`: the README's pictures, made anew from the demo by a real browser.

The demo runs on a PostgreSQL of its own; while an address is listed and a customer held, the console is photographed and each board is
drawn with the data there is. `python -m tests.pictures FOLDER` leaves a page and a picture of every board in FOLDER.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from dashboards.build import GENERATED
from dashboards.check import Answer
from dashboards.expand import Period
from dashboards.picture import drawn
from tests.places import ROOT
from tests.servers.postgres import Cluster
from tests.waiting import free_port

CONSOLE = ROOT / "monitor" / "console" / "console.png"
BOARD = ROOT / "dashboards" / "overview.png"
PERIODS = {"overview": 7, "incidents": 1, "collectors": 1, "gate": 1}


@contextmanager
def demo_under_way(seconds: int = 40) -> Iterator[tuple[str, int]]:
    """The demo on a PostgreSQL, once something is held: the address of its database, and the port of its console."""
    cluster = Cluster().start()
    try:
        url, port = cluster.fresh_database(migrated=False), free_port()
        command = [sys.executable, "-m", "monitor", "demo", "--database", url, "--port", str(port), "--seconds", str(seconds), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as demo:
            holds = 0
            for line in demo.stdout or ():
                event = json.loads(line)
                holds += event["event"] == "transition" and event["new"] == "hold"
                if holds == 2:
                    break
            else:
                raise RuntimeError("the demo ended and nothing was held")
            yield url, port
            demo.terminate()
            demo.communicate()
    finally:
        cluster.stop()


def boards(url: str, now: datetime) -> Iterator[tuple[str, str]]:
    """The name and the page of every board, with the data of this database."""
    with psycopg.connect(url, autocommit=True) as connection:

        def database(sql: str) -> Answer:
            cursor = connection.execute(sql.encode())
            return Answer([column.name for column in cursor.description or ()], cursor.fetchall())

        with_tails = now + timedelta(minutes=1)
        for path in sorted(GENERATED.glob("*.json")):
            period = Period(now - timedelta(days=PERIODS.get(path.stem, 60)), with_tails)
            yield path.stem, drawn(json.loads(path.read_text()), database, period)


def photographed(address: str, picture: Path, width: int = 1440, height: int = 1180) -> None:
    """A picture of a page. Raises CalledProcessError."""
    browser = shutil.which("chromium")
    if browser is None:
        raise FileNotFoundError("chromium is not on this machine")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--force-color-profile=srgb", f"--user-data-dir={profile}",
             f"--window-size={width},{height}", f"--screenshot={picture}", address],
            check=True, capture_output=True, timeout=300,
        )


def main(folder: Path | None) -> None:
    with demo_under_way() as (url, port), tempfile.TemporaryDirectory() as scratch:
        photographed(f"http://127.0.0.1:{port}/", CONSOLE, 1200, 800)
        pages = dict(boards(url, datetime.now(UTC)))
        target = folder or Path(scratch)
        target.mkdir(parents=True, exist_ok=True)
        for name, page in pages.items():
            (target / f"{name}.html").write_text(page)
            if folder or name == BOARD.stem:
                picture = target / f"{name}.png"
                photographed((target / f"{name}.html").as_uri(), picture)
                print(picture, file=sys.stderr)
        shutil.copy(target / f"{BOARD.stem}.png", BOARD)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None)
