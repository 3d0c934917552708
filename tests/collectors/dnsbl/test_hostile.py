"""Every way an answer can be wrong, from a real socket, through the sweep."""

from datetime import UTC, datetime

import pytest

from collectors.clients.dns import Pace, Server
from collectors.contract import Target
from collectors.dnsbl.canary import Canaries
from collectors.dnsbl.catalogue import DnsList
from collectors.dnsbl.pacers import Pacers
from collectors.dnsbl.question import Zone
from collectors.dnsbl.sweep import Resolvers, Sweep
from tests.servers.dns_hostile import CASES, UNKNOWN_TIMEOUT, Hostile, but_for_canaries
from tests.waiting import PATIENCE_SECONDS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TARGET = Target("192.0.2.7", "ipv4")
SOON, MANY = 0.4, 50
# what never answers need not be waited for long; what does answer is, however busy the machine
PACES = {
    "silent": Pace(timeout_seconds=SOON),
    "at the second time": Pace(timeout_seconds=SOON, attempts=MANY),
    "answers": Pace(timeout_seconds=PATIENCE_SECONDS),
}


def pace_of(name):
    if CASES[name][1] == UNKNOWN_TIMEOUT:
        return "silent"
    return "at the second time" if name in {"first-lost", "late-then-other"} else "answers"


def make_list(name):
    return DnsList(
        id=name, zone=f"{name}.example.net", positive_test="127.0.0.2", negative_test="127.0.0.1", txt_reason=False,
        codes={"127.0.0.2": "spam", "127.0.0.4": "exploit"},
    )


def sweep(port, names, pace, *, canaries):
    zones = [Zone(make_list(name)) for name in names]
    pacers = Pacers([zone.entry for zone in zones], {})
    round_ = Sweep(
        Resolvers((Server("127.0.0.1", port),)), pacers=pacers, pace=pace, canaries=Canaries() if canaries else None
    )
    results = [r for chunk in round_.run({z.entry.id: [TARGET] for z in zones}, zones, NOW) for r in chunk]
    assert len(results) == len({result.entry.id for result in results}) == len(names)
    return {result.entry.id: result.verdict for result in results}


@pytest.fixture(scope="module", params=[False, True], ids=["without-canaries", "with-canaries"])
def verdicts(request):
    zones = {f"{name}.example.net": but_for_canaries(behaviour) for name, (behaviour, _) in CASES.items()}
    with Hostile(zones) as server:
        verdicts = {}
        for word, pace in PACES.items():
            verdicts |= sweep(server.port, [name for name in CASES if pace_of(name) == word], pace, canaries=request.param)
        yield verdicts


@pytest.mark.parametrize("name", CASES)
def test_what_comes_back_is_judged_rightly(name, verdicts):
    verdict = verdicts[name]
    assert (verdict.word, verdict.reason) == CASES[name][1], verdict


def test_all_codes_of_an_answer_are_found_whatever_their_order(verdicts):
    assert verdicts["two-codes"].codes == ("127.0.0.2", "127.0.0.4")
    assert verdicts["code-and-unknown-code"].undocumented == ("127.0.0.77",)
    assert verdicts["duplicate-record"].codes == ("127.0.0.2",)


def test_an_absurd_ttl_is_none_at_all(verdicts):
    assert verdicts["ttl-2-31"].ttl_seconds == 0
    assert verdicts["ttl-all-ones"].ttl_seconds == 0
    assert verdicts["plain-clean"].ttl_seconds == 77
