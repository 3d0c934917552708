"""The `vigie` command: a table of commands, each imported only when it is asked for."""

from __future__ import annotations

import sys
from typing import Any

import click

from monitor.commands.lazy import LazyGroup, Table
from monitor.commands.terminal import guard_streams

COMMANDS: Table = {
    "apply": ("monitor.commands.apply", "apply", "Bring the stored inventory to what a file says."),
    "abuse": ("monitor.commands.abuse", "abuse", "Abuse cases: whose turn it is, until when."),
    "check-config": ("monitor.commands.check_config", "check_config", "Check configuration, rules and inventory."),
    "dashboards": ("monitor.commands.dashboards", "dashboards", "Grafana's boards: build, check and publish them."),
    "db": ("monitor.commands.db", "db", "Schema, retention and size of the database."),
    "dnsbl": ("monitor.commands.dnsbl", "dnsbl", "Ask DNS block and allow lists about IPs and domains."),
    "run": ("monitor.commands.service", "run", "Everything in one process."),
    "serve": ("monitor.commands.service", "serve", "Only the API and the console."),
    "collect": ("monitor.commands.service", "collect", "Scheduler and collectors; or one run of one, with --once."),
    "demo": ("monitor.commands.demo", "demo", "The service against a loopback world that goes wrong."),
    "erase": ("monitor.commands.erase", "erase", "Take a person's data out of every table."),
    "events": ("monitor.commands.events", "events", "Take delivery records of MTAs and senders."),
    "gate": ("monitor.commands.gate", "gate", "Ask the gate: may I send?"),
    "fbl": ("monitor.commands.fbl", "fbl", "Feedback loops: enrolments, gaps, silence."),
    "hold": ("monitor.commands.operate", "hold", "Stop mail of a scope."),
    "slow": ("monitor.commands.operate", "slow", "Slow mail of a scope."),
    "lift": ("monitor.commands.operate", "lift", "Lift a suspension."),
    "silence": ("monitor.commands.operate", "silence", "Notify nobody of matching incidents for a time."),
    "ack": ("monitor.commands.operate", "ack", "Say that you look after an incident."),
    "keys": ("monitor.commands.keys", "keys", "Make, list and revoke keys of the API."),
    "rules": ("monitor.commands.rules", "rules", "Check and test rule files, try them on facts and on stored history, and show what the rules say."),
    "suppressions": ("monitor.commands.suppressions", "group", "Who must not be mailed again, by customer."),
    "token": ("monitor.commands.token", "token", "Make and read tokens that say whose mail a report is about."),
    "notify": ("monitor.commands.notify", "notify", "Send a test message to a receiver."),
    "trace": ("monitor.commands.trace", "trace", "What happened to a recipient, a message, a customer's mail."),
    "warmup": ("monitor.commands.warmup", "warmup", "Warm-up: plans, standings, begin and end."),
    "mta": ("monitor.commands.mta", "mta", "MTAs that stay as they are."),
    "mail": ("monitor.commands.mail", "mail", "Read feedback reports, bounces, DMARC and TLS reports."),
}


@click.group(cls=LazyGroup, later=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vigie")
@click.option("--verbose", is_flag=True, help="Log everything a service does (run, serve, collect).")
def cli(*, verbose: bool) -> None:
    """Vigie: the open reputation lookout for e-mail senders."""


def main(arguments: list[str] | None = None) -> Any:
    """Run one command. Exit 0 done, 1 a finding, 2 bad usage or configuration, 3 could not reach what it needs."""
    guard_streams()
    return cli.main(args=arguments, prog_name="vigie", windows_expand_args=False)


if __name__ == "__main__":
    sys.exit(main())
