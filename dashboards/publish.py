"""The boards into a running Grafana over its HTTP API: one folder, one dashboard a board, as often as one likes.

`grafana-client` is imported here only: it brings a substitute for urllib3 into its environment, so the service never has it
(dashboards/README.md). Classic dashboards, which Grafana 11 to 13 take.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

FOLDER_UID = "vigie"
TAG = "vigie"  # of all our boards
FOLDER_TITLE = "Vigie"
_THEIRS = ("id", "version")  # what Grafana numbers by itself


class Action(enum.StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    MOVED = "moved"
    UNCHANGED = "unchanged"


class Done(NamedTuple):
    uid: str
    action: Action


class PublishError(Exception):
    """A sentence that says what Grafana refused, and what to do."""


class Api(Protocol):
    """What is asked of Grafana; grafana_client.GrafanaApi through `Grafana` below."""

    def board(self, uid: str) -> Mapping[str, Any] | None: ...
    def has_folder(self, uid: str) -> bool: ...
    def make_folder(self, uid: str, title: str) -> None: ...
    def save(self, document: Mapping[str, Any], folder: str, *, overwrite: bool) -> None: ...


def publish(api: Api, documents: Mapping[str, str], *, dry_run: bool = False, overwrite: bool = False) -> Iterator[Done]:
    """Bring the boards there, one by one; with `dry_run` only say what would be done. Raises PublishError at the first refusal.

    What is the same stays untouched. `overwrite`: also where somebody saved the board in Grafana meanwhile.
    """
    if not api.has_folder(FOLDER_UID) and not dry_run:
        api.make_folder(FOLDER_UID, FOLDER_TITLE)
    for text in documents.values():
        document = json.loads(text)
        there = api.board(document["uid"])
        action = _action(document, there)
        if action is not Action.UNCHANGED and not dry_run:
            version = {} if there is None else {"version": there["dashboard"].get("version", 0)}
            api.save({**document, **version, "id": None}, FOLDER_UID, overwrite=overwrite)
        yield Done(document["uid"], action)


def _action(document: Mapping[str, Any], there: Mapping[str, Any] | None) -> Action:
    if there is None:
        return Action.CREATED
    if there["meta"].get("provisioned"):
        raise PublishError(
            f"{document['uid']} comes from a file there (provisioning): copy dashboards/generated to it instead, or take it out of the provisioning")
    if TAG not in there["dashboard"].get("tags", ()):
        raise PublishError(f"{document['uid']} there is a dashboard that is not ours (no tag {TAG}): give it another uid first")
    if _ours(there["dashboard"]) != _ours(document):
        return Action.UPDATED
    return Action.UNCHANGED if there["meta"].get("folderUid") == FOLDER_UID else Action.MOVED


def _ours(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in _THEIRS}


class Grafana:
    """grafana-client, with every refusal as a sentence."""

    def __init__(self, url: str, token: str, timeout_seconds: float = 20.0) -> None:
        try:
            import grafana_client  # noqa: PLC0415 - see above
            from niquests.exceptions import RequestException  # noqa: PLC0415 - the client lets these through
        except ImportError:
            raise PublishError(
                "grafana-client is not installed here. Install it in an environment of its own, never in the service's:"
                " make grafana, then .venv/grafana/bin/vigie"
            ) from None
        self._url = url
        # the client puts the path and `api` together: a path needs its slash, and none must have none
        base = url.rstrip("/") + ("/" if urlsplit(url).path.strip("/") else "")
        self._api = grafana_client.GrafanaApi.from_url(base, credential=token, timeout=timeout_seconds)
        self._refused = grafana_client.client.GrafanaException
        self._unreachable = RequestException

    def check(self) -> str:
        """The version of the Grafana that answers."""
        health = self._call("ask for its health", lambda: self._api.client.GET("/health"))  # health.check asks the web page's settings
        if not isinstance(health, dict) or "database" not in health:
            raise PublishError(f"what answers at {self._url} is no Grafana: name the address its pages have, with the path if there is one")
        if health["database"] != "ok":
            raise PublishError(f"Grafana at {self._url} says its own database is {health['database']}: look there first")
        return str(health.get("version", "of an unnamed version"))

    def board(self, uid: str) -> Mapping[str, Any] | None:
        answer: Mapping[str, Any] | None = self._call(f"read {uid}", lambda: self._api.dashboard.get_dashboard(uid), missing=True)
        return answer

    def has_folder(self, uid: str) -> bool:
        return self._call(f"read the folder {uid}", lambda: self._api.folder.get_folder(uid), missing=True) is not None

    def make_folder(self, uid: str, title: str) -> None:
        self._call(f"make the folder {title}", lambda: self._api.folder.create_folder(title, uid))

    def save(self, document: Mapping[str, Any], folder: str, *, overwrite: bool) -> None:
        payload = {"dashboard": document, "folderUid": folder, "overwrite": overwrite, "message": "vigie dashboards publish"}
        self._call(f"save {document['uid']}", lambda: self._api.dashboard.update_dashboard(payload))

    def _call(self, doing: str, call: Any, *, missing: bool = False) -> Any:
        try:
            return call()
        except self._refused as error:
            if missing and error.status_code == 404:
                return None
            raise PublishError(f"could not {doing}: {_sentence(error, self._url)}") from None
        except (self._unreachable, OSError) as error:
            raise PublishError(f"could not {doing}: {self._url} cannot be reached ({type(error).__name__})") from None
        except ValueError:
            raise PublishError(f"could not {doing}: {self._url} answered something that is no JSON; is it Grafana's address?") from None


_SENTENCES = {
    0: "no answer in time",
    400: "Grafana refuses what it got: {message}",
    401: "the token is not accepted: make one for a service account of this organisation (Administration, Service accounts)",
    403: "the token may not do this: its service account needs the role Editor, or dashboards:create, dashboards:write and folders:create",
    404: "there is no such address at {url}: is the path right?",
    409: "somebody else made it meanwhile: run it again",
    412: "it was changed in Grafana since, or another board has its title ({message}): look at it, then use --overwrite",
    422: "Grafana refuses what it got: {message}",
    429: "Grafana asks for fewer requests: wait and run it again",
}


def _sentence(error: Any, url: str) -> str:
    response = error.response
    message = response.get("message", "") if isinstance(response, Mapping) else ""
    known = _SENTENCES.get(error.status_code)
    if known:
        return known.format(message=message or "no reason given", url=url)
    return f"Grafana answered {error.status_code}: {message or 'no reason given'}"
