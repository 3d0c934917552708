"""One target on one list: the verdict, the list's text, and whether it speaks against the target. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple
from urllib.parse import quote

from collectors.contract import Target
from collectors.details import ListAnswer, ListKind, ListSeverity
from collectors.dnsbl.catalogue import DnsList
from collectors.dnsbl.decode import Verdict


class Result(NamedTuple):
    target: Target
    entry: DnsList
    verdict: Verdict
    text: str | None = None
    elapsed_seconds: float = 0.0


def is_finding(result: Result) -> bool:
    """Whether a listing speaks against the target: on a block list, by a code that is more than information.

    A policy listing of a target whose role it does not concern is information too (decode).
    """
    verdict = result.verdict
    return bool(verdict.listed) and result.entry.kind is ListKind.BLOCK and verdict.severity is not ListSeverity.INFO


def is_worth_asking_again(result: Result, was_listed: bool | None) -> bool:
    """Whether an answer would change what is known of the target: a new hit that counts, or the end of a listing."""
    if result.verdict.listed:
        return not was_listed and (is_finding(result) or result.entry.kind is ListKind.ALLOW)
    return result.verdict.listed is False and bool(was_listed)


def answer_of(result: Result) -> ListAnswer:
    """What the list said, as the store keeps it."""
    verdict = result.verdict
    answer = ListAnswer(why=verdict.why, ttl_seconds=verdict.ttl_seconds or 0)
    if not verdict.listed:
        return answer
    return replace(
        answer, codes=verdict.codes, meanings=verdict.meanings, categories=verdict.categories, undocumented=verdict.undocumented,
        severity=verdict.severity or ListSeverity.MEDIUM, weight=verdict.weight, policy=verdict.policy,
        finding=is_finding(result), text=result.text,
    )


def delist_url(entry: DnsList, target: str) -> str | None:
    """Where delisting is asked for; none where the operator sells it: such a listing is waited out."""
    if not entry.delist_url or entry.paid_delist:
        return None
    return entry.delist_url.replace("{target}", quote(target, safe=""))
