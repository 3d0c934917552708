"""What every relay's webhook has in common: events taken out of a post, each read by the relay's table, each counted once by its key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from collectors.delivery.counting import Line, record_key
from collectors.delivery.fields import (
    LONGEST_NAME,
    LONGEST_TEXT,
    ip_of,
    mail_address,
    reply_code,
    status_code,
)
from collectors.delivery.outcomes import Event, Ignored, Outcome, Read, Unreadable
from collectors.delivery.webhooks.proof import Post
from collectors.instants import checked

Json = Mapping[str, Any]
Path = str  # names between dots; several paths between bars, of which the first that is there counts
MOST_EVENTS = 20_000


@dataclass(frozen=True, slots=True)
class Relay:
    """`proof` raises NotProvenError. `events`: those in a post; raises ValueError, KeyError or TypeError for what is none of this relay's.

    `word`: where an event says what it is; `outcomes`: what each word means, None: ignored by that word. `refined`: what the
    word alone does not say. `fields`: `at`, `recipient`, `sender`, `ip`, `mx`, `message_id`, `status`, `code`, `text`. `names`: what may
    name the customer. `key`: what the relay calls the event, for ever; empty: all of it. `verified`: no outsider can have caused the post. `confirm`: where
    the relay wants to be answered that its posts are wanted.
    """

    name: str
    proof: Callable[[Post], None]
    events: Callable[[Post], Sequence[Json]]
    word: Path
    outcomes: Mapping[str, Outcome | None]
    fields: Mapping[str, Path]
    key: Path
    names: Mapping[str, Path] = field(default_factory=dict)
    refined: Callable[[Json, Outcome], Outcome | str] = lambda _event, outcome: outcome  # a text: ignored by that kind
    hint: Callable[[Json], str | None] = lambda _event: None
    verified: Callable[[Post], bool] = lambda _post: True
    confirm: Callable[[Post], str | None] = lambda _post: None


def lines_in(relay: Relay, post: Post, source: str) -> list[Line]:
    """The events of a post, read. Raises ValueError where it is no post of this relay."""
    try:
        events = relay.events(post)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a post of {relay.name}: {error}") from None
    if len(events) > MOST_EVENTS:
        raise ValueError(f"more than {MOST_EVENTS:,} events")
    lines, verified = [], relay.verified(post)
    for number, event in enumerate(events, 1):
        raw = orjson.dumps(event)
        read = _read(relay, event, verified=verified)
        named = at(event, relay.key) if isinstance(event, dict) and not isinstance(read, Unreadable) else None
        lines.append(Line(number, record_key(source, f"{relay.name}:{named}".encode() if named else raw), raw, read))
    return lines


def at(event: Json, path: Path) -> Any:
    """What stands at the first of these paths that is there; None where none is."""
    for each in path.split("|") if path else ():
        value: Any = event
        for name in each.split("."):
            value = value.get(name) if isinstance(value, dict) else value[0] if isinstance(value, list) and value and name == "0" else None
        if value not in (None, "", []):
            return value
    return None


def text_at(event: Json, path: Path | None) -> str | None:
    value = at(event, path) if path else None
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def when(stated: Any) -> datetime:
    """ISO 8601, or seconds since 1970. Raises ValueError or TypeError."""
    if isinstance(stated, int | float) and not isinstance(stated, bool):
        return checked(datetime.fromtimestamp(stated, UTC))
    if not isinstance(stated, str):
        raise TypeError("the event has no time")
    return when(float(stated)) if stated.replace(".", "", 1).isdigit() else checked(datetime.fromisoformat(stated))


def _read(relay: Relay, event: Any, *, verified: bool) -> Read:
    if not isinstance(event, dict):
        return Unreadable("an event is a JSON object")
    word = text_at(event, relay.word)
    if word is None:
        return Unreadable(f"no {relay.word.partition('|')[0]}")
    outcome = relay.outcomes.get(word)
    if outcome is None:
        return Ignored(word[:LONGEST_NAME])
    try:
        refined = relay.refined(event, outcome)
        if not isinstance(refined, Outcome):
            return Ignored(refined[:LONGEST_NAME])
        return _events(relay, event, refined, verified=verified)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
        return Unreadable(f"not an event of {relay.name}: {error}")


def _events(relay: Relay, event: Json, outcome: Outcome, *, verified: bool) -> list[Event]:
    stated = {name: text_at(event, path) for name, path in relay.fields.items()}
    text = (stated.get("text") or "").removeprefix("smtp;").strip()
    code = reply_code(stated.get("code") or "") or reply_code(text)
    names = {name: value[:LONGEST_NAME] for name, path in relay.names.items() if (value := text_at(event, path))}
    return [Event(
        outcome, when(at(event, relay.fields["at"])), mail_address(stated.get("recipient")), sender=mail_address(stated.get("sender")), names=names,
        ip=ip_of(stated.get("ip")), mx=stated.get("mx"), message_id=(stated.get("message_id") or "").strip("<> ") or None,
        status=status_code(stated.get("status")) or status_code(text[4:]), reply_code=code, text=text[:LONGEST_TEXT] or None,
        final=True, verified=verified and outcome is not Outcome.ASYNC_BOUNCED, hint=relay.hint(event),
    )]  # fmt: skip


def json_events(post: Post) -> Sequence[Json]:
    """An array of events, or one."""
    stated = orjson.loads(post.body)
    return stated if isinstance(stated, list) else [stated]


def lines_in_file(relay: Relay, posts: Sequence[tuple[int, bytes]], source: str, now: datetime) -> list[Line]:
    """Posts that were kept in a file, one a line: without a proof, for whoever may read the file vouches for it."""
    lines: list[Line] = []
    for number, body in posts:
        if not body.strip():
            continue
        try:
            read = lines_in(relay, Post(body, now, topics=frozenset({"file"})), source)
        except ValueError as error:
            read = [Line(number, record_key(f"{source}{error}", body), body, Unreadable(str(error)))]
        lines += [replace(line, number=number) for line in read]
    return lines
