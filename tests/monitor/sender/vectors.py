"""What a client in another language is tested by: `python -m tests.monitor.sender.vectors` writes monitor/sender/vectors.json.

The expected answers are written here by hand, from the contract; test_vectors.py holds the file and our own gate to them.
"""

import json
import sys
from typing import Any

from tests.places import ROOT

PATH = ROOT / "monitor" / "sender" / "vectors.json"
NOW = "2026-01-02T03:04:05Z"
ACME = {"customer": "acme", "stream": "news", "ip": "192.0.2.7", "recipient_domain": "gmail.com"}


def restriction(of: str, effect: str = "hold", rate: int | None = None, until: str | None = None, **scope: str) -> dict[str, Any]:
    return {
        "id": of, "kind": "suspension", "scope": scope, "effect": effect, "rate_per_hour": rate, "text": of, "rule": None, "incident": None,
        "until": until, "lifts_when": "an operator lifts it",
    }


def snapshot(*restrictions: dict[str, Any], **parts: Any) -> dict[str, Any]:
    rest = {
        "allowances": [], "pools": {"192.0.2.7": "acme-pool"}, "streams": [{"customer": "acme", "name": "receipts", "kind": "transactional"}],
        "providers": {"domains": {"gmail.com": "gmail", ".example.net": "example"}, "names": {"google": "gmail"}},
    }
    return {"format": 1, "version": 1, "stale_since": None, "restrictions": list(restrictions)} | rest | parts


def ask(request: dict[str, Any], decision: str, *ids: str, **more: Any) -> dict[str, Any]:
    """`ids`: the texts of the reasons, which are the ids here, in any order."""
    return {"request": request, "decision": decision, "reasons": sorted(ids)} | more


def case(name: str, events: list[tuple[str, dict[str, Any]]], *asks: dict[str, Any], now: str = NOW) -> dict[str, Any]:
    return {"name": name, "now": now, "events": [{"event": event, "data": data} for event, data in events], "asks": list(asks)}


def decisions() -> list[dict[str, Any]]:
    spent = {"id": "alw-1", "scope": {"ip": "192.0.2.7", "provider": "gmail"}, "cap": 1000, "exhausted": True, "pool": "shared",
             "resets_at": "2026-01-03T08:00:00Z"}
    return [
        case("nothing restricts", [("snapshot", snapshot())], ask(ACME, "send", pool="acme-pool", version=1)),
        case("a scope holds for what has all of its dimensions", [("snapshot", snapshot(
            restriction("a", customer="acme", provider="gmail"), restriction("b", customer="acme", stream="alerts"), restriction("c", pool="acme-pool"),
        ))], ask(ACME, "hold", "a", "c"), ask({"customer": "acme", "stream": "alerts", "provider": "orange"}, "hold", "b"),
            ask({"customer": "bolt", "ip": "192.0.2.7"}, "hold", "c"), ask({"customer": "bolt"}, "send")),
        case("hold beats slow, and the lowest rate counts", [("snapshot", snapshot(
            restriction("a", "slow", 100, customer="acme"), restriction("b", "slow", 50, provider="gmail"), restriction("c", stream="x", customer="acme"),
        ))], ask(ACME, "slow", "a", "b", rate_per_hour=50), ask(ACME | {"stream": "x"}, "hold", "a", "b", "c", rate_per_hour=None)),
        case("a provider by its name, its other name, its domains and those below a dot", [("snapshot", snapshot(
            restriction("a", provider="gmail"), restriction("b", provider="example"),
        ))], ask({"customer": "acme", "provider": "gmail"}, "hold", "a"), ask({"customer": "acme", "provider": "google"}, "hold", "a"),
            ask({"customer": "acme", "recipient_domain": "GMAIL.COM"}, "hold", "a"), ask({"customer": "acme", "recipient_domain": "a.b.example.net"}, "hold", "b"),
            ask({"customer": "acme", "recipient_domain": "example.net"}, "send")),
        case("a domain of no provider is its own, and one of other", [("snapshot", snapshot(
            restriction("a", provider="other"), restriction("b", provider="village.example"),
        ))], ask({"customer": "acme", "recipient_domain": "village.example"}, "hold", "a", "b"),
            ask({"customer": "acme", "recipient_domain": "town.example"}, "hold", "a"), ask(ACME, "send")),
        case("the kind of a stream; one nobody knows is marketing", [("snapshot", snapshot(restriction("a", kind="marketing")))],
             ask({"customer": "acme", "stream": "receipts"}, "send"), ask({"customer": "acme", "stream": "news"}, "hold", "a"),
             ask({"customer": "acme"}, "hold", "a")),
        case("a request without a provider: one at a provider does not decide, but is a reason", [("snapshot", snapshot(
            restriction("a", customer="acme", provider="gmail"),
        ))], ask({"customer": "acme"}, "send", "only to gmail: a")),
        case("it ends at its until by itself", [("snapshot", snapshot(
            restriction("a", customer="acme", until="2026-01-02T03:04:05Z"), restriction("b", customer="acme", until="2026-01-02T03:04:06Z"),
        ))], ask(ACME, "hold", "b")),
        case("a change sets whole restrictions by id and removes others; twice does no harm", [
            ("snapshot", snapshot(restriction("a", customer="acme"), restriction("b", customer="acme"))),
            *2 * [("change", {"version": 2, "at": NOW, "set": [restriction("b", "slow", 10, customer="acme"), restriction("c", customer="bolt")],
                              "removed": [{"id": "a", "why": "lifted"}, {"id": "nobody", "why": "gone"}]})],
        ], ask(ACME, "slow", "b", rate_per_hour=10, version=2), ask({"customer": "bolt"}, "hold", "c")),
        case("a change names other parts whole, and members nobody knows are ignored", [
            ("snapshot", snapshot(restriction("a", provider="tiny"))),
            ("change", {"version": 1, "at": NOW, "set": [], "removed": [], "pools": {}, "future": {"x": 1},
                        "providers": {"domains": {"tiny.example": "tiny"}, "names": {}}}),
            ("alive", {"version": 1, "at": NOW, "stale_since": None}),
        ], ask(ACME, "send", pool=None), ask({"customer": "acme", "recipient_domain": "tiny.example"}, "hold", "a")),
        case("a snapshot replaces everything", [
            ("snapshot", snapshot(restriction("a", customer="acme"))), ("snapshot", snapshot(restriction("b", customer="bolt"), version=5)),
        ], ask(ACME, "send", version=5), ask({"customer": "bolt"}, "hold", "b")),
        case("addresses and domains are compared in one form", [("snapshot", snapshot(
            restriction("a", ip="2001:db8::1"), restriction("b", domain="xn--bcher-kva.example"), restriction("c", ip="192.0.2.7"),
        ))], ask({"customer": "acme", "ip": "2001:0DB8:0:0::1"}, "hold", "a"), ask({"customer": "acme", "domain": "Bücher.example."}, "hold", "b"),
            ask({"customer": "acme", "ip": "::ffff:192.0.2.7"}, "hold", "c")),
        case("an allowance that is used up holds and names the pool the mail may go to", [("snapshot", snapshot(allowances=[spent]))],
             ask(ACME, "hold", "192.0.2.7 at gmail is warming up: all 1,000 messages of this day are sent or reserved", pool="shared"),
             ask(ACME | {"ip": "192.0.2.8"}, "send")),
    ]


def streams() -> list[dict[str, Any]]:
    """Bytes as they may come, and the events in them: one line of data each; `id` where there is one."""
    change = {"event": "change", "id": "p.2", "data": {"version": 2}}
    return [
        {"name": "three events", "bytes": 'event: snapshot\nid: p.1\ndata: {"version":1}\n\nevent: change\nid: p.2\ndata: {"version":2}\n\n'
                                          'event: alive\ndata: {"version":2}\n\n',
         "events": [{"event": "snapshot", "id": "p.1", "data": {"version": 1}}, change, {"event": "alive", "id": None, "data": {"version": 2}}]},
        {"name": "other line ends, comments, unknown fields, no blank after the colon",
         "bytes": ': hello\r\nretry: 5\r\nevent:change\r\nid:p.2\r\ndata:{"version":2}\r\n\r\n', "events": [change]},
        {"name": "what is not complete is no event", "bytes": 'event: change\nid: p.2\ndata: {"version":2}\n', "events": []},
        {"name": "data over several lines", "bytes": 'event: change\nid: p.2\ndata: {"version":\ndata: 2}\n\n', "events": [change]},
    ]


def document() -> str:
    content = {"format": 1, "about": "see CLIENTS.md", "decisions": decisions(), "streams": streams()}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(document(), "utf-8")
    print(PATH.relative_to(ROOT), file=sys.stderr)
