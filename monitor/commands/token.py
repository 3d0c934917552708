"""`vigie token`: what a sender puts into its mails, made and read by people (monitor.sender.token)."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from monitor.commands.failing import Failure
from monitor.commands.printing import json_option, print_json
from monitor.commands.stored import config_option, stored
from monitor.facts import deliveries
from monitor.inventory.rows import streams_of_customers
from monitor.sender.recipient import recipient_ref
from monitor.sender.token import HEADER, PREFIX, keys_of, make_token, read_token
from monitor.suppressions.wire import Token, TokenContent


@click.group()
def token() -> None:
    """Tokens that say whose mail a report is about."""


@token.command()
@click.option("--customer", required=True)
@click.option("--stream")
@click.option("--campaign")
@click.option("--recipient", metavar="ADDRESS", help="A report that hides it then still says whom to suppress.")
@click.option("--domain", default="bounces.example.com", show_default=True, help="Of the return path.")
@config_option
@json_option
def make(
    customer: str, stream: str | None, campaign: str | None, recipient: str | None, domain: str,
    config_file: Path, *, as_json: bool,
) -> None:
    """A token for one mail, and where to put it."""
    with stored(config_file) as store:
        with store.reading_session() as session:
            streams = streams_of_customers(session)
        if customer not in streams:
            raise Failure(2, f"the inventory has no customer {customer}")
        if stream is not None and stream not in streams[customer]:
            raise Failure(2, f"customer {customer} has no stream {stream}")
        key = store.customer_key(customer)
    ref = recipient_ref(key, recipient) if recipient else None
    made = make_token(key, customer, stream, campaign, ref)
    return_path = f"{PREFIX}{made}@{domain}"
    if as_json:
        print_json(Token(token=made, return_path=return_path, header=HEADER))
    else:
        click.echo(f"{made}\nreturn path: {return_path}\nheader: {HEADER}: {made}")


@token.command()
@click.argument("text")
@config_option
@json_option
def read(text: str, config_file: Path, *, as_json: bool) -> None:
    """What a token or a return path says. Exit 1 where it is none of ours."""
    local_part = text.strip("<> ").partition("@")[0]
    with stored(config_file) as store, store.reading_session() as session:
        streams = streams_of_customers(session)
        keys = keys_of((customer, store.customer_key(customer)) for customer in streams)
        token_read = read_token(keys, local_part.rpartition("+")[2])
        if token_read is None:
            click.echo("no token of ours: garbled, forged, or of a key given up", err=True)
            sys.exit(1)
        content = TokenContent(
            customer=token_read.customer,
            stream=token_read.stream_among(streams[token_read.customer]),
            campaign=token_read.campaign_among(deliveries.campaigns(session, token_read.customer)),
            recipient_ref=token_read.recipient.hex() if token_read.recipient else None,
        )
    if as_json:
        print_json(content)
    else:
        click.echo("\n".join(f"{name}: {value or 'not stated, or not known'}" for name, value in content))
