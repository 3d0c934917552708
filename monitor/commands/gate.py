"""`vigie gate`: one decision, from the database or over HTTP; why it is so; what would have been held."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import httpx
import orjson

from monitor.commands.failing import Failure
from monitor.commands.gate_explain import explain
from monitor.commands.gate_recoveries import override, recoveries, shadowed
from monitor.commands.gate_request import about_one_mail, fields_of, request_of
from monitor.commands.gate_simulate import simulate
from monitor.commands.printing import json_option
from monitor.commands.stored import config_option, stored, utc_now
from monitor.gate import NAMES, decide
from monitor.gate.words import Decided
from monitor.notify.message import where
from monitor.restrictions.follow import GateIndex
from monitor.restrictions.wire import with_warnings

_TIMEOUT_SECONDS = 10.0


@click.group()
def gate() -> None:
    """May I send?"""


@gate.command()
@about_one_mail
@click.option("--count", type=int, default=1, show_default=True)
@click.option("--url", help="Ask a running service, such as http://127.0.0.1:8080, instead of the database.")
@click.option("--key", envvar="VIGIE_KEY", help="A key with the scope gate; better in VIGIE_KEY.")
@config_option
@json_option
def ask(url: str | None, key: str | None, config_file: Path, *, as_json: bool, **parameters: Any) -> None:
    """One decision: exit 0 for send, 1 for slow and hold."""
    body, request = fields_of(parameters), request_of(parameters)
    if url is not None:
        answer = _over_http(url, key, body)
    else:
        with stored(config_file) as store:
            now = utc_now()
            gate = GateIndex()
            decision = decide(request, gate.refresh(store, now, everything=True), now)
            unknown = gate.names.unknown({name: getattr(request, name) for name in NAMES})
        answer = orjson.dumps(with_warnings(decision, unknown), option=orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS)
    content = orjson.loads(answer)
    click.echo(answer if as_json else _in_words(content))
    for warning in content.get("warnings", ()):
        click.echo(f"warning: {warning}", err=True)
    if content["decision"] != Decided.SEND:
        sys.exit(1)


def _over_http(url: str, key: str | None, body: dict[str, Any]) -> bytes:
    if key is None:
        raise click.UsageError("--url needs a key: --key or VIGIE_KEY")
    try:
        response = httpx.post(
            f"{url.rstrip('/')}/v1/decision", json=body, headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT_SECONDS,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Failure(3, f"{url} does not answer: {error}") from None
    if response.status_code != 200:
        raise Failure(3 if response.status_code >= 500 else 2, f"{url} refuses: {_detail(response)}")
    return response.content


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"


def _in_words(answer: dict[str, Any]) -> str:
    lines = [answer["decision"]]
    if answer["rate_per_hour"] is not None:
        lines[0] += f", at most {answer['rate_per_hour']:,} an hour"
    if answer.get("connections") is not None:
        lines[0] += f", at most {answer['connections']} connections"
    if answer["retry_after_seconds"] is not None:
        lines[0] += f"; ask again in {answer['retry_after_seconds']} s"
    for reason in answer["reasons"]:
        end = f" until {reason['until']}" if reason["until"] else ""
        lifts = f"; lifts when {reason['lifts_when']}" if reason["lifts_when"] else ""
        lines.append(f"  {reason['effect']} on {where(reason['scope'])}{end}: {reason['text']}{lifts}")
    return "\n".join(lines)


for _command in (explain, simulate, recoveries, override, shadowed):
    gate.add_command(_command)
