"""What a sweep costs: 60,000 questions (1,000 addresses by 60 lists, 1 % listed) to rbldnsd on loopback.

Ours is the whole way: canaries, questions, decoding, texts of what is listed. Beside it, in the same run:
dnspython's async resolver (a sample) and dnsperf (bare questions, nothing decoded). As many in flight each, turn
by turn; of each the best round counts, the one that other work on the machine disturbed least.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime

import dns.asyncresolver
import dns.resolver

from collectors.clients.dns import Server
from collectors.dnsbl.canary import Canaries
from collectors.dnsbl.catalogue import DnsList
from collectors.dnsbl.pacers import Pacers
from collectors.dnsbl.question import Zone, parse_target
from collectors.dnsbl.sweep import Resolvers, Sweep
from tests.servers.rbldnsd import Rbldnsd

ADDRESSES = [f"198.18.{n // 250}.{n % 250}" for n in range(1000)]
ZONES = [f"z{n}.example.net" for n in range(60)]
ROUNDS = 5
SAMPLE = 2000
IN_FLIGHT = 128


def _zone_data(number: int) -> str:
    listed = ADDRESSES[number % 10 :: 100]
    return "".join(f"{address} :127.0.0.2:listed\n" for address in ["127.0.0.2", *listed])


def _name(address: str, zone: str) -> str:
    return f"{'.'.join(reversed(address.split('.')))}.{zone}"


def sweep_once(port: int) -> dict[str, float]:
    """One sweep in this process: questions a second, CPU each, peak memory."""
    lists = [
        DnsList(id=zone, zone=zone, codes={"127.0.0.2": "spam"}, positive_test="127.0.0.2", negative_test="127.0.0.1")
        for zone in ZONES
    ]
    zones, targets = [Zone(entry) for entry in lists], [parse_target(address) for address in ADDRESSES]
    sweep = Sweep(Resolvers((Server("127.0.0.1", port),)), pacers=Pacers(lists, {}), canaries=Canaries())
    started, cpu = time.perf_counter(), time.process_time()
    counts = {"listed": 0, "not_listed": 0, "unknown": 0}
    for chunk in sweep.run(dict.fromkeys(ZONES, targets), zones, datetime.now(UTC)):
        for result in chunk:
            counts[result.verdict.word] += 1
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    assert counts == {"listed": 600, "not_listed": 59400, "unknown": 0}, counts
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"queries_per_second": 60000 / elapsed, "cpu_us_per_query": cpu / 60000 * 1e6, "peak_mb": peak}


def _ours(port: int) -> dict[str, float]:
    """In a process of its own, for honest memory."""
    done = subprocess.run([sys.executable, "-m", "tests.bench.dnsbl", str(port)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _dnsperf(port: int) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as questions:
        questions.writelines(f"{_name(address, zone)} A\n" for zone in ZONES for address in ADDRESSES)
        questions.flush()
        words = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", questions.name, "-n", "1", "-q", str(IN_FLIGHT)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(re.search(r"Queries per second:\s+([\d.]+)", done.stdout)[1])


async def _dnspython(port: int) -> float:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], port
    names = iter([_name(address, zone) for address in ADDRESSES for zone in ZONES][:SAMPLE])

    async def work() -> None:
        for name in names:
            try:
                await resolver.resolve(name, "A", search=False)
            except dns.resolver.NXDOMAIN:
                continue

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return SAMPLE / (time.perf_counter() - started)


def run() -> dict[str, object]:
    with Rbldnsd({zone: ("ip4set", _zone_data(number)) for number, zone in enumerate(ZONES)}) as server:
        rounds = [
            (_ours(server.port), _dnsperf(server.port), asyncio.run(_dnspython(server.port))) for _ in range(ROUNDS)
        ]
    figures = max((ours for ours, _, _ in rounds), key=lambda ours: ours["queries_per_second"])
    rate = figures["queries_per_second"]
    dnsperf, dnspython = max(perf for _, perf, _ in rounds), max(python for _, _, python in rounds)
    return {
        "bench": "dnsbl",
        "figures": {name: round(figure, 1) for name, figure in figures.items()},
        "ratio": {"dnspython": round(rate / dnspython, 1), "dnsperf": round(rate / dnsperf, 3)},
    }


if __name__ == "__main__":
    print(json.dumps(sweep_once(int(sys.argv[1])) if len(sys.argv) > 1 else run()))
