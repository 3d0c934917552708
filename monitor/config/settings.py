"""The settings of `vigie.yaml` that are Vigie's own: engine, retention, API, receivers. Collectors bring theirs."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from monitor.config.addresses import plain_address
from monitor.config.quantities import Duration, Share

_POSTGRESQL = re.compile(r"postgresql(\+psycopg)?://\S+")


_WEB_URL = re.compile(r"https?://[^\s/]+\S*")


_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


_LISTEN = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})")


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _some_time(kept: timedelta) -> timedelta:
    if kept < timedelta(hours=1):
        raise ValueError("is too short to look back on — keep rows for 1h at least")
    return kept


Kept = Annotated[Duration, AfterValidator(_some_time)]


Secret = Annotated[SecretStr, Field(min_length=1)]


Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]


def _host_name(text: str) -> str:
    name = text.strip("[]")
    if not _HOST.fullmatch(name):
        raise ValueError(f"'{text}' is no host name — write it without scheme and port, such as vigie.example.com")
    return name.lower().removesuffix(".")


HostName = Annotated[str, AfterValidator(_host_name)]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True
    )


class Retention(_Part):
    """How long each kind of row is kept; which stay longer: monitor.database.kept. Roll-ups outlive readings.

    `batches` (and of single records `records`) must outlive the time in which a source can repeat one: after it, a repeat counts again. Evidence carries
    its own expiry. What is open or in force is always kept: time counts from its end.
    """

    readings: Kept = timedelta(days=90)
    hourly: Kept = timedelta(days=400)
    daily: Kept = timedelta(days=1830)
    traces: Kept = timedelta(days=90)
    evidence: Kept = timedelta(days=30)
    parked: Kept = timedelta(days=30)  # once somebody has settled it
    parked_unsettled: Kept = timedelta(days=180)
    batches: Kept = timedelta(days=90)
    records: Kept = timedelta(days=14)
    runs: Kept = timedelta(days=90)
    incidents: Kept = timedelta(days=730)
    suspensions: Kept = timedelta(days=730)
    silences: Kept = timedelta(days=730)
    listings: Kept = timedelta(days=730)
    abuse_cases: Kept = timedelta(days=730)
    notifications: Kept = timedelta(days=90)
    transitions: Kept = timedelta(days=730)
    suppressions: Kept = timedelta(days=1830)  # once lifted
    keys: Kept = timedelta(days=400)  # once revoked

    @model_validator(mode="after")
    def _longer_from_shorter(self) -> Retention:
        if not self.readings <= self.hourly <= self.daily:
            raise ValueError("readings ≤ hourly ≤ daily, for the longer is made from the shorter — lengthen hourly or daily")
        if self.parked_unsettled < self.parked:
            raise ValueError("parked ≤ parked_unsettled: what nobody has looked at waits no shorter — lengthen parked_unsettled")
        return self


class NewSeries(_Part):
    """The most series of counts that may be new in a day (UTC): of a customer, and of one key (or command) of all.

    A series takes some 310 bytes, and its readings of a day several times that.
    """

    per_customer: int = Field(default=500_000, gt=0)
    per_key: int = Field(default=5_000_000, gt=0)


class Engine(_Part):
    """Where rows are kept. `hash_key` is the HMAC key of recipients; without one the store makes its own.

    `read_url` is of a streaming replica, which people's questions go to. `max_held_share` is the most of the measured traffic that
    automation may hold, `max_held_share_per_provider` of that to any one provider; with `shadow` it holds nothing and writes down what it would. Counts are summed in buckets of `bucket`.
    """

    url: SecretStr = Field(default=SecretStr("sqlite:///vigie.sqlite"), validate_default=True)
    read_url: SecretStr | None = None
    retention: Retention = Retention()
    hash_key: SecretStr | None = Field(default=None, min_length=16)
    max_held_share: Share = 0.25
    max_held_share_per_provider: Share | None = None
    shadow: bool = False
    bucket: Duration = timedelta(0)
    new_series: NewSeries = NewSeries()

    @field_validator("bucket")
    @classmethod
    def _part_of_an_hour(cls, bucket: timedelta) -> timedelta:
        if bucket and (bucket < timedelta(seconds=1) or timedelta(hours=1) % bucket):
            raise ValueError("hours are cut into whole buckets — write 0s, 1m, 5m, 10m, 15m, 30m or 1h")
        return bucket

    @field_validator("url")
    @classmethod
    def _known_engine(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        text = url.get_secret_value()
        if text.startswith("sqlite:///"):
            path = text.removeprefix("sqlite:///")
            if not path or path == ":memory:":
                raise ValueError("names no file — write sqlite:///vigie.sqlite")
            # an absolute path stays what it is; a relative one is seen from the configuration file
            return SecretStr(f"sqlite:///{(Path(info.context or '.') / path).absolute()}")
        if _POSTGRESQL.fullmatch(text):
            plain_address(text)
            return url
        raise ValueError("must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE")

    @field_validator("read_url")
    @classmethod
    def _replica(cls, read_url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if read_url is None:
            return None
        text, url = read_url.get_secret_value(), info.data.get("url")
        if not _POSTGRESQL.fullmatch(text):
            raise ValueError("must be the postgresql://… of a streaming replica")
        if url is not None and url.get_secret_value().startswith("sqlite"):
            raise ValueError("names a replica, and SQLite has none — leave it out, or move to PostgreSQL (engine.url)")
        plain_address(text)
        return read_url


def _listen(listen: str) -> str:
    match = _LISTEN.fullmatch(listen)
    if not match or not 0 < int(match["port"]) < 65536:
        raise ValueError(f"'{listen}' is no address to listen on — write it such as 127.0.0.1:8080")
    return listen


Listen = Annotated[str, AfterValidator(_listen)]


class Listening(_Part):
    """What is listened on: `listen` is HOST:PORT, an IPv6 address in brackets."""

    listen: Listen

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])


class SelfLift(_Part):
    """When a customer's key may lift what a rule holds of its campaign: it was held for `cool_down`, it says that the list of
    recipients was changed (`list_changed`), and `at_most` times of one campaign `within` so long.
    """

    cool_down: Duration = timedelta(hours=1)
    at_most: int = Field(default=1, ge=1)
    within: Duration = timedelta(days=7)
    list_changed: bool = True


class Api(Listening):
    """Where people and senders ask. The console asks for a key unless it is `open`.

    `hosts` are the names answered to (a browser sends the one it was led to) besides the address listened on, that of
    `public_url`, and loopback.
    `connections`: the most that are open at once; more wait.
    `customers_lift`: keys bound to a customer may also lift what rules and the provider's people hold of that customer.
    `self_lift`: without that, what a rule holds of a campaign of theirs, under these conditions (none: never).
    """

    listen: Listen = "127.0.0.1:8080"
    console: Literal["open", "keyed"] = "keyed"
    hosts: Annotated[tuple[HostName, ...], BeforeValidator(_one_or_many)] = ()
    public_url: str | None = None
    customers_lift: bool = False
    self_lift: SelfLift | None = None
    connections: int = Field(500, ge=10, le=100_000)

    @field_validator("public_url")
    @classmethod
    def _web_address(cls, url: str | None) -> str | None:
        if url is not None and not _WEB_URL.fullmatch(url):
            raise ValueError(f"'{url}' is no web address — write https://HOST/")
        return url and url.rstrip("/")

    @property
    def console_is_open(self) -> bool:
        return self.console == "open"

    @property
    def host_names(self) -> set[str]:
        """The names and addresses answered to, without ports."""
        public = urlsplit(self.public_url).hostname if self.public_url else None
        return {*self.hosts, self.host, "localhost", *([public] if public else [])}

    @property
    def listens_everywhere(self) -> bool:
        """Any address of this machine may then be the one called."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False

    @property
    def address(self) -> str:
        """The address people see in chat messages, without a slash at its end."""
        return self.public_url or f"http://{self.listen}"
