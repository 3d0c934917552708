"""The table of refusals: `bounce_patterns.yaml` and `patterns/*.yaml`, compiled once.

Rows are asked in order, providers' own codes first, and the first that fits wins. So that hundreds of rows
cost little, each phrase is filed under one whole word that any text it matches must hold, and only the
phrases filed under words of the text are tried. A phrase without such a word is refused at load.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from collectors.replies.phrases import CJK, compiled, filing_words

HERE = Path(__file__).parent
ACTORS = frozenset({"us", "customer", "provider", "recipient"})
SCOPES = frozenset({"ip", "dkim_domain", "spf_domain", "url", "sender", "dnsbl"})


class Category(enum.StrEnum):
    """Why a mail was refused or given up."""

    INVALID_RECIPIENT = "invalid_recipient"
    DOMAIN_NOT_FOUND = "domain_not_found"
    MAILBOX_FULL = "mailbox_full"
    DISABLED = "disabled"
    POLICY = "policy"
    REPUTATION_IP = "reputation_ip"
    REPUTATION_DOMAIN = "reputation_domain"
    CONTENT = "content"
    AUTHENTICATION = "authentication"
    RATE_LIMITED = "rate_limited"
    GREYLISTED = "greylisted"
    TOO_BIG = "too_big"
    PROTOCOL = "protocol"
    NETWORK = "network"
    RELAYING = "relaying"
    EXPIRED = "expired"
    USER_BLOCKED = "user_blocked"
    VACATION = "vacation"
    UNKNOWN = "unknown"


CATEGORIES = frozenset(Category)

_LETTERS = re.compile(r"[^\W\d_]{2,}")
_URL = r"(https?://[^\s<>\"')\]]{4,300})"
_IP = (
    r"(?<![\w.])((?:[0-9]{1,3}\.){3}[0-9]{1,3}|(?:[0-9a-f]{1,4}:){2,7}[0-9a-f]{0,4}(?::[0-9a-f]{1,4})?)"
    r"(?!\.?\w)"
)
_ABOUT_SENDER = frozenset({
    Category.REPUTATION_IP, Category.RATE_LIMITED, Category.AUTHENTICATION, Category.POLICY, Category.GREYLISTED,
    Category.RELAYING, Category.CONTENT,
})


NEAR = 60  # characters around a phrase in which a word of its `unless` counts
_MOST_HITS = 5  # of one phrase in one text that are looked at
_GONE = frozenset({Category.INVALID_RECIPIENT, Category.DOMAIN_NOT_FOUND, Category.DISABLED})


class Belief(IntEnum):
    """Which words about a recipient count in one refusal."""

    NONE = 0
    PLAIN = 1  # for the category; for "gone for good" only those of rows that leave no doubt
    ALL = 2


class Known(NamedTuple):
    """What is known of a refusal beside its words."""

    status: str | None
    reply: str | None
    provider: str | None
    belief: Belief


@dataclass(frozen=True, slots=True)
class Row:
    """One way of refusing. `codes` are the provider's own; an empty condition holds for every refusal."""

    id: str | None
    category: str
    hard: bool
    meaning: str
    who_acts: str
    what_to_do: str
    provider: str | None = None
    only_there: bool = False  # the words mean this only at that provider
    plain: bool = False  # the words leave no doubt, whatever the status
    vague: bool = False  # the words count only where the status speaks of recipients
    match: tuple[re.Pattern[str], ...] = ()
    unless: tuple[re.Pattern[str], ...] = ()  # near the phrase
    unless_anywhere: tuple[re.Pattern[str], ...] = ()
    codes: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    reply: tuple[str, ...] = ()
    scope: tuple[tuple[str, re.Pattern[str]], ...] = ()
    example: str = ""
    source: str = ""

    def applies(self, known: Known) -> bool:
        """Whether codes, provider and the step that was refused agree."""
        if self.status and not (known.status or "").startswith(self.status):
            return False
        if self.reply and not (known.reply or "").startswith(self.reply):
            return False
        if self.only_there and known.provider != self.provider:
            return False
        if self.hard or self.category in _GONE:
            return known.belief >= (Belief.ALL if self.vague else Belief.PLAIN)
        return True

    def is_hard(self, known: Known) -> bool:
        """Whether a recipient refused in these words is gone for good."""
        return self.hard and (self.plain or self.id is None or known.belief is Belief.ALL)

    def vetoed(self, text: str, start: int, end: int) -> bool:
        """Whether words near the phrase at `start` to `end` take its meaning away."""
        if self.hard and not self.provider and _in_link(text, start):
            return True
        first, last = max(0, start - NEAR), end + NEAR
        if any(pattern.search(text, first, last) for pattern in self.unless):
            return True
        return any(pattern.search(text) for pattern in self.unless_anywhere)


def _in_link(text: str, place: int) -> bool:
    word = text[text.rfind(" ", 0, place) + 1 : place]
    return "//" in word or word.startswith("www.")


@dataclass(frozen=True, slots=True)
class OwnCodes:
    """How one provider writes its own codes, and the row of each."""

    pattern: re.Pattern[str]
    rows: Mapping[str, Row]


@dataclass(slots=True)
class Table:
    categories: Mapping[str, Row]
    statuses: Mapping[str, str]
    replies: Mapping[str, str]
    status_of: Mapping[str, str]  # the enhanced status of each category, for refusals that state none
    rows: list[Row] = field(default_factory=list)
    own_codes: list[tuple[str, OwnCodes]] = field(default_factory=list)  # each hint with what it hints at
    hosts: dict[str, str] = field(default_factory=dict)
    phrases: list[tuple[re.Pattern[str], Row]] = field(default_factory=list)  # in the order they are asked
    by_word: dict[str, list[int]] = field(default_factory=dict)  # places in `phrases`
    wordless: list[int] = field(default_factory=list)  # scripts without spaces

    def provider_at(self, remote: str | None) -> str | None:
        """The provider whose host this is, by the longest known ending of its name."""
        labels = (remote or "").lower().rstrip(".").split(".")[-6:]
        for start in range(len(labels)):
            provider = self.hosts.get(".".join(labels[start:]))
            if provider:
                return provider
        return None

    def first(self, text: str, known: Known) -> Row:
        """The row that explains this refusal; the codes' own meaning where no row does."""
        return self._by_code(text, known) or self._by_phrase(text, known) or self._by_number(known)

    def _by_code(self, text: str, known: Known) -> Row | None:
        for hint, own in self.own_codes:
            if hint in text:
                for hit in own.pattern.finditer(text):
                    row = own.rows.get(hit[1])
                    if row and row.applies(known) and not row.vetoed(text, hit.start(), hit.end()):
                        return row
        return None

    def _by_phrase(self, text: str, known: Known) -> Row | None:
        places: set[int] = set()
        for word in _LETTERS.findall(text):
            if word in self.by_word:
                places.update(self.by_word[word])
        if not text.isascii():
            places.update(self.wordless)
        for place in sorted(places):
            pattern, row = self.phrases[place]
            if row.applies(known):
                for hit in islice(pattern.finditer(text), _MOST_HITS):
                    if not row.vetoed(text, hit.start(), hit.end()):
                        return row
        return None

    def _by_number(self, known: Known) -> Row:
        meant = self.statuses.get(known.status[2:]) if known.status else None
        category = meant or self.replies.get(known.reply or "", "unknown")
        if known.belief is Belief.NONE and category in {*_GONE, "unknown"}:
            category = "policy"  # the sender was refused
        return self.categories[category]


def _scope(category: str, own: dict[str, str]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """What to read from the text: any link; an IP where the refusal is about the sender; the row's own."""
    wanted = {"url": _URL, **({"ip": _IP} if category in _ABOUT_SENDER else {}), **own}
    return tuple((name, re.compile(text, re.IGNORECASE)) for name, text in wanted.items())


def _row(raw: dict[str, Any], block: dict[str, Any], default: Row) -> Row:
    raw = {**{key: block[key] for key in ("provider", "only_there", "source") if key in block}, **raw}
    scope = _scope(raw["category"], raw.pop("scope", {}))
    for name in ("match", "unless", "unless_anywhere"):
        raw[name] = tuple(compiled(phrase) for phrase in raw.get(name, ()))
    for name in ("codes", "status", "reply"):
        raw[name] = tuple(raw.get(name, ()))
    usual = {name: getattr(default, name) for name in ("hard", "meaning", "who_acts", "what_to_do")}
    usual["plain"] = bool(raw.get("provider"))
    return Row(**{**usual, **raw}, scope=scope)


def load(main: dict[str, Any], blocks: list[dict[str, Any]]) -> Table:
    categories = {
        name: Row(id=None, category=name, scope=_scope(name, {}), **usual)
        for name, usual in main["categories"].items()
    }
    built = Table(categories, main["statuses"], main["replies"], main["status_of"])
    for block in blocks:
        rows = [_row(raw, block, categories[raw["category"]]) for raw in block["rows"]]
        built.hosts.update(dict.fromkeys(block.get("hosts", ()), block.get("provider", "")))
        if "code" in block:
            coded = {code: row for row in rows for code in row.codes}
            own = OwnCodes(re.compile(block["code"]["pattern"]), coded)
            built.own_codes.extend((hint, own) for hint in block["code"]["hints"])
        for row, raw in zip(rows, block["rows"], strict=True):
            built.rows.append(row)
            for phrase, pattern in zip(raw.get("match", ()), row.match, strict=True):
                _file(built, phrase, (pattern, row))
    return built


def _file(built: Table, phrase: str, entry: tuple[re.Pattern[str], Row]) -> None:
    place = len(built.phrases)
    built.phrases.append(entry)
    words = filing_words(phrase)
    if CJK.search(phrase):
        built.wordless.append(place)
    elif not words:
        raise ValueError(f"{entry[1].id}: {phrase!r} holds no whole word to file it under")
    for word in words:
        built.by_word.setdefault(word, []).append(place)


@functools.cache
def table() -> Table:
    """The shipped table, read at first use."""
    main = _read(HERE / "bounce_patterns.yaml")
    blocks = [block for path in sorted((HERE / "patterns").glob("*.yaml")) for block in _read(path)]
    return load(main, blocks)


def _read(path: Path) -> Any:
    # The C loader reads the table ten times faster; it is missing only where PyYAML was built without it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with path.open(encoding="utf-8") as file:
        return yaml.load(file, Loader=loader)  # noqa: S506  both loaders are the safe ones
