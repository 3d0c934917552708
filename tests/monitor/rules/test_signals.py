"""A new signal is one row, and whatever a rule is about can be judged from it."""

from datetime import UTC, datetime, timedelta

import pytest

from monitor.rules import signals as module
from monitor.rules.conditions.ratio import RatioNumbers
from monitor.rules.conditions.table import RULE, judge
from monitor.rules.evidence import Place
from monitor.rules.in_memory import Fact, MemoryEvidence
from monitor.rules.signals import FILE, read_signals, signals
from monitor.rules.verdict import Answer

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
RATES = ("complaints", "blocks", "deferrals", "invalid_addresses", "dmarc_failures", "tls_failures", "unsubscribes")
ROW = "- {name: absence_notes, numerator: autoreply, denominator: delivered, unit: share, words: rate of absence notes, events: notes, per: delivered}"


def counted(measure, value, hours_ago=1.0, **labels):
    return Fact(measure, labels, NOW - timedelta(hours=hours_ago), value)


def rule(**given):
    return RULE.validate_python({"id": "made-up", "condition": "ratio", "above": "1%", "clear": {"below": "0.5%"}, **given})


def test_a_made_up_signal_is_one_row(monkeypatch):
    known = read_signals(f"{FILE.read_text('utf-8')}{ROW}")
    monkeypatch.setattr(module, "signals", lambda: known)
    facts = [counted("delivered", 1_000.0, customer="acme"), counted("autoreply", 40.0, customer="acme")]
    (verdict,) = judge(rule(signal="absence_notes", by=["customer"]), MemoryEvidence(NOW, facts), NOW)
    assert verdict.answer is Answer.BREACH
    assert verdict.summary.startswith("rate of absence notes 4.00 % (40 of 1,000; at least ")


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("dimension", ["customer", "stream", "campaign", "ip", "domain", "provider"])
def test_every_shipped_rate_is_judged_per_any_dimension(name, dimension):
    signal = signals()[name]
    bad, good = signal.numerator[0], next(measure for measure in signal.denominator if measure != signal.numerator[0])
    facts = [counted(measure, value, **{dimension: which}) for measure, value, which in (
        (bad, 100.0, "x"), (good, 1_000.0, "x"), (bad, 1.0, "y"), (good, 10_000.0, "y"))]
    verdicts = judge(rule(signal=name, by=[dimension]), MemoryEvidence(NOW, facts), NOW)
    assert {verdict.group[0]: verdict.answer for verdict in verdicts} == {
        (dimension, "x"): Answer.BREACH, (dimension, "y"): Answer.CLEAR,
    }


@pytest.mark.parametrize(("row", "words"), [
    ("- {name: a, numerator: complaintz, unit: share, words: x}", "did you mean 'complaint'"),
    ("- {name: a, numerator: complaint, unit: share, words: x, colour: red}", "colour"),
    ("- {name: a, numerator: complaint, unit: share, words: x}\n- {name: a, numerator: block, unit: share, words: x}", "same name"),
])
def test_a_row_that_makes_no_sense_is_refused(row, words):
    with pytest.raises(ValueError, match=words):
        read_signals(row)


# ── where, windows, roll-up ──

ACME = {"customer": "acme", "stream": "news"}


def test_where_chooses_the_groups_and_not_leaves_some_out():
    facts = [counted(measure, value, provider=name, **ACME) for name in ("gmail", "yahoo", "orange")
             for measure, value in (("delivered", 1_000.0), ("complaint", 40.0))]

    def judged(**where):
        verdicts = judge(rule(signal="complaints", where=where), MemoryEvidence(NOW, facts), NOW)
        return sorted(dict(verdict.group)["provider"] for verdict in verdicts)

    assert judged(provider="gmail") == ["gmail"]
    assert judged(provider=["gmail", "orange"]) == ["gmail", "orange"]
    assert judged(provider={"not": "gmail"}) == ["orange", "yahoo"]
    by_customer = rule(signal="complaints", by=["customer"], where={"provider": "gmail"})
    (verdict,) = judge(by_customer, MemoryEvidence(NOW, facts), NOW)
    assert isinstance(verdict.evidence, RatioNumbers)
    assert (verdict.group, verdict.evidence.denominator) == ((("customer", "acme"),), 1_000)


def test_a_breach_in_any_of_several_windows_is_one():
    facts = [counted("delivered", 50_000.0, 20, **ACME, provider="gmail"), counted("delivered", 2_000.0, 1, **ACME, provider="gmail"),
             counted("complaint", 60.0, 1, **ACME, provider="gmail")]

    def answer(*windows):
        (verdict,) = judge(rule(signal="complaints", window=windows), MemoryEvidence(NOW, facts), NOW)
        return verdict.answer

    assert answer("24h") is Answer.CLEAR
    assert answer("3h", "24h") is Answer.BREACH


def test_a_rate_can_be_bad_below_its_line_and_a_low_number_that_may_be_incomplete_is_none():
    low = RULE.validate_python({"id": "low", "condition": "ratio", "signal": "unsubscribes", "by": ["customer"], "below": "1%",
                                "clear": {"above": "2%"}})
    facts = [counted("delivered", 10_000.0, **ACME), counted("unsubscribe", 10.0, **ACME)]
    assert [v.answer for v in judge(low, MemoryEvidence(NOW, facts), NOW)] == [Answer.BREACH]
    missing = MemoryEvidence(NOW, facts, missing={"unsubscribe": "nobody looked"})
    assert [(v.answer, v.reason) for v in judge(low, missing, NOW)] == [(Answer.UNKNOWN, "stale")]


def test_what_has_too_little_evidence_is_judged_in_its_pool_and_that_is_said():
    ips = [f"192.0.2.{i}" for i in range(1, 41)]
    places = {ip: Place(ip, True, "shared", "acme") for ip in ips}
    facts = [counted(measure, value, ip=ip) for ip in ips for measure, value in (("delivered", 50.0), ("complaint", 2.0))]
    facts += [counted("delivered", 10_000.0, ip="192.0.2.99")]
    rolled = rule(signal="complaints", by=["ip"], roll_up=[["pool"], ["customer"]])
    verdicts = {verdict.group: verdict for verdict in judge(rolled, MemoryEvidence(NOW, facts, places=places), NOW)}
    assert {verdicts[("ip", ip),].reason for ip in ips} == {"insufficient"}
    pool = verdicts[("pool", "shared"),]
    assert (pool.answer, pool.members) == (Answer.BREACH, ())
    assert "(80 of 2,000;" in pool.summary
    assert "40 groups with too little evidence each taken together" in pool.summary


def test_a_pool_that_has_too_little_itself_goes_on_to_the_customer():
    places = {f"192.0.2.{i}": Place(f"192.0.2.{i}", True, f"pool-{i % 2}", "acme") for i in range(4)}
    facts = [counted(measure, value, ip=ip) for ip in places for measure, value in (("delivered", 40.0), ("complaint", 3.0))]
    rolled = rule(signal="complaints", by=["ip"], roll_up=[["pool"], ["customer"]])
    groups = [verdict.group for verdict in judge(rolled, MemoryEvidence(NOW, facts, places=places), NOW)]
    assert groups[-1] == (("customer", "acme"),)
    assert not [group for group in groups if group[0][0] == "pool"]


# ── count ──


@pytest.mark.parametrize(("value", "line", "missing", "answer"), [
    (50.0, {"above": 40}, None, "breach"), (50.0, {"above": 60, "clear": {"below": 45}}, None, "between"),
    (30.0, {"above": 60, "clear": {"below": 45}}, None, "clear"), (50.0, {"above": 40}, "nobody looked", "breach"),
    (30.0, {"above": 40}, "nobody looked", "unknown"), (30.0, {"below": 40}, None, "breach"),
    (30.0, {"below": 40}, "nobody looked", "unknown"), (50.0, {"below": 40}, "nobody looked", "clear"),
])
def test_a_count_is_bad_beyond_its_line_and_low_only_where_all_was_collected(value, line, missing, answer):
    count = RULE.validate_python({"id": "n", "condition": "count", "signal": "backscatter", **line})
    evidence = MemoryEvidence(NOW, [counted("unattributed_bounce", value)], missing={"unattributed_bounce": missing} if missing else {})
    assert [str(verdict.answer) for verdict in judge(count, evidence, NOW)] == [answer]


@pytest.mark.parametrize("where", [{"ip": "2001:DB8::25"}, {"provider": "Gmail"}, {"provider": ["gmail.com"]}, {"domain": "News.Example."}])
def test_where_takes_every_spelling_of_what_facts_have_in_one(where):
    fact = counted("unattributed_bounce", 9.0, ip="2001:db8::25", provider="gmail", domain="news.example")
    count = RULE.validate_python({"id": "n", "condition": "count", "signal": "backscatter", "above": 5, "where": where})
    assert [str(verdict.answer) for verdict in judge(count, MemoryEvidence(NOW, [fact]), NOW)] == ["breach"]


def test_a_group_counted_before_and_not_now_is_unknown_and_not_zero():
    low = RULE.validate_python({"id": "n", "condition": "count", "signal": "mta_records", "by": ["customer"], "below": 10})
    (verdict,) = judge(low, MemoryEvidence(NOW, judged={"n": [(("customer", "acme"),)]}), NOW)
    assert (verdict.answer, verdict.reason) == (Answer.UNKNOWN, "no_data")


# ── texts ──


def test_a_text_of_ones_own_is_filled_with_words_and_runs_nothing():
    facts = [counted("delivered", 1_000.0, customer="{rate} {0.__class__}"), counted("complaint", 40.0, customer="{rate} {0.__class__}")]
    mine = rule(signal="complaints", by=["customer"], summary="{customer} has {rate} ({numerator} of {denominator})")
    (verdict,) = judge(mine, MemoryEvidence(NOW, facts), NOW)
    assert verdict.summary == "{rate} {0.__class__} has 4.00 % (40 of 1000)"
