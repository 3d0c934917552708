"""The boards as files: `generated/SLUG.json`, which Grafana reads by provisioning or `vigie dashboards publish`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dashboards.board import as_json
from dashboards.boards import BOARDS

GENERATED = Path(__file__).parent / "generated"


def built() -> Mapping[str, str]:
    """File name → JSON of every board."""
    return {f"{board.slug}.json": as_json(board) for board in BOARDS}


def write(folder: Path = GENERATED) -> list[Path]:
    """Write what differs; files of boards that are no more are removed. Returns what was changed."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = built()
    changed = [folder / name for name in drifted(folder)]
    for path in changed:
        if path.name in wanted:
            path.write_text(wanted[path.name])
        else:
            path.unlink()
    return changed


def drifted(folder: Path = GENERATED) -> list[str]:
    """Names of files that are not what the builders make: missing, other, or too many."""
    wanted = built()
    there = {path.name: path.read_text() for path in folder.glob("*.json")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
