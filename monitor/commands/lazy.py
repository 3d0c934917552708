"""Commands that are imported only when they are used, so that start-up stays fast."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

# name → (module, attribute, one line of help); the help stands here so that `--help` imports nothing
Table = Mapping[str, tuple[str, str, str]]


class LazyGroup(click.Group):
    """A group whose commands stand in a table, besides those added to it as usual."""

    def __init__(self, *arguments: Any, later: Table, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._later = later

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self._later, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._later:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = self._later[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        here = {name: command.get_short_help_str() for name, command in self.commands.items()}
        lines = here | {name: line for name, (_, _, line) in self._later.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(lines.items()))
