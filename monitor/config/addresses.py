"""How the address of a PostgreSQL is written, also of several servers of which one can be written. Pure.

libpq takes `postgresql://a:5432,b:5432/db`, SQLAlchemy `postgresql:///db?host=a:5432&host=b:5432`; both understand the
form that comes out here, `postgresql:///db?host=a,b&port=5432,5432`.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, urlencode

_ADDRESS = re.compile(
    r"(?P<scheme>postgresql(?:\+psycopg)?)://(?:(?P<user>[^@/?]*)@)?(?P<hosts>[^@/?]*)(?P<database>/[^?]*)?(?:\?(?P<query>.*))?"
)
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(?P<port>\d{1,5}))?")
_PORT = "5432"


def _password_ends_early(rest: str) -> bool:
    """Whether what stands behind `scheme://` has an @, /, # or ? in its password as it is."""
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in authority.rpartition("@")[0].partition(":")[2]:
        return True
    after = rest[len(authority):]
    return "@" in after and ("@" not in authority or "@" in after.partition("?")[0])


def plain_address(address: str) -> str:
    """The address as libpq and SQLAlchemy both read it; one of a single host, or of no PostgreSQL, stays as it is.

    Raises ValueError for several hosts of which one is none, and where a password has what ends it; the text holds
    nothing of the address.
    """
    if address.startswith("postgresql") and _password_ends_early(address.partition("://")[2]):
        raise ValueError("has a character in its password that ends it — write @ / # ? in the password as %40 %2F %23 %3F")
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return address
    query = parse_qsl(match["query"] or "", keep_blank_values=True)
    named = [value for name, value in query if name == "host"]
    hosts = ",".join(named) if named else match["hosts"]
    if "," not in hosts:
        return address
    if any(name == "port" for name, _ in query):  # written so already
        return address
    pairs = [_HOST.fullmatch(each) for each in hosts.split(",")]
    known = [(each["host"].strip("[]"), each["port"] or _PORT) for each in pairs if each is not None]
    if len(known) != len(pairs):
        raise ValueError("one of its hosts is none — write postgresql://USER@HOST:PORT,HOST:PORT/DATABASE")
    together = [(name, ",".join(values)) for name, values in zip(("host", "port"), zip(*known, strict=True), strict=True)]
    rest = [pair for pair in query if pair[0] != "host"]
    user = f"{match['user']}@" if match["user"] else ""
    text = urlencode([*together, *rest], quote_via=quote, safe=",:/")
    return f"{match['scheme']}://{user}{match['database'] or '/'}?{text}"
