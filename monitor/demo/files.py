"""The demo's own configuration, written as a person would write it."""

from __future__ import annotations

import json
from pathlib import Path

from monitor.demo.story import ZONES, catalogue
from monitor.demo.world import MAILINGS, WARMING

CONFIG = """\
# The demo's configuration; times are short so that a minute shows what otherwise takes a day.
engine:
  url: {database}
  max_held_share: 90%          # two customers only: holding one is half of the traffic
api:
  listen: {listen}
  console: open                # on loopback, and nothing in it is anybody's
inventory: inventory.yaml
secrets:
  fbl: demo-password
collectors:
  dnsbl:
    every: 1s
    resolvers: ["127.0.0.1:{dns}"]
    catalogue: {catalogue}
    lists: [{lists}]
    timeout_seconds: 20          # a busy machine is not a silent list
  feedback_loop:
    every: 1s
    trusted_mailboxes: [yahoo-loop]
receivers:
  - name: on-call
    url: http://127.0.0.1:{web}/chat
rules:
  - id: ip-listed
    condition: listing
    severity: critical
    min_weight: 0.7
    effect: {{action: hold}}
    runbook: find the mail that caused it before asking for removal
  - id: complaint-rate
    condition: ratio
    signal: complaints
    severity: critical
    by: [customer, stream, provider]
    window: 20s
    above: 0.3%
    clear: {{below: 0.2%}}
    keep_firing_for: 2s
    effect: {{action: hold, scope: [customer, stream, provider], at_most: 14s}}
    runbook: ask the customer where the addresses come from and when they consented
"""


def write(folder: Path, *, database: str, listen: str, dns: int, imap: int, web: int) -> Path:
    """Write configuration, catalogue and inventory into a folder; returns the configuration."""
    (folder / "catalogue.json").write_text(json.dumps(catalogue(f"http://127.0.0.1:{web}/removal"), indent=1))
    (folder / "inventory.yaml").write_text(_inventory(imap))
    path = folder / "vigie.yaml"
    path.write_text(CONFIG.format(database=database, listen=listen, dns=dns, web=web, catalogue=folder / "catalogue.json", lists=", ".join(ZONES)))
    return path


def _inventory(imap: int) -> str:
    sent = (*MAILINGS, WARMING)
    customers = dict.fromkeys(mailing.customer for mailing in sent)
    lines = ["customers:"]
    for customer in customers:
        lines += [f"  - id: {customer}", f"    name: {customer.title()}", "    streams:"]
        for mailing in (each for each in sent if each.customer == customer):
            kind = "transactional" if mailing.stream == "receipts" else "marketing"
            lines.append(f"      - {{name: {mailing.stream}, kind: {kind}}}")
    lines.append("pools:")
    lines += [f"  - {{name: {customer}-pool, customer: {customer}}}" for customer in customers]
    lines.append(f"  - {{name: {WARMING.customer}-new, customer: {WARMING.customer}}}")
    ips = {ip: f"{mailing.customer}-pool" for mailing in MAILINGS for ip in mailing.ips}
    ips |= dict.fromkeys(WARMING.ips, f"{WARMING.customer}-new")
    lines.append("ips:")
    lines += [f"  - {{address: {ip}, pool: {pool}}}" for ip, pool in ips.items()]
    lines.append("domains:")
    domains = {mailing.domain: mailing.customer for mailing in MAILINGS}
    lines += [f"  - {{domain: {domain}, customer: {customer}}}" for domain, customer in domains.items()]
    lines += [
        "mailboxes:",
        "  - name: yahoo-loop",
        "    purpose: feedback_loop",
        "    provider: yahoo",
        "    host: 127.0.0.1",
        f"    port: {imap}",
        "    tls: none",
        "    username: fbl",
        "    secret: fbl",
        "    done_folder: Done",
    ]
    return "\n".join(lines) + "\n"
