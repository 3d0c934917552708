"""The pages of rules: how the groups of each stand, and what each says."""

import shutil
from contextlib import closing

import pytest

from monitor.console import Console, build_pages
from monitor.database.tables import JudgedRule, VerdictRow
from monitor.intake.consequences import open_store
from monitor.rules.conditions.table import RULE
from tests.monitor.api.running import NOW, running

RULES = [
    RULE.validate_python({"id": "blocks", "condition": "ratio", "signal": "blocks", "above": "5%", "clear": {"below": "1%"}, "for": "10m",
                          "runbook": "read the <replies>\nslow it", "mode": "shadow"}),
    RULE.validate_python({"id": "ip-listed", "condition": "listing", "severity": "critical", "min_weight": 0.7}),
]  # fmt: skip


def verdict(ip, state):
    return VerdictRow(rule="blocks", key=f"ip={ip}", subject={"ip": ip}, state=state, answer="clear", severity="warning", summary=f"{ip} says {state}",
                      since=NOW, judged_at=NOW)


@pytest.fixture(scope="module")
def page(migrated_file, tmp_path_factory):
    path = shutil.copy(migrated_file, tmp_path_factory.mktemp("rules") / "vigie.sqlite")
    with closing(open_store(f"sqlite:///{path}")) as store:
        yield from _pages(store)


def _pages(store):
    with store.session() as session:
        session.add_all([verdict("192.0.2.1", "ok"), verdict("192.0.2.2", "firing"), verdict("192.0.2.3", "nodata")])
        session.add_all([
            JudgedRule(rule=name, condition="ratio", signal="blocks", mode="live", severity="warning", judged_at=NOW, error=error)
            for name, error in (("blocks", None), ("gone-rule", "KeyError: x"))
        ])
    with running(store, pages=build_pages(Console(store, lambda: NOW, RULES))) as vigie:
        client = vigie.client()
        yield client.get


def test_all_rules_are_listed_what_fires_first(page):
    text = page("/rules").text
    assert text.index('href="/rules/blocks"') < text.index('href="/rules/gone-rule"') < text.index('href="/rules/ip-listed"')
    assert "vigie rules backtest --since 7d --rule blocks" in text
    assert "--rule ip-listed" not in text
    assert "configured no more" in text
    assert "KeyError: x" in text


def test_a_rule_says_what_of_each_group_the_worst_first_and_what_to_do(page):
    text = page("/rules/blocks").text
    places = [text.index(f"192.0.2.{number} says") for number in (2, 3, 1)]
    assert places == sorted(places)
    assert "1 firing, 1 nodata, 1 ok" in text
    assert "read the &lt;replies&gt;" in text
    assert "in shadow" in text
    assert page("/rules/gone-rule").status_code == 200
    assert page("/rules/nope").status_code == 404
