"""Results of a sweep as facts for the store, and what a person needs to know of a listing. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from collectors.clients.dns import Server
from collectors.contract import Reason, Target
from collectors.details import CanaryFailures, ListKind
from collectors.dnsbl.canary import Fault, Health, Place
from collectors.dnsbl.catalogue import DnsList
from collectors.dnsbl.result import Result, answer_of
from collectors.observation import Observation, Subject

EVER = datetime(1970, 1, 1, tzinfo=UTC)


def subject_of(target: Target, entry: DnsList) -> Subject:
    if target.kind == "domain":
        return Subject(customer=target.customer, domain=target.name, dnsbl=entry.id)
    return Subject(customer=target.customer, ip=target.name, dnsbl=entry.id)


def observations(result: Result, at: datetime, void_since: datetime | None = None) -> Iterator[Observation]:
    """What a result is to the store: `listing`, `list_score`, or both for an allow list with a scale.

    With `void_since`, what the list said of the target after that time is taken back.
    """
    verdict, entry = result.verdict, result.entry
    subject = subject_of(result.target, entry)
    detail = replace(answer_of(result), void_since=void_since).encode()
    if entry.kind is not ListKind.SCORE or not entry.score:
        value = None if verdict.listed is None else float(verdict.listed)
        yield Observation("listing", subject, at, value, verdict.reason, detail)
    if entry.score:
        reason = verdict.reason or (Reason.NO_DATA if verdict.score is None else None)
        value = None if verdict.score is None else float(verdict.score)
        yield Observation("list_score", subject, at, value, reason, detail)


def canary_observations(
    healths: Mapping[Place, Health], faults: Mapping[Server, Fault], collector: str, now: datetime,
    unproved: Collection[str] = (),
) -> Iterator[Observation]:
    """One `canary` per list (healthy through any resolver), and one without a list: our own network.

    `unproved`: lists whose test entries are only assumed to exist and were never seen to. That one of those is not
    listed says as little of the list as of the assumption: unknown.

    Where the network is at fault the lists that fail with it are unknown, so that one incident is raised, not many.
    Where no list answers anything at all, it is taken to be the network, however few they are.
    """
    if healths and all(health.silent for health in healths.values()):
        faults = {server: Fault(Reason.NETWORK, reached=False) for _, server in healths}
    by_list: dict[str, dict[Server, Health]] = {}
    for (list_id, server), health in healths.items():
        by_list.setdefault(list_id, {})[server] = health
    for list_id, at_servers in by_list.items():
        subject = Subject(dnsbl=list_id, collector=collector)
        failing = {server: health for server, health in at_servers.items() if not health.healthy}
        detail = CanaryFailures({str(server): f"{health.reason}: {health.why}" for server, health in failing.items()}).encode()
        at = min(health.at for health in at_servers.values())
        if len(failing) < len(at_servers):
            yield Observation("canary", subject, at, 1.0, None, detail)
        elif all(server in faults and faults[server].explains(health) for server, health in failing.items()):
            yield Observation("canary", subject, at, None, Reason.NETWORK, detail)
        elif list_id in unproved and all(health.lies for health in failing.values()):
            yield Observation("canary", subject, at, None, Reason.UNVERIFIED, detail)
        else:
            yield Observation("canary", subject, at, 0.0, None, detail)
    if healths:
        own = CanaryFailures({str(server): f"most lists fail alike: {fault.reason}" for server, fault in faults.items()})
        yield Observation("canary", Subject(collector=collector), now, 0.0 if faults else 1.0, None, own.encode())
