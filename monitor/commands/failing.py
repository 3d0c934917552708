"""How a command ends when it cannot do what it was asked: one clear message and the right exit code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError

from monitor.config.load import Config, load_config
from monitor.config.yaml_file import ConfigError
from monitor.database.faults import sentence
from monitor.database.recipient_keys import HashKeyError
from monitor.database.revision import OtherSchemaError
from monitor.inventory.difference import InventoryError


class Failure(click.ClickException):
    """A message on standard error and an exit code (2 bad usage or configuration, 3 unreachable)."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance

    def format_message(self) -> str:
        return str(self.message)


@contextmanager
def configured(path: Path) -> Iterator[Config]:
    """The configuration, and inside the `with` the common failures as messages.

    Bad configuration or inventory ends with 2, a database that cannot be had with 3.
    """
    file = ""
    try:
        config = load_config(path, os.environ)
        file = config.engine.url.get_secret_value().removeprefix("sqlite:///")
        yield config
    except ConfigError as error:
        raise Failure(2, str(error)) from None
    except InventoryError as error:
        raise Failure(2, f"the inventory cannot be applied: {error}") from None
    except (HashKeyError, OtherSchemaError) as error:
        raise Failure(2, str(error)) from None
    except DBAPIError as error:
        raise Failure(3, sentence(error).replace("the file of engine.url", file)) from None
