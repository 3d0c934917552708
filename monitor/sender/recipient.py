"""How a customer's sender and Vigie name the same recipient without either saying the address.

Vigie keeps recipients as an HMAC with a key that never leaves it. A sender cannot compute that, so each
customer has a key of its own, derived from Vigie's, and a second name for its recipients: `recipient_ref`.
Whoever holds a customer's key can find out, by trying addresses, which of them a list of that customer's refs
holds; lists of other customers and Vigie's own hashes stay closed to him. Pure; standard library only.
"""

from __future__ import annotations

import hmac

REF_BYTES = 10  # 80 bits: among 100 million recipients a stranger has another's ref once in 10^16 looks


def plain_address(address: str) -> str:
    """The address as it is hashed: without brackets and blanks around it, in lower case."""
    return address.strip().removeprefix("<").removesuffix(">").strip().lower()


def customer_key(master: bytes, customer: str) -> bytes:
    """The key of one customer's sender: 32 bytes, from which neither `master` nor another's key follows."""
    return hmac.digest(master, b"vigie customer key 1\0" + _bytes(customer), "sha256")


def recipient_ref(key: bytes, address: str) -> bytes:
    """The name of a recipient among one customer's; `key` is that customer's."""
    return hmac.digest(key, b"recipient\0" + _bytes(plain_address(address)), "sha256")[:REF_BYTES]


def key_name(key: bytes) -> bytes:
    """Five bytes that say which key it was; they reveal nothing of the key."""
    return hmac.digest(key, b"name", "sha256")[:5]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
