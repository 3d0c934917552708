"""Results of a sweep as facts for the store, and what a person needs to know of a listing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from collectors.clients.dns import Server
from collectors.contract import Reason, Target
from collectors.dnsbl.canary import Health, Place
from collectors.dnsbl.catalogue import DnsList
from collectors.dnsbl.sweep import Result
from collectors.observation import Observation, Subject


def delist_url(entry: DnsList, target: Target) -> str | None:
    """Where delisting is asked for; none where the operator sells it: such a listing is waited out."""
    if not entry.delist_url or entry.paid_delist:
        return None
    return entry.delist_url.replace("{target}", quote(target.name, safe=""))


def is_finding(result: Result) -> bool:
    """Whether a listing speaks against the target: on a block list, and not by a policy its role is free of."""
    verdict = result.verdict
    return bool(verdict.listed) and result.entry.kind == "block" and not (verdict.policy and verdict.severity == "info")


def subject_of(target: Target, entry: DnsList) -> Subject:
    if target.kind == "domain":
        return Subject(customer=target.customer, domain=target.name, dnsbl=entry.id)
    return Subject(customer=target.customer, ip=target.name, dnsbl=entry.id)


def observations(result: Result, at: datetime) -> Iterator[Observation]:
    """What a result is to the store: `listing`, `list_score`, or both for an allow list with a scale."""
    verdict, entry = result.verdict, result.entry
    subject = subject_of(result.target, entry)
    detail = _detail(result)
    if entry.kind != "score" or not entry.score:
        value = None if verdict.listed is None else float(verdict.listed)
        yield Observation("listing", subject, at, value, verdict.reason, detail)
    if entry.score:
        reason = verdict.reason or (Reason.NO_DATA if verdict.score is None else None)
        value = None if verdict.score is None else float(verdict.score)
        yield Observation("list_score", subject, at, value, reason, detail)


def _detail(result: Result) -> dict[str, Any]:
    verdict, entry = result.verdict, result.entry
    detail: dict[str, Any] = {"kind": entry.kind, "ttl_seconds": verdict.ttl_seconds, "why": verdict.why}
    if verdict.listed:
        detail |= {
            "name": entry.name,
            "operator": entry.operator,
            "codes": list(verdict.codes),
            "meanings": list(verdict.meanings),
            "categories": list(verdict.categories),
            "severity": verdict.severity,
            "weight": verdict.weight,
            "policy": verdict.policy,
            "finding": is_finding(result),
            "undocumented": list(verdict.undocumented),
            "text": result.text,
            "delist_url": delist_url(entry, result.target),
            "paid_delist": entry.paid_delist,
            "isps": list(entry.isps),
            "included_in": entry.included_in,
            "collateral": entry.collateral,
        }
    return {key: said for key, said in detail.items() if said is not None and said != []}


def canary_observations(
    healths: Mapping[Place, Health], faults: Mapping[Server, Reason], collector: str, now: datetime
) -> Iterator[Observation]:
    """One `canary` per list (healthy through any resolver), and one without a list: our own network.

    Where the network is at fault the lists that fail with it are unknown, so that one incident is raised, not many.
    Where no list answers anything at all, it is taken to be the network, however few they are.
    """
    if healths and all(health.silent for health in healths.values()):
        faults = {server: Reason.NETWORK for _, server in healths}
    by_list: dict[str, dict[Server, Health]] = {}
    for (list_id, server), health in healths.items():
        by_list.setdefault(list_id, {})[server] = health
    for list_id, at_servers in by_list.items():
        subject = Subject(dnsbl=list_id, collector=collector)
        failing = {server: health for server, health in at_servers.items() if not health.healthy}
        detail = {str(server): f"{health.reason}: {health.why}" for server, health in failing.items()}
        at = min(health.at for health in at_servers.values())
        if len(failing) < len(at_servers):
            yield Observation("canary", subject, at, 1.0, None, detail)
        elif all(faults.get(server) in (Reason.NETWORK, health.reason) for server, health in failing.items()):
            yield Observation("canary", subject, at, None, Reason.NETWORK, detail)
        else:
            yield Observation("canary", subject, at, 0.0, None, detail)
    if healths:
        own = {str(server): f"most lists fail alike: {reason}" for server, reason in faults.items()}
        yield Observation("canary", Subject(collector=collector), now, 0.0 if faults else 1.0, None, own)
