"""Access tokens for mailboxes that take no passwords: from a command, or from a token endpoint (RFC 6749, section 6).

Asks a program of the operator's (`CommandTokens`) or the provider's token endpoint (`RefreshedTokens`); `AccessTokens`
keeps what they answer in memory until shortly before it expires. A refresh token that the server replaces
(Microsoft does at each use) goes to a `Keeper`. What is raised is a CollectorError; no token, secret or
output of a command stands in it. It may be wrong about how long the token of a command holds: commands do not say.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import re
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import httpx

from collectors.cleaning import kept_name
from collectors.contract import CollectorError, Reason

log = logging.getLogger(__name__)

COMMAND_SECONDS = 30.0  # how long a command may take
COMMAND_HOLDS_SECONDS = 300.0  # how long its token is used; such commands keep tokens themselves
REQUEST_SECONDS = 30.0
REQUEST_TIMEOUT = httpx.Timeout(15.0)  # of one step of a request
ANSWER_BYTES = 65_536
DEFAULT_SECONDS = 3600.0  # RFC 6749, 5.1: where `expires_in` is left out the documentation says it; both providers: 1 h
LARGEST_SECONDS = 86_400.0
EARLY_SECONDS = 300.0  # a token is renewed so long before it expires, at most half its life
SHOWN = 200  # characters of a server's words
# what may stand in an Authorization header (RFC 6750, 2.1) and so holds no separator of SASL XOAUTH2
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=|:-]{1,16000}")
_ERROR = re.compile(r"[\x20-\x7e]{1,60}")  # RFC 6749, 5.2
_REDACTED = "[…]"
# HTTP status → why, where the body does not say better
_STATUS = {400: Reason.AUTH, 401: Reason.AUTH, 403: Reason.AUTH, 404: Reason.NOT_FOUND, 408: Reason.TIMEOUT, 429: Reason.QUOTA}


class Token(NamedTuple):
    """An access token and for how many seconds it may be used."""

    text: str
    seconds: float


class AccessTokens:
    """The access tokens of one mailbox, kept in memory; any thread may ask."""

    def __init__(self, fetch: Callable[[], Token], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._text: str | None = None
        self._renew_at = 0.0

    def current(self) -> str:
        """A token that holds for a while yet."""
        with self._lock:
            return self._text if self._text is not None and self._clock() < self._renew_at else self._renewed()

    def after_refusal(self, refused: str) -> str:
        """Another token than the refused one, where one can be had."""
        with self._lock:
            return self._renewed() if self._text is None or self._text == refused else self._text

    def _renewed(self) -> str:
        self._text = None
        token = self._fetch()
        self._text, self._renew_at = token.text, self._clock() + token.seconds - min(EARLY_SECONDS, token.seconds / 2)
        return token.text


@dataclass(frozen=True, slots=True)
class CommandTokens:
    """A program that prints an access token, run without a shell, in bounded time and with bounded output."""

    mailbox: str
    argv: tuple[str, ...]
    seconds: float = COMMAND_SECONDS

    def __call__(self) -> Token:
        return Token(_checked(self._output().strip(), self._name), COMMAND_HOLDS_SECONDS)

    @property
    def _name(self) -> str:
        return f"{self.mailbox}: token_command {self.argv[0]}"  # its arguments may be secret

    def _output(self) -> str:
        try:
            process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,  # noqa: S603 - the operator names it
                                       stderr=subprocess.DEVNULL, start_new_session=True)
        except (OSError, ValueError) as error:
            text = f"cannot be run ({type(error).__name__}) — name a program that Vigie's user may run"
            raise self._error(Reason.CONFIG, text) from None
        with process:
            output, late = _bounded(process, self.seconds)
        if late:
            raise self._error(Reason.TIMEOUT, f"took more than {self.seconds:g} s — run it by hand as Vigie's user")
        if len(output) > ANSWER_BYTES:
            raise self._error(Reason.TOO_LARGE, f"printed more than {ANSWER_BYTES} bytes — it must print the access token alone")
        if process.returncode != 0:
            raise self._error(Reason.AUTH, f"ended with status {process.returncode} — run it by hand as Vigie's user")
        return output.decode("utf-8", "replace")

    def _error(self, reason: Reason, text: str) -> CollectorError:
        return CollectorError(reason, f"{self._name} {text}")


def _bounded(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bool]:
    """What it printed (a byte more than the bound where there is more), and whether its time ran out. It has ended then.

    It leads a session of its own, so that all it started ends with it; until it is waited for, that session's id is nobody else's.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        _kill(process)

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        assert process.stdout is not None
        output = process.stdout.read(ANSWER_BYTES + 1)
        if len(output) > ANSWER_BYTES:
            _kill(process)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    finally:
        timer.cancel()
        timer.join()
        _kill(process)
        process.wait()
    return output, late.is_set()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


class Keeper(Protocol):
    """Where the refresh token lives that the server gave in place of the configured one."""

    def load(self) -> str | None: ...

    def save(self, refresh_token: str) -> None:
        """Keeps it as a whole or not at all; raises whatever the store raises."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What the token endpoint is asked with (RFC 6749, section 6). Public clients have no secret."""

    mailbox: str
    url: str
    client_id: str
    refresh_token: str = field(repr=False)
    client_secret: str | None = field(default=None, repr=False)
    scope: str | None = None
    ended: Reason = Reason.AUTH  # why, where the server says that what was shown holds no longer (`invalid_grant`)


class RefreshedTokens:
    """Access tokens from the token endpoint. `AccessTokens` sees to it that one thread asks at a time."""

    def __init__(self, grant: Grant, keeper: Keeper) -> None:
        self._grant = grant
        self._keeper = keeper
        self._newest: str | None = None
        self._unsaved = False

    def __call__(self) -> Token:
        refused: CollectorError | None = None
        for refresh_token in self._candidates():
            try:
                return self._asked(refresh_token)
            except CollectorError as error:
                if error.reason not in {Reason.AUTH, self._grant.ended}:
                    raise
                refused = refused or error
        assert refused is not None
        raise refused

    def _candidates(self) -> Iterator[str]:
        """The newest refresh token first; where it is refused, what another process has kept, then the configured one."""
        unsaved = self._newest if self._unsaved else None
        if unsaved is not None:
            yield unsaved
        kept = self._keeper.load()
        if kept is not None and kept != unsaved:
            yield kept
        if self._grant.refresh_token not in {unsaved, kept}:
            yield self._grant.refresh_token

    def _asked(self, refresh_token: str) -> Token:
        grant = self._grant
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": grant.client_id}
        form |= {"client_secret": grant.client_secret} if grant.client_secret else {}
        form |= {"scope": grant.scope} if grant.scope else {}
        answer = _granted(grant, form)
        rotated = answer.get("refresh_token")
        if isinstance(rotated, str) and rotated and rotated != refresh_token:
            self._newest, self._unsaved = rotated, True
        self._save()
        return _token_of(grant, answer)

    def _save(self) -> None:
        """A refresh token that could not be kept is kept in memory and with the next renewal."""
        if self._newest is None or not self._unsaved:
            return
        try:
            self._keeper.save(self._newest)
            self._unsaved = False
        except Exception as error:  # noqa: BLE001 - of the store's, whose text may hold what it was given
            log.warning("mailbox %s: its new refresh token could not be stored yet: %s", self._grant.mailbox, type(error).__name__)


def granted(grant: Grant, form: Mapping[str, str]) -> Token:
    """The access token that the endpoint gives for this form. Raises CollectorError."""
    return _token_of(grant, _granted(grant, form))


def _granted(grant: Grant, form: Mapping[str, str]) -> Mapping[str, Any]:
    status, body = _posted(grant, form)
    answer = _object(body)
    if status != 200:
        secrets = [form[name] for name in ("refresh_token", "client_secret", "assertion") if name in form]
        raise _refusal(grant, status, answer, secrets)
    return answer


def _token_of(grant: Grant, answer: Mapping[str, Any]) -> Token:
    text = _checked(answer.get("access_token"), f"{grant.mailbox}: {grant.url}")
    return Token(text, _seconds(answer.get("expires_in")))


def _refusal(grant: Grant, status: int, answer: Mapping[str, Any], secrets: Sequence[str]) -> CollectorError:
    code, about = answer.get("error"), answer.get("error_description")
    shown = [f"HTTP {status}", *(without(text, *secrets) for text in (code, about)
                                 if isinstance(text, str) and (text is about or _ERROR.fullmatch(text)))]
    reason = _STATUS.get(status, Reason.NETWORK if status >= 500 else Reason.REFUSED)
    if code == "invalid_grant":
        reason = grant.ended
    hint = {
        Reason.REAUTH_REQUIRED: "consent anew, and put the new credential under `secrets:`",
        Reason.AUTH: "check client_id and client_secret; where the refresh token has ended, consent anew and put it under `secrets:`",
        Reason.NOT_FOUND: "check token_url", Reason.REFUSED: "check token_url",
    }.get(reason, "it is asked again at the next turn")
    return CollectorError(reason, f"{grant.mailbox}: {grant.url} gives no access token"
                                  f" ({', '.join(shown)}) — {hint}")


def _posted(grant: Grant, form: Mapping[str, str]) -> tuple[int, bytes]:
    """Status and body, both bounded. The system's authorities vouch for the server; it cannot send us elsewhere."""
    ends_at = time.monotonic() + REQUEST_SECONDS
    body = b""
    try:
        with (
            httpx.Client(verify=ssl.create_default_context(), timeout=REQUEST_TIMEOUT) as client,
            client.stream("POST", grant.url, data=dict(form), headers={"Accept": "application/json"}) as response,
        ):
            for piece in response.iter_bytes():
                body += piece
                if len(body) > ANSWER_BYTES:
                    raise CollectorError(Reason.TOO_LARGE, f"{grant.mailbox}: {grant.url} answers with more than {ANSWER_BYTES}"
                                                           " bytes — check token_url")
                if time.monotonic() > ends_at:
                    raise CollectorError(Reason.TIMEOUT, f"{grant.mailbox}: {grant.url} took more than {REQUEST_SECONDS:g} s")
            return response.status_code, body
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise CollectorError(reason_of(error), f"{grant.mailbox}: {grant.url}: {type(error).__name__}") from None


def reason_of(error: BaseException) -> Reason:
    if isinstance(error, httpx.TimeoutException):
        return Reason.TIMEOUT
    if isinstance(error, httpx.ConnectError) and "CERTIFICATE_VERIFY" in str(error).upper():
        return Reason.TLS
    return {httpx.InvalidURL: Reason.CONFIG, httpx.UnsupportedProtocol: Reason.CONFIG, httpx.DecodingError: Reason.MALFORMED,
            httpx.RemoteProtocolError: Reason.MALFORMED}.get(type(error), Reason.NETWORK)


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer; empty where it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _checked(text: object, origin: str) -> str:
    if not isinstance(text, str) or not _TOKEN.fullmatch(text):
        raise CollectorError(Reason.MALFORMED, f"{origin} gave something that is no access token — it must be one word")
    return text


def _seconds(stated: object) -> float:
    """`expires_in`, which some servers write as a text."""
    try:
        seconds = float(stated)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return DEFAULT_SECONDS
    return DEFAULT_SECONDS if math.isnan(seconds) else min(max(seconds, 0.0), LARGEST_SECONDS)


def without(text: str, *secrets: str) -> str:
    """A server's words in one line, cut short, without what must not be seen."""
    for secret in filter(None, secrets):
        text = text.replace(secret, _REDACTED)
    text = " ".join(kept_name(text).split())
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
