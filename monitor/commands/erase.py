"""`vigie erase`: a person asks that their data be deleted."""

from __future__ import annotations

from pathlib import Path

import click

from monitor.commands.failing import Failure
from monitor.commands.printing import json_option, print_json
from monitor.commands.stored import actor, config_option, stored, utc_now
from monitor.database.erase import erase as erase_person
from monitor.database.erase import person, suppressed, without
from monitor.database.tables import Transition
from monitor.database.transitions import TransitionKind, check_reason, new_id
from monitor.database.wire import Erased

KEPT, ERASED = "kept", "erased"  # a person's data, before and after


@click.command()
@click.argument("recipient")
@click.option("--reason", required=True, help="Who asked, and why; kept in the history (without the address).")
@click.option("--suppressions", is_flag=True, help="Also forget that they must not be mailed; they may be mailed again.")
@config_option
@json_option
def erase(recipient: str, reason: str, config_file: Path, *, suppressions: bool, as_json: bool) -> None:
    """Take a RECIPIENT (a mail address) out of every table: hashes, texts, evidence, parked mail.

    What was counted stays, without whom it was about. Copies outside the database (backups, source mailboxes, logs of
    the MTA) are not reached. Back-ups made before hold the data until they are thrown away.
    """
    if "@" not in recipient:
        raise click.UsageError(f"'{recipient}' is no mail address")
    try:
        check_reason(reason)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with stored(config_file) as store, store.session() as session:
        connection = session.connection()
        who = person(connection, store.recipients, recipient)
        rows = erase_person(connection, who, suppressions=suppressions)
        kept = suppressed(connection, who)
        why = without(store.recipients.redacted(reason), who)
        session.add(Transition(
            at=utc_now(), kind=TransitionKind.ERASURE.value, of=new_id("era"), old=KEPT, new=ERASED, why=why, actor=actor(),
            evidence={"rows": rows},
        ))
    if as_json:
        print_json(Erased(rows=rows, suppressions_kept=kept))
    else:
        counts = ", ".join(f"{count:,} {name}" for name, count in rows.items()) or "nothing was kept of this recipient"
        click.echo(counts)
        if kept:
            click.echo(f"{kept} suppressions kept, so that the address is not mailed again", err=True)
    if not rows and not kept:
        raise Failure(1, "nothing of this recipient was found; the address as it was mailed to?")
