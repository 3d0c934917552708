"""What stands at an address of a relay's own: the certificate it signs with, the confirmation of a subscription.

The caller has checked the address; redirects are not followed.
"""

from __future__ import annotations

import httpx

SECONDS = 10.0
LARGEST = 64 * 1024


def fetched(url: str) -> bytes:
    """Raises httpx.HTTPError where nothing is answered, or too much."""
    with httpx.Client(timeout=SECONDS, follow_redirects=False) as client, client.stream("GET", url) as answer:
        answer.raise_for_status()
        content = b""
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > LARGEST:
                raise httpx.TransportError(f"more than {LARGEST:,} bytes at {url}")
    return content
