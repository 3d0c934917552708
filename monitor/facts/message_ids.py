"""How a message is found by its id, however that is written: mail writes the angle brackets, most MTA records do not."""

from __future__ import annotations

import hashlib

LONGEST = 598  # characters looked at, without brackets


def message_hash(message_id: str) -> str:
    """32 hex digits: the first half of the SHA-256 of the id without blanks and brackets.

    Revision 0003 does the same in SQL: who changes one, changes both.
    """
    bare = message_id.strip().strip("<>")[:LONGEST]
    return hashlib.sha256(bare.encode("utf-8", "replace")).hexdigest()[:32]
