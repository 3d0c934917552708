"""What the evidence of an incident comes to in words: what, how many, whose, how bad. Pure.

The shapes are those the judges in monitor.rules.conditions write: `listed`, `lost`, `scores`, or the counts of a rate.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from monitor.rules.texts import percent

NOW = "now"  # in the evidence of an open incident: its summary now, while that is milder than at its worst


def gravity(evidence: Mapping[str, Any]) -> tuple[float, int]:
    """How bad a moment was, to be compared with another of the same rule: what is sure of the rate, how many targets."""
    return float(evidence.get("lower", 0)), len(_rows(evidence)) + len(evidence.get("scores", ()))


def headline(rule: str, evidence: Mapping[str, Any]) -> str:
    """`40 IPs on Spamhaus ZEN`, `complaint rate 0.41 % (82 of 20,000)`; the rule's name where it says no more."""
    targets = targets_of(evidence)
    if evidence.get("listed"):
        return f"{kinds_of(targets)} on {some(_lists(evidence), 3)}"
    if evidence.get("lost"):
        return f"{kinds_of(targets)} no longer on {some(_lists(evidence), 3)}"
    if evidence.get("scores"):
        return f"{kinds_of(targets)} with a bad score"
    if {"rate", "numerator", "denominator"} <= evidence.keys():
        n = evidence["denominator"] + evidence.get("denominator_perhaps", 0)
        return f"{evidence['words']} {percent(evidence['rate'])} ({evidence['numerator']:,} of {n:,})"
    return rule.replace("-", " ")


def targets_of(evidence: Mapping[str, Any]) -> list[str]:
    """The addresses and domains of ours that the evidence names."""
    scored = (str(key).rpartition("@")[0] for key in evidence.get("scores", ()))
    return sorted({*(str(row["target"]) for row in _rows(evidence)), *scored})


def customers_of(subject: Mapping[str, str], evidence: Mapping[str, Any]) -> list[str]:
    """Whose it is, as far as the subject and the targets say."""
    named = {row.get("customer") for row in _rows(evidence)} | {subject.get("customer")}
    return sorted(str(each) for each in named if each)


def kinds_of(targets: Collection[str]) -> str:
    """`1 IP`, `40 IPs`, `2 IPs and 1 domain`."""
    ips = sum(map(_is_ip, targets))
    counts = [counted(count, word) for count, word in ((ips, "IP"), (len(targets) - ips, "domain")) if count]
    return " and ".join(counts)


def counted(count: int, word: str) -> str:
    """`1 IP`, `1,200 IPs`."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def some(names: Sequence[str], most: int) -> str:
    """The first of them, and how many more."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _rows(evidence: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [*evidence.get("listed", ()), *evidence.get("lost", ())]


def _lists(evidence: Mapping[str, Any]) -> list[str]:
    return sorted({str(row.get("name") or row.get("dnsbl")) for row in _rows(evidence)})


def _is_ip(target: str) -> bool:
    try:
        ipaddress.ip_network(target, strict=False)
    except ValueError:
        return False
    return True
