"""Which DNSBLs exist, how each is asked and what its answers mean.

The lists are data (`catalogue.json`), gathered from operators' pages and the defaults of mail filters; `status`
is what was known when it was written, the canaries say what is true today. A user's own file, JSON or YAML in
the same schema, takes its place or stands beside it. Keys never stand in a catalogue: they come from the
configuration and meet the list in `question.py`.
"""

from __future__ import annotations

import difflib
import enum
import fnmatch
import functools
import json
import logging
import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from collectors.details import ListKind, ListSeverity

SHIPPED = Path(__file__).with_name("catalogue.json")
Kind = Literal["ipv4", "ipv6", "domain", "hash", "email-hash", "domain-hash"]  # of targets; hashes are not asked
_CODE = re.compile(r"(?:\d{1,3}|\*)(?:\.(?:\d{1,3}|\*)){3}")
_REFUSED = re.compile(rf"{_CODE.pattern}|bit:\d{{1,3}}|rcode:[A-Z]+")
_log = logging.getLogger(__name__)


class ListStatus(enum.StrEnum):
    """Whether a list answered when the catalogue was written."""

    ALIVE = "alive"
    UNKNOWN = "unknown"
    DEAD = "dead"


class CatalogueError(ValueError):
    """A catalogue or a choice of lists that cannot be used; the text names file, line and list."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Code(_Data):
    meaning: str = "listed"
    category: str | None = None
    severity: ListSeverity = ListSeverity.MEDIUM
    weight_factor: float = Field(1.0, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        return {"meaning": data} if isinstance(data, str) else data


class Key(_Data):
    """`where` shows the place of the key in the name; without `<KEY>` it is the resolver that must be known."""

    where: str = "<rev>.<KEY>.<zone>"
    secret: bool = True
    optional: bool = False
    note: str | None = None


class Dead(_Data):
    behaviour: str = ""
    since: str | date = ""
    error: str = ""


class Scale(_Data):
    """How a score is read: the `octet` (1-4) of an answer below `prefix`, within `min`..`max`."""

    octet: int = Field(4, ge=1, le=4)
    prefix: str = "127.0.0"
    min: int = 0
    max: int = 255
    higher_is_better: bool = True
    neutral: tuple[int, int] | None = None
    bands: dict[str, str] = {}


class DnsList(_Data):
    """One list as the catalogue describes it; what is not said has the RFC 5782 default."""

    id: str = Field(pattern=r"^[^\s,*?\[]+$")
    zone: str = Field(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?\.?$")
    name: str = ""
    operator: str = ""
    kind: ListKind = ListKind.BLOCK
    targets: tuple[Kind, ...] = ("ipv4",)
    codes: dict[str, Code] = {}
    code_style: Literal["exact", "bitmask", "score"] = "exact"
    bitmask_octet: int = Field(4, ge=2, le=4)
    refused_codes: dict[str, str] = {}
    loopback_is_valid: bool = False
    score: Scale | None = None
    needs_key: bool = False
    key: Key | None = None
    positive_test: str | None = None
    negative_test: str | None = None
    pos_answers: tuple[str, ...] = ()
    txt_reason: bool = True
    delist_url: str | None = None
    paid_delist: str | None = None
    weight: float = Field(0.0, ge=0, le=1)
    isps: tuple[str, ...] = ()
    policy_list: bool = False
    collateral: bool = False
    included_in: str | None = None
    ipv6_scope: str | None = None
    min_poll_interval: int | None = Field(None, ge=0)
    max_qps: float | None = Field(None, gt=0)
    default_enabled: bool = True
    free_targets: int | None = Field(None, ge=0)  # more are asked about only where the list is named
    status: ListStatus = ListStatus.ALIVE
    dead: Dead | None = None
    zone_aliases: tuple[str, ...] = ()
    suffix: str | None = None
    superseded_by: str | None = None
    replaced_by: str | None = None
    notes: dict[str, Any] = {}  # what the schema says for people: sources, terms, remarks

    @model_validator(mode="before")
    @classmethod
    def _sort_fields(cls, data: Any) -> Any:
        """Remarks go to `notes`; a misspelt field is an error, an unknown one is a remark of its author."""
        if not isinstance(data, dict):
            return data
        known: dict[str, Any] = {}
        notes: dict[str, Any] = {}
        for field, value in data.items():
            if field in cls.model_fields and field != "notes":
                if value is not None:
                    known[field] = {str(k): v for k, v in value.items()} if isinstance(value, dict) else value
                continue
            meant = difflib.get_close_matches(str(field), cls.model_fields, 1, 0.85)
            if meant and field not in _REMARKS:
                raise ValueError(f"unknown field {field!r}, did you mean {meant[0]!r}?")
            if field not in _REMARKS:
                _log.warning("list %s: field %r is not in the schema, kept as a remark", data.get("id"), field)
            notes[str(field)] = value
        return {**known, "notes": notes}

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        for code in self.codes:
            if self.code_style == "bitmask":
                if not (code.isdecimal() and int(code) in _BITS):
                    raise ValueError(f"codes: {code!r} is not one bit of an octet (1, 2, 4 … 128)")
            elif not _CODE.fullmatch(code):
                raise ValueError(f"codes: {code!r} is no IPv4 address (with * for an octet)")
        for code in self.refused_codes:
            if not _REFUSED.fullmatch(code):
                raise ValueError(f"refused_codes: {code!r} is no IPv4 address, bit:N or rcode:NAME")
            if code.startswith("bit:") and self.code_style != "bitmask":
                raise ValueError(f"refused_codes: {code!r} needs code_style bitmask")
        if self.code_style == "score" and not self.score:
            raise ValueError("score: a score list says how its answers are read")
        if self.key and "<KEY>" in self.key.where and "<rev>.<KEY>.<zone>" not in self.key.where:
            raise ValueError("key.where: a key stands in <rev>.<KEY>.<zone>, no other place is known")
        return self

    def __str__(self) -> str:
        return self.id

    @property
    def takes_key(self) -> bool:
        """Whether a key has its place in the name that is asked."""
        return "<KEY>" in self.key.where if self.key else self.needs_key

    @property
    def is_dead(self) -> bool:
        return self.status is ListStatus.DEAD

    @property
    def is_assumed(self) -> bool:
        """Whether its positive test entry is RFC 5782's, which no source confirms for this list."""
        return bool(self.notes.get("positive_test_assumed"))

    def is_beyond_free_use(self, target_count: int) -> bool:
        """Whether so many targets are more than it may be asked about for nothing."""
        return self.free_targets is not None and target_count > self.free_targets

    @property
    def terms(self) -> str | None:
        """On what terms the list may be asked, as its operator has it."""
        return self.notes.get("free_use_policy")

    def why_dead(self) -> str:
        """Why a dead list is not asked, and what to ask instead."""
        reason = ((self.dead and self.dead.error) or f"{self.zone} is dead").rstrip(".")
        successor = self.replaced_by or self.superseded_by
        return f"{reason}; use {successor} instead" if successor else reason


_BITS = frozenset(1 << place for place in range(8))
_REMARKS = frozenset((  # fields of the schema that are for people
    "auto_expiry", "categories", "code_note", "codes_assumed", "commercial_use", "flap_prone",
    "free_use_policy", "hash", "includes", "ipv6_note", "lookup_url", "manual_delist_only", "multi_a",
    "negative_test_note", "no_data", "no_delist", "no_ip_queries", "no_rfc5782_entry", "note", "octets",
    "pos_mask_any", "positive_test_assumed", "positive_test_note", "registered_domain_only", "replaces",
    "scope", "self_delist", "silent_refusal", "strict_codes", "source", "status_evidence", "ttl_hint", "untrusted",
    "unverified", "url_full_hostname", "weight_why",
))


class Operator(_Data):
    """What all zones of one operator may be asked together."""

    daily_queries: int | None = Field(None, gt=0)
    max_qps: float | None = Field(None, gt=0)


class Catalogue:
    """Lists by id, operators by name."""

    def __init__(
        self,
        lists: Iterable[DnsList],
        operators: Mapping[str, Operator] | None = None,
        invented_zones: Mapping[str, str] | None = None,
    ) -> None:
        self.lists = {entry.id: entry for entry in lists}
        self.operators = dict(operators or {})
        self.invented_zones = dict(invented_zones or {})  # with what is there instead

    def enabled(self) -> list[DnsList]:
        """What is asked where nothing is chosen."""
        return [entry for entry in self.lists.values() if entry.default_enabled]

    def choose(self, patterns: Iterable[str]) -> list[DnsList]:
        """Lists by id, or by pattern (`abusix-*`, which takes the living only), in the order named."""
        chosen: dict[str, DnsList] = {}
        for pattern in patterns:
            lists = self.matching(pattern)
            if not lists:
                raise CatalogueError(f"no list has the id {pattern!r}{self.hint(pattern)}")
            chosen.update((entry.id, entry) for entry in lists)
        return list(chosen.values())

    def matching(self, pattern: str) -> list[DnsList]:
        """The lists of an id or pattern; a pattern takes the living only."""
        if pattern in self.lists:
            return [self.lists[pattern]]
        return [e for e in self.lists.values() if not e.is_dead and fnmatch.fnmatchcase(e.id, pattern)]

    def hint(self, name: str) -> str:
        """What may have been meant by a name that is the id of no list: to be put behind a message."""
        zone = name.lower().rstrip(".")
        by_zone = {entry.zone.lower().rstrip("."): entry.id for entry in self.lists.values() if not entry.is_dead}
        if zone in by_zone:
            return f": that is a zone, and lists are named by id; did you mean {by_zone[zone]}?"
        if zone in self.invented_zones:
            return f": {self.invented_zones[zone]}"
        if dead := self.dead_by_zone(zone):
            return f": {dead.why_dead()}"
        near = difflib.get_close_matches(zone, [*self.lists, *by_zone], 3)
        near = list(dict.fromkeys(by_zone.get(each, each) for each in near))
        return f"; did you mean {' or '.join(near)}?" if near else "; `vigie dnsbl lists` shows them all"

    def refuse_dead(self, lists: Iterable[DnsList]) -> None:
        """CatalogueError with the reason for every dead list among these."""
        reasons = [f"{entry.id}: {entry.why_dead()}" for entry in lists if entry.is_dead]
        if reasons:
            raise CatalogueError("dead lists are not asked: " + "; ".join(reasons))

    def refuse_unknown(self, what: str, patterns: Iterable[str]) -> None:
        """CatalogueError for a name or pattern that fits no list; `what` says where it stands."""
        for pattern in patterns:
            if not self.matching(pattern):
                raise CatalogueError(f"{what}: no list has the id {pattern!r}{self.hint(pattern)}")

    def refuse_unknown_operators(self, what: str, names: Iterable[str]) -> None:
        """CatalogueError for a name that is no operator of a list."""
        operators = sorted({entry.operator or entry.id for entry in self.lists.values()})
        for name in names:
            if name not in operators:
                near = difflib.get_close_matches(name, operators, 3)
                meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
                raise CatalogueError(f"{what}: {name!r} operates no list{meant}")

    def beside(self, other: Catalogue) -> Catalogue:
        """Both together; where both know an id or an operator, `other` speaks."""
        lists = {**self.lists, **other.lists}
        operators = {**self.operators, **other.operators}
        return Catalogue(lists.values(), operators, {**self.invented_zones, **other.invented_zones})

    def counted(self, ids: Iterable[str]) -> set[str]:
        """Those of several listings that count: a sublist does not beside the list that holds it."""
        listed = set(ids)
        return {each for each in listed if not self.holders(each) & listed}

    def holders(self, list_id: str) -> set[str]:
        """The lists that hold this one whole, the nearest and those around it."""
        holders: set[str] = set()
        entry = self.lists.get(list_id)
        while entry and entry.included_in and entry.included_in not in holders:
            holders.add(entry.included_in)
            entry = self.lists.get(entry.included_in)
        return holders - {list_id}

    def dead_by_zone(self, zone: str) -> DnsList | None:
        """The dead list whose name, alias or remains this zone is."""
        name = zone.lower().rstrip(".")
        for entry in self.lists.values():
            if entry.is_dead and (
                name in {entry.zone, *entry.zone_aliases}
                or (entry.suffix and (name == entry.suffix or name.endswith("." + entry.suffix)))
            ):
                return entry
        return None


@functools.cache
def _shipped() -> Catalogue:
    return _read(SHIPPED)


def load_catalogue(path: str | Path | None = None) -> Catalogue:
    """The catalogue that comes with the program, or a user's own file; CatalogueError where it is wrong.

    A list of the user's that carries the zone of a list known to be dead is refused with the reason.
    """
    if path is None:
        return _shipped()
    own = _read(Path(path))
    for entry in own.lists.values():
        if entry.is_dead:
            continue
        if dead := _shipped().dead_by_zone(entry.zone):
            raise CatalogueError(f"{path}: list {entry.id}: {dead.why_dead()}")
        if instead := _shipped().invented_zones.get(entry.zone.lower().rstrip(".")):
            raise CatalogueError(f"{path}: list {entry.id}: {entry.zone}: {instead}")
    return own


def _read(path: Path) -> Catalogue:
    text, data = _data(path)
    entries = data.get("lists") if isinstance(data, dict) else data
    if not isinstance(entries, list):
        raise CatalogueError(f"{path}: there is no `lists` in it")
    lists: dict[str, DnsList] = {}
    for number, raw in enumerate(entries, 1):
        try:
            entry = DnsList.model_validate(raw)
        except ValidationError as error:
            raise CatalogueError(_complaint(path, text, number, raw, error)) from None
        if entry.id in lists:
            raise CatalogueError(f"{_place(path, text, raw)}: two lists have the id {entry.id!r}")
        lists[entry.id] = entry
    rest = data if isinstance(data, dict) else {}
    try:
        operators = {name: Operator.model_validate(raw) for name, raw in (rest.get("operators") or {}).items()}
    except (ValidationError, AttributeError) as error:
        raise CatalogueError(f"{path}: operators: {' '.join(str(error).split())}") from None
    catalogue = Catalogue(lists.values(), operators, rest.get("invented_zones"))
    catalogue.refuse_unknown_operators(f"{path}: operators", operators)
    return catalogue


def _data(path: Path) -> tuple[str, Any]:
    """A file as text and as what it holds."""
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" or text.lstrip()[:1] in ("{", "[") else yaml.safe_load(text)
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror}") from error
    except (ValueError, yaml.YAMLError) as error:
        if not text.strip():
            raise CatalogueError(f"{path} is empty: expected lists") from None
        raise CatalogueError(f"{path}: {' '.join(str(error).split())}") from error
    if not data:
        raise CatalogueError(f"{path} is empty: expected lists")
    return text, data


def _complaint(path: Path, text: str, number: int, raw: Any, error: ValidationError) -> str:
    named = raw.get("id", f"number {number}") if isinstance(raw, dict) else f"number {number}"
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ")
    return f"{_place(path, text, raw)}: list {named}: {f'{field}: ' if field else ''}{what}"


def _place(path: Path, text: str, raw: Any) -> str:
    """`file:line` of the last list with this id (the last, because of two alike the second is wrong)."""
    named = re.escape(str(raw.get("id"))) if isinstance(raw, dict) else None
    places = list(re.finditer(rf"""["']?id["']?\s*:\s*["']?{named}\b""", text)) if named else []
    return f"{path}:{text.count(chr(10), 0, places[-1].start()) + 1}" if places else str(path)
