"""What the numbers of an incident come to in words: what, how many, whose. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence

from monitor.rules.numbers import Numbers


def headline(rule: str, numbers: Numbers) -> str:
    """`40 IPs on Spamhaus ZEN`, `complaint rate 0.41 % (82 of 20,000)`; the rule's name where it says no more."""
    return numbers.headline(kinds_of(numbers.targets)) or rule.replace("-", " ")


def customers_of(subject: Mapping[str, str], numbers: Numbers) -> list[str]:
    """Whose it is, as far as the subject and the targets say."""
    named = numbers.customers | {subject.get("customer")}
    return sorted(each for each in named if each)


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


def _is_ip(target: str) -> bool:
    try:
        ipaddress.ip_network(target, strict=False)
    except ValueError:
        return False
    return True
