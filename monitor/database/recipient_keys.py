"""How recipients are named in the database: by keyed hashes, also inside texts; which key that is.

The key is configured (`engine.hash_key`, `hash_key_file`) or made once and kept in the database. A configured
key is never kept beside the hashes: of it only a proof is, so that another key on a used database is refused
instead of quietly naming every recipient anew.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, text

from monitor.database.engine import Engines
from monitor.database.tables.columns import DIGEST_BYTES
from monitor.sender.recipient import customer_key, plain_address, recipient_ref

_KEY, _PROOF = "recipient_hash_key", "recipient_hash_key_proof"  # names of settings
_FIND = text("SELECT value FROM setting WHERE name = :name")
_KEEP = text("INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING")
_DROP = text("DELETE FROM setting WHERE name = :name")

_LOCAL: Final = r"[\w.+'=/&~!#$%-]"
_AT: Final = r"(?:@|%40)"
_LABEL: Final = r"[^\W_](?:[\w-]{0,62}[^\W_])?"
_DOMAIN: Final = rf"(?:{_LABEL}\.){{1,10}}(?:xn--[\w-]{{1,59}}|[^\W\d_]{{2,63}})"
# starts only where a word does and never gives back what it took, so that time follows size
_ADDRESS: Final = re.compile(rf'(?:(?<![\w.+-])\w(?:(?!%40){_LOCAL}){{0,255}}+|"[^"\r\n]{{1,64}}"){_AT}{_DOMAIN}')
# the owner of a mailbox written into another name: ann=example.org (VERP, SRS)
_WRITTEN_IN: Final = re.compile(rf"(?<![\w.+-])([\w.+-]++)=({_DOMAIN})")
_ROLES: Final = frozenset({
    "abuse", "postmaster", "mailer-daemon", "hostmaster", "noreply", "no-reply", "nobody", "root", "support", "help",
})  # fmt: skip  # mailboxes of roles (RFC 2142) are nobody's personal data


class HashKeyError(Exception):
    """The configured key is not the one the recipients of this database are hashed with."""


class RecipientKeys:
    """Names recipients of one database. `configured` is the key of the configuration, if there is one."""

    def __init__(self, engines: Engines, configured: bytes | None) -> None:
        self._engines = engines
        self._configured = configured
        self._known: bytes | None = None
        self._customer_keys: dict[str, bytes] = {}

    def hash(self, address: str) -> str:
        """32 hex digits: half the HMAC-SHA256 of the address without brackets and blanks, in lower case."""
        digest = hmac.digest(self._key(), plain_address(address).encode("utf-8", "surrogatepass"), "sha256")
        return digest[:DIGEST_BYTES].hex()

    def ref(self, customer: str, address: str) -> str:
        """What the customer's own sender calls this recipient, in hex (monitor.sender.recipient)."""
        return recipient_ref(self.customer_key(customer), address).hex()

    def customer_key(self, customer: str) -> bytes:
        """The key the customer's sender names recipients and signs tokens with."""
        if customer not in self._customer_keys:
            self._customer_keys[customer] = customer_key(self._key(), customer)
        return self._customer_keys[customer]

    def derived(self, purpose: str) -> bytes:
        """A key for something else than recipients; no customer's key is ever the same (their names hold no NUL)."""
        return hmac.new(self._key(), b"\0" + purpose.encode(), hashlib.sha256).digest()

    def redacted(self, text: str) -> str:
        """The text with every mail address in it as `recipient:` and the first 16 digits of its hash."""
        return redacted(text, self.hash)

    def redacted_id(self, message_id: str) -> str:
        """A Message-ID, changed only where an address is written into its left side."""
        bare = message_id.strip().removeprefix("<").removesuffix(">")
        left, at, right = bare.rpartition("@")
        hidden = self.redacted(left)
        if "=" in hidden:
            hidden = _WRITTEN_IN.sub(lambda match: _form(f"{match[1]}@{match[2]}", self.hash), hidden)
        return message_id if hidden == left else message_id.replace(bare, f"{hidden}{at}{right}")

    def check(self) -> None:
        """Bind the database to its key. Raises HashKeyError where it is bound to another."""
        self._key()

    def _key(self) -> bytes:
        if self._known is None:
            self._known = self._bound_key()
        return self._known

    def _bound_key(self) -> bytes:
        with self._engines.reading() as connection:
            kept, proof = _setting(connection, _KEY), _setting(connection, _PROOF)
        own = bytes.fromhex(kept) if kept else None
        if self._configured is None:
            if own is None and proof is not None:
                raise HashKeyError(
                    "engine.hash_key: this database was filled with a configured key; give the same hash_key again"
                )
            return own or self._make()
        wanted = _proof(self._configured)
        if (proof is not None and proof != wanted) or (proof is None and own not in {None, self._configured}):
            raise HashKeyError(
                "engine.hash_key: recipients of this database are hashed with another key, and none would be found"
                " again; give the key it was filled with (without hash_key: the database's own)"
            )
        if proof is None or own is not None:
            with self._engines.writing() as connection:
                connection.execute(_KEEP, {"name": _PROOF, "value": wanted})
                connection.execute(_DROP, {"name": _KEY})
        return self._configured

    def _make(self) -> bytes:
        with self._engines.writing() as connection:
            connection.execute(_KEEP, {"name": _KEY, "value": secrets.token_hex(32)})
            return bytes.fromhex(connection.execute(_FIND, {"name": _KEY}).scalar_one())


def redacted(text: str, hash_of: Callable[[str], str]) -> str:
    """The text with every address in it replaced by its hash form; mailboxes of roles stay."""
    start, end = _looked_at(text)
    if start == end:
        return text
    return text[:start] + _ADDRESS.sub(lambda match: _named(match[0], hash_of), text[start:end]) + text[end:]


def _looked_at(text: str) -> tuple[int, int]:
    """Where addresses can be: from the word of the first `@` to the word of the last, for most of a text is no address.

    Only in quotes an address holds a blank or `<`.
    """
    if "%40" in text or '"@' in text:
        return 0, len(text)
    first = text.find("@")
    if first < 0:
        return 0, 0
    start = max(text.rfind(" ", 0, first), text.rfind("<", 0, first)) + 1
    end = text.find(" ", text.rfind("@"))
    return start, len(text) if end < 0 else end


def _named(address: str, hash_of: Callable[[str], str]) -> str:
    plain = address.replace("%40", "@")
    return address if plain.partition("@")[0].lower() in _ROLES else _form(plain, hash_of)


def form_of(digest: str) -> str:
    """How an address stands in a text: by the beginning of its hash in hex."""
    return f"recipient:{digest[:16]}"


def _form(address: str, hash_of: Callable[[str], str]) -> str:
    return form_of(hash_of(address))


def _proof(key: bytes) -> str:
    return hmac.digest(key, b"vigie recipient key proof 1", "sha256").hex()


def _setting(connection: Connection, name: str) -> str | None:
    value: str | None = connection.execute(_FIND, {"name": name}).scalar_one_or_none()
    return value
