"""What hostile mails cost: the slowest and the largest of them, each read by `vigie mail parse` in a fresh process."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path


def attacks(data: Path) -> dict[str, float]:
    """Processor seconds and peak memory of the worst; empty where the labelled mails are absent.

    Both include the start of Python and of the command itself.
    """
    manifest = data / "MANIFEST.json"
    if not manifest.exists():
        return {}
    files = [data / item["file"] for item in json.loads(manifest.read_text())["items"] if item["type"] == "attack"]
    seconds, spent = [], 0.0
    for file in files:
        subprocess.run([sys.executable, "-m", "monitor", "mail", "parse", "--json", str(file)], check=True,
                       stdout=subprocess.DEVNULL)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(used.ru_utime + used.ru_stime - spent)
        spent += seconds[-1]
    largest_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"slowest_attack_seconds": round(max(seconds), 2), "largest_attack_mb": round(largest_kb / 1024)}
