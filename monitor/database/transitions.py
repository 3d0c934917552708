"""What every change of state has in common: its id, its reason."""

from __future__ import annotations

import secrets


def new_id(prefix: str) -> str:
    """A short name nobody can guess or confuse: `inc-k3v9x2m8q1`."""
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    return f"{prefix}-{''.join(secrets.choice(alphabet) for _ in range(10))}"


def check_reason(reason: str) -> None:
    """Raises ValueError for a reason that says nothing."""
    if not reason.strip():
        raise ValueError("a reason is needed: who reads this later must know why")
