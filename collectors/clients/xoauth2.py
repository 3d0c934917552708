"""SASL XOAUTH2, the way Gmail and Microsoft 365 let programs into a mailbox.

Google: https://developers.google.com/workspace/gmail/imap/xoauth2-protocol. Microsoft documents the same. The client
speaks first (`user=` and `auth=Bearer`, each ended by ^A); a server that refuses sends JSON in base64, which is
answered with an empty line, and then its NO.
"""

from __future__ import annotations

import base64
import json

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, LoginError

from collectors.clients.oauth2 import without

ADVICE = ("check that the token is of this user and grants IMAP (scope https://outlook.office.com/IMAP.AccessAsUser.All,"
          " or https://mail.google.com/ at Gmail), and that IMAP is on for the mailbox")


class Xoauth2:
    """One attempt to log in; answers the server's challenges."""

    def __init__(self, username: str, token: str) -> None:
        self._username = username
        self._token = token
        self._spoken = False
        self._status = ""

    def __call__(self, challenge: bytes) -> bytes:
        if not self._spoken:
            self._spoken = True
            return self._response
        self._status = _status(challenge)
        return b""

    @property
    def _response(self) -> bytes:
        return f"user={self._username}\x01auth=Bearer {self._token}\x01\x01".encode()

    def log_in(self, client: IMAPClient) -> None:
        """Raises LoginError, or the abort of a connection that was cut, without the token in their texts."""
        try:
            client.sasl_login("XOAUTH2", self)
        except LoginError as error:
            response = base64.b64encode(self._response).decode()
            text = without(str(error), self._token, response)
            if isinstance(error.__context__, IMAPClientAbortError):
                raise IMAPClientAbortError(text) from None
            status = f" (status {self._status})" if self._status else ""
            raise LoginError(f"the server refuses the access token for {self._username}{status}: {text} — {ADVICE}") from None


def _status(challenge: bytes) -> str:
    """The number in the server's JSON; its other words are not needed."""
    try:
        status = str(json.loads(challenge)["status"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return status if status.isdigit() and len(status) <= 3 else ""
