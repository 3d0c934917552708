"""The settings of `mta`: how MTAs that stay as they are ask Vigie, and how Vigie speaks to them."""

from __future__ import annotations

import enum
import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from collectors.cleaning import is_clean_name
from monitor.config.quantities import Duration
from monitor.config.settings import Listen, Listening, Names, _Part

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,128}")  # stands in a URL, and in the name of kumod's queue: neither @, ! nor /
_URL = re.compile(r"https?://[^\s/@]+(/[^\s?#]*)?")
_PLACE = re.compile(r"tenant|campaign|pool|(?:header|meta):[A-Za-z0-9_-]{1,100}")
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def _network(text: Any) -> Any:
    try:
        return ipaddress.ip_network(str(text))
    except ValueError:
        raise ValueError(f"'{text}' is no network — write it such as 192.0.2.0/24 or 2001:db8::/32") from None


def _token(token: SecretStr) -> SecretStr:
    if not _TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError("is no token — write 8 to 128 letters, digits, - or _")
    return token


def _url(url: str) -> str:
    if not _URL.fullmatch(url):
        raise ValueError(f"'{url}' is no web address — write http://HOST:PORT")
    return url.rstrip("/")


def _lease(lease: timedelta) -> timedelta:
    if not timedelta(minutes=1) <= lease <= timedelta(hours=24):
        raise ValueError("is too short to be renewed within, or too long to wait for — write 1m to 24h")
    return lease


def _place(place: str) -> str:
    if not _PLACE.fullmatch(place):
        raise ValueError(f"'{place}' is no part of a record — write tenant, campaign, pool, header:NAME or meta:NAME")
    return place.lower() if place.startswith("header:") else place


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"'{text}' is no IP address — write it such as 192.0.2.1 or 2001:db8::1") from None


def _name(text: str) -> str:
    if not 0 < len(text) <= 100 or not is_clean_name(text):
        raise ValueError("is no name — write 1 to 100 characters that can be seen")
    return text


WebUrl = Annotated[str, AfterValidator(_url)]
Place = Annotated[str, AfterValidator(_place)]
Address = Annotated[str, AfterValidator(_address)]
Name = Annotated[str, AfterValidator(_name)]


class KumoNode(_Part):
    """One kumod: the token its URLs carry, and its admin API for releasing mail after a lift and reading back what it holds."""

    token: Annotated[SecretStr, AfterValidator(_token)]
    admin_url: WebUrl | None = None


class KumoMapping(_Part):
    """Which part of a record names customer, stream and campaign: tenant or campaign of the queue's name, pool, header:NAME, meta:NAME."""

    customer: Place | None = "tenant"
    stream: Place | None = None
    campaign: Place | None = "campaign"


class KumoMta(Listening):
    """What a stock kumod is pointed at instead of (or beside) its TSA daemon.

    `allow`: networks asked from; left out: loopback, and with `nodes` everywhere. `lease`: a suspension ends so long after Vigie is last
    heard of. `sources`: egress source → the address it sends from, where records do not show it. `shared_throttles`: the nodes share
    their throttles by Redis; else a rate is divided among them. `trust_feedback`: only mailbox providers reach the listener that
    takes feedback reports, so they count as complaints.
    """

    listen: Listen = "127.0.0.1:8008"
    nodes: dict[Name, KumoNode] = Field(default_factory=dict)
    allow: tuple[Annotated[Network, BeforeValidator(_network)], ...] | None = None
    denominators: bool = True
    lease: Annotated[Duration, AfterValidator(_lease)] = timedelta(minutes=15)
    mapping: KumoMapping = KumoMapping()
    sources: dict[Name, Address] = Field(default_factory=dict)
    shared_throttles: bool = False
    trust_feedback: bool = False

    @model_validator(mode="after")
    def _tokens_differ(self) -> KumoMta:
        tokens = [node.token.get_secret_value() for node in self.nodes.values()]
        if len(set(tokens)) < len(tokens):
            raise ValueError("two nodes have the same token — give each its own")
        return self

    @property
    def networks(self) -> tuple[Network, ...]:
        """Whoever is elsewhere is refused; empty: nobody is."""
        if self.allow is not None:
            return self.allow
        return () if self.nodes else _LOOPBACK


class WhenAway(enum.StrEnum):
    """What Postfix is answered while the restrictions are not known."""

    DUNNO = "dunno"
    DEFER = "defer"


class PostfixPolicy(Listening):
    """The policy server (`check_policy_service inet:HOST:PORT`). `when_away`: what is answered while the restrictions are not known."""

    listen: Listen = "127.0.0.1:10040"
    when_away: WhenAway = WhenAway.DUNNO
    allow: tuple[Annotated[Network, BeforeValidator(_network)], ...] | None = None

    @property
    def networks(self) -> tuple[Network, ...]:
        """Whoever is elsewhere is refused."""
        return _LOOPBACK if self.allow is None else self.allow


class PowerMta(_Part):
    """`command`: the program and arguments `pmta`'s own are put behind, run without a shell (`[ssh, mta1, pmta]`).

    `customers`: customer → the virtual MTAs that only its mail goes out from.
    """

    command: Annotated[Names, Field(min_length=1)]
    customers: dict[Name, Names] = Field(default_factory=dict)


class Mta(_Part):
    """What is left out does not run."""

    kumomta: KumoMta | None = None
    postfix: PostfixPolicy | None = None
    powermta: PowerMta | None = None

    @model_validator(mode="after")
    def _addresses_differ(self) -> Mta:
        if self.kumomta is not None and self.postfix is not None and self.kumomta.listen == self.postfix.listen:
            raise ValueError("kumomta and postfix listen on the same address — give each its own")
        return self
