"""The mail a command of the gate is about, as options and as a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from collectors.dimensions import BY_NAME
from monitor.gate import NAMES, Request, read_request

_HELP = {"provider": "Id of a mailbox provider, such as gmail.", "recipient_domain": "Instead of --provider.",
         "message": "Its recipient and Message-ID, or a hash: by it holds choose what they let through."}


def about_one_mail(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each field of a request."""
    for name in reversed(NAMES):
        text = _HELP.get(name) or f"{BY_NAME[name].meaning.capitalize()}."
        command = click.option(f"--{name.replace('_', '-')}", required=name == "customer", help=text)(command)
    return command


def fields_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What is named. Raises UsageError."""
    if parameters["provider"] and parameters["recipient_domain"]:
        raise click.UsageError("--provider or --recipient-domain, not both")
    return {name: value for name, value in parameters.items() if value is not None}


def request_of(parameters: Mapping[str, Any]) -> Request:
    """The request. Raises UsageError."""
    try:
        return read_request(fields_of(parameters))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
