"""How long one decision takes, in this process, with 10,000 restrictions in force.

`python -m tests.bench.decision` prints one JSON line. Each figure is of single calls, timed one by one, over
requests of which about one in ten meets a restriction: where the same names were asked about before, where they were not
(`first_time`), and beside them a bare look-up in a dict. 1,000 different requests.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from collectors.providers import shipped
from monitor.gate import Providers, Request, Restriction, build_index, decide

RESTRICTIONS = 10_000
CALLS = 200_000
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PROVIDERS = ("gmail", "microsoft", "yahoo", "orange", "free", "apple", "gmx", "comcast")


def _scopes(rng: random.Random) -> dict[str, str]:
    customer = f"customer-{rng.randrange(400)}"
    provider = rng.choice(PROVIDERS)
    ip = f"192.0.2.{rng.randrange(256)}"
    return rng.choice((
        {"customer": customer, "campaign": f"mailing-{rng.randrange(5000)}"},
        {"customer": customer, "stream": f"stream-{rng.randrange(50)}", "provider": provider},
        {"customer": customer, "provider": provider, "campaign": f"mailing-{rng.randrange(5000)}"},
        {"ip": ip, "provider": provider, "customer": customer},
        {"pool": f"pool-{rng.randrange(900)}", "provider": provider},
        {"domain": f"d{rng.randrange(9000)}.example.com"},
    ))


def run() -> dict[str, Any]:
    rng = random.Random(1)
    index = build_index(
        (
            Restriction(
                id=str(number), scope=_scopes(rng), effect=rng.choice(("hold", "slow")), rate_per_hour=1000,
                text="complaint rate 0.41 %", rule="complaint-rate", until=NOW + timedelta(hours=rng.randrange(1, 48)),
            )
            for number in range(RESTRICTIONS)
        ),
        version=4711,
        built_at=NOW,
        providers=Providers(shipped().domains, shipped().names),
        pools={f"192.0.2.{number}": f"pool-{number}" for number in range(256)},
    )
    requests = [
        Request(
            customer=f"customer-{rng.randrange(500)}", stream=f"stream-{rng.randrange(200)}",
            campaign=f"mailing-{rng.randrange(20_000)}", ip=f"192.0.2.{rng.randrange(256)}",
            domain=f"d{rng.randrange(200_000)}.example.com", recipient_domain=rng.choice(("gmail.com", "example.org")),
        )
        for _ in range(1000)
    ]
    bare = {(request.customer, request.stream, request.campaign, request.ip): number for number, request in enumerate(requests)}
    known = _timed(lambda request: decide(request, index, NOW), requests)
    index.remembered.clear()
    unknown = _timed(lambda request: (index.remembered.clear(), decide(request, index, NOW)), requests)
    looked_up = _timed(lambda request: bare[request.customer, request.stream, request.campaign, request.ip], requests)
    return {
        "bench": "decision",
        "figures": {
            "median_us": known[0], "p99_us": known[1], "first_time_median_us": unknown[0], "first_time_p99_us": unknown[1],
            "dict_median_us": looked_up[0], "dict_p99_us": looked_up[1],
        },
        "ratio": {"dict": round(known[0] / looked_up[0], 1)},
    }  # fmt: skip


def _timed(act: Callable[[Request], Any], requests: list[Request]) -> tuple[float, float]:
    """Median and 99th percentile of single calls, in microseconds."""
    took, clock = [], time.perf_counter_ns
    for number in range(CALLS):
        request = requests[number % len(requests)]
        start = clock()
        act(request)
        took.append(clock() - start)
    took.sort()
    return round(statistics.median(took) / 1000, 3), round(took[int(len(took) * 0.99)] / 1000, 3)


if __name__ == "__main__":
    print(json.dumps(run()))
