"""Every error as `application/problem+json` (RFC 9457): what is wrong, in words for whoever called.

The type is `about:blank` throughout: the status says which kind of problem it is, `detail` what it is
about, and `errors` (where there are several) each one's place. Internals never leave the process. Calls that speak as
Alertmanager or Prometheus do answer errors as those do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from itertools import islice
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from monitor.access.bound import ForeignError
from monitor.database.faults import sentence
from monitor.database.revision import OtherSchemaError

MEDIA_TYPE = "application/problem+json"
CUT_SHORT = "the body ended before it was whole, or is not chunked as it says"
_log = logging.getLogger(__name__)


class Problem(HTTPException):
    """Raise to answer with a problem; `errors` lists several places."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers) if headers else None)
        self.errors = errors


def body_of(status: int, detail: str, errors: Sequence[Mapping[str, Any]] = ()) -> bytes:
    content: dict[str, Any] = {
        "type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail,
    }
    if errors:
        content["errors"] = errors
    return orjson.dumps(content)


@contextmanager
def refusals() -> Iterator[None]:
    """What a change refuses, as problems: LookupError is 404, PermissionError 403, ValueError 422."""
    try:
        yield
    except ForeignError:
        raise
    except LookupError as error:
        raise Problem(404, str(error)) from None
    except PermissionError as error:
        raise Problem(403, str(error)) from None
    except ValueError as error:
        raise Problem(422, str(error)) from None


def places(errors: Iterable[Any]) -> list[dict[str, str]]:
    """Where and why, of pydantic's errors. What was sent is not repeated: it may hold what should not get into logs."""
    return [{"at": ".".join(map(str, error["loc"])), "error": error["msg"].removeprefix("Value error, ")} for error in islice(errors, 50)]


def answer_with_problems(app: FastAPI) -> None:
    """Make every error of the app a problem, also those the framework raises."""
    app.add_exception_handler(HTTPException, _raised)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ForeignError, _foreign)
    app.add_exception_handler(DataError, _not_storable)
    app.add_exception_handler(OperationalError, _database_away)
    app.add_exception_handler(OtherSchemaError, _database_away)  # the caller keeps what it brought, and comes again
    app.add_exception_handler(ClientDisconnect, _cut_short)
    app.add_exception_handler(Exception, _unexpected)


def _answer(
    request: Request, status: int, detail: str, errors: Sequence[Mapping[str, Any]] = (), headers: Any = None
) -> Response:
    for prefix, shape in _OTHERS.items():
        if request.url.path.startswith(prefix):
            return Response(orjson.dumps(shape(status, detail)), status, headers, "application/json")
    return Response(body_of(status, detail, errors), status, headers, MEDIA_TYPE)


# calls that are another program's: its clients understand only its own errors
_OTHERS: Mapping[str, Callable[[int, str], Any]] = {
    "/api/v2/": lambda _status, detail: detail,  # Alertmanager: a text
    "/api/v1/": lambda status, detail: {  # Prometheus
        "status": "error", "errorType": "internal" if status >= 500 else "bad_data", "error": detail,
    },
}  # fmt: skip


async def _raised(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == 404 and detail == HTTPStatus.NOT_FOUND.phrase:
        detail = f"nothing at {request.url.path}"
    elif error.status_code == 405:
        detail = f"{request.url.path} does not take {request.method}"
    return _answer(request, error.status_code, detail, getattr(error, "errors", ()), error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors, kind = error.errors(), request.headers.get("content-type", "")
    if any(each["loc"] == ("body",) for each in errors) and "json" not in kind.lower():
        return _answer(request, 422, "the body is not taken as JSON: send Content-Type: application/json")
    return _answer(request, 422, "the request is not as it should be", places(errors))


async def _foreign(request: Request, error: Exception) -> Response:
    return _answer(request, 403, str(error))


async def _not_storable(request: Request, error: Exception) -> Response:
    del error
    return _answer(request, 422, "a value cannot be stored, such as a text with a NUL in it")


async def _database_away(request: Request, error: Exception) -> Response:
    what = sentence(error)
    _log.error("%s %s: %s", request.method, request.url.path, what)
    return _answer(request, 503, what, headers={"Retry-After": "5"})


async def _cut_short(request: Request, error: Exception) -> Response:
    """Nobody is there any more, or what came was no body; whoever still reads is given an answer."""
    del request, error
    return Response(body_of(400, CUT_SHORT), 400, media_type=MEDIA_TYPE)


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(request, 500, "something went wrong here; the log of the service says what")
