"""Judging refusals: the table is sound, quick and safe, and says what an administrator would say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from collectors.replies import phrases
from collectors.replies.judgement import CATEGORIES, judge, read_codes
from collectors.replies.judgement_table import ACTORS, HERE, SCOPES, load, table

ROWS = table().rows


def test_every_row_has_its_own_id() -> None:
    ids = [row.id for row in ROWS]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", name or "") for name in ids)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_row_is_complete_and_is_the_first_to_match_its_own_example(row) -> None:
    assert row.category in CATEGORIES
    assert row.who_acts in ACTORS
    assert all((row.meaning, row.what_to_do, row.source))
    assert {name for name, _ in row.scope} <= SCOPES
    assert row.match or row.codes
    assert judge(None, None, row.example, provider=row.provider if row.only_there else None).pattern == row.id


def test_every_category_says_what_it_means_and_who_acts() -> None:
    main = table()
    assert set(main.categories) == CATEGORIES
    assert set(main.statuses.values()) | set(main.replies.values()) <= CATEGORIES
    for row in main.categories.values():
        assert all((row.meaning, row.what_to_do))
        assert row.who_acts in ACTORS


def test_every_code_a_row_waits_for_can_be_read_by_its_provider_s_pattern() -> None:
    hints: dict[int, list[str]] = {}
    for hint, own in table().own_codes:
        hints.setdefault(id(own), []).append(hint)
    for own in {id(own): own for _, own in table().own_codes}.values():
        for code, row in own.rows.items():
            assert any(hint in phrases.plain(row.example.lower()) for hint in hints[id(own)]), code
            hit = own.pattern.search(f"x ofr_{code} lpn_{code} aup#{code} {code} ")
            assert hit is not None
            assert hit[1] == code


def test_every_phrase_is_bounded_and_filed() -> None:
    for path in sorted((HERE / "patterns").glob("*.yaml")):
        for block in yaml.safe_load(path.read_text(encoding="utf-8")):
            for row in block["rows"]:
                for phrase in [*row.get("match", ()), *row.get("unless", ())]:
                    phrases.compiled(phrase)


@pytest.mark.parametrize("phrase", ["(a+)+b", "spam.*", "user{3,} unknown", r"(x)\1", "(?=user)unknown"])
def test_a_phrase_that_could_run_away_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError, match="unbounded"):
        phrases.compiled(phrase)


def test_a_phrase_without_a_whole_word_is_refused() -> None:
    row = {"id": "x", "match": ["[a-z]{1,9}"], "category": "policy", "example": "x"}
    main = yaml.safe_load((HERE / "bounce_patterns.yaml").read_text(encoding="utf-8"))
    with pytest.raises(ValueError, match="holds no whole word"):
        load(main, [{"provider": None, "source": "test", "rows": [row]}])


@pytest.mark.parametrize(
    ("phrase", "words"),
    [
        ("user <2>unknown", {"unknown"}),
        ("(?:user|recipient) <3>(?:unknown|not found)", {"user", "recipient"}),
        ("(?:is |was )?over quota", {"quota"}),
        ("mails? rejected", {"rejected"}),
        ("grey[a-z]{1,9}", set()),
        ("resolver\\.adr\\.x", {"resolver"}),
    ],
)
def test_a_phrase_is_filed_under_words_it_cannot_match_without(phrase: str, words: set[str]) -> None:
    filed = phrases.filing_words(phrase)
    assert filed == words or (filed and words and len(filed) == len(words))


HOSTILE = [
    "user " * 2_000,
    "a@" * 2_000,
    "550 " * 2_000,
    "5.1.1 " * 2_000,
    "host [" * 2_000,
    "<" * 5_000,
    ":" * 9_000,
    "x" * 100_000,
    "mailbox is " * 900,
    "no such " * 1_000,
    "1.2.3.4 " * 1_000,
    "https://" * 1_000,
    "user not exist recipient address mailbox account " * 100,
    "spam message rejected blocked " * 200,
    "connection connection host server remote " * 200,
    "too many exceed over the limit of " * 200,
    "\u30e6\u30fc\u30b6" * 3_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:12].strip() for text in HOSTILE])
def test_hostile_text_is_judged_in_bounded_time(text: str) -> None:
    assert judge(None, None, text).category in CATEGORIES


def test_every_phrase_alone_is_quick_on_a_text_made_of_its_own_words() -> None:
    for row in ROWS:
        words = " ".join(re.findall(r"[a-z]{2,}", " ".join(pattern.pattern for pattern in row.match)))[:400]
        text = (words + " ") * 10
        for pattern in (*row.match, *row.unless):
            pattern.search(text[:2_000])  # a runaway pattern runs into the timeout


@pytest.mark.parametrize(
    ("status", "reply", "text", "expected"),
    [
        ("5.0.0", None, "smtp; 550 5.1.1 user unknown", ("5.1.1", "550")),
        ("5.1.1", None, "550 5.7.1 denied", ("5.1.1", "550")),
        ("4.0.0", None, "426 connection timed out", ("4.0.0", "426")),
        (None, None, "Sorry, no mailbox here by that name. (#5.1.1)", ("5.1.1", None)),
        (None, None, "#5.1.1 SMTP; 550 unknown", ("5.1.1", "550")),
        (None, None, "host mx.example.net[192.0.2.5] said: 554 no", (None, "554")),
        (None, None, "Exim 4.92.3 at 198.51.100.4 on 5.1.2026, 550 bytes, port 587", (None, None)),
        (None, None, "MailServer v5.1.2 says no", (None, None)),
        (None, None, "552-5.2.2 full 552 5.2.2 see https://example.net/550-a", ("5.2.2", "552")),
        ("5.1.1", None, "451 4.7.1 later, then 550 unknown", ("5.1.1", "550")),
        ("rubbish", "abc", "", (None, None)),
        ("5.0.0", "550", "no more words", ("5.0.0", "550")),
    ],
)
def test_codes_are_taken_from_the_right_place(status, reply, text, expected) -> None:
    assert read_codes(status, reply, text) == expected


def test_hard_means_the_recipient_is_dead_for_good() -> None:
    assert judge("5.1.1", "550", "user unknown").hard
    assert not judge("4.1.1", "450", "user unknown").hard
    assert not judge("5.2.2", "552", "mailbox full").hard
    assert not judge("5.7.1", "550", "message rejected as spam").hard
    assert judge(None, None, "Name service error for name=example.invalid type=MX: Host not found").hard
    assert judge(None, "556", "Domain does not accept mail (nullMX)").hard


def test_a_refusal_without_words_is_judged_by_its_codes() -> None:
    assert judge("5.1.1", None, "").category == "invalid_recipient"
    assert judge("4.2.2", None, "").category == "mailbox_full"
    assert judge(None, "552", "").category == "mailbox_full"
    assert judge(None, None, "").category == "unknown"
    assert judge("5.1.1", None, "").pattern is None


NAMED = [
    (
        ("554 5.7.1 Service unavailable; Client host [198.51.100.7] blocked using zen.spamhaus.org; "
         "https://www.spamhaus.org/query/ip/198.51.100.7"),
        {"ip": "198.51.100.7", "dnsbl": "zen.spamhaus.org", "url": "https://www.spamhaus.org/query/ip/198.51.100.7"},
    ),
    (
        ("421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your "
         "421-4.7.28 DKIM domain [example.com 35]. To protect our users"),
        {"dkim_domain": "example.com"},
    ),
    ("550 5.7.1 <news@example.com>: Sender address rejected: Access denied", {"sender": "news@example.com"}),
    ("host mx.example.net[203.0.113.9] said: 550 your IP 2001:db8::25 is blocked for spam", {"ip": "2001:db8::25"}),
    ("550 SPF check failed: domain of news@example.com does not designate 198.51.100.7",
     {"spf_domain": "example.com", "ip": "198.51.100.7"}),
]


@pytest.mark.parametrize(("text", "named"), NAMED)
def test_what_the_provider_names_is_kept(text: str, named: dict[str, str]) -> None:
    scope = judge(None, None, text).scope
    assert {name: scope.get(name) for name in named} == named


def test_the_provider_is_known_from_the_host_that_refused() -> None:
    assert judge("5.1.1", "550", "no", remote="gmail-smtp-in.l.google.com.").provider == "gmail"
    assert judge("5.1.1", "550", "no", remote="mx.example.net").provider is None
    assert judge("5.1.1", "550", "no", provider="orange", remote="mx.google.com").provider == "orange"


def test_carrier_filters_are_distinguished_from_unknown_users_only_at_the_carriers() -> None:
    text = "550 Unknown user u@docomo.ne.jp (in reply to end of DATA command)"
    assert judge(None, "550", text, remote="mfsmax.docomo.ne.jp").category == "user_blocked"
    assert judge(None, "550", text).category == "invalid_recipient"


WORDINGS = yaml.safe_load(Path(__file__).with_name("wordings.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "category"),
    [(text, name) for name, texts in WORDINGS.items() for text in texts],
)
def test_the_wordings_of_mail_systems_are_understood(text: str, category: str) -> None:
    assert judge(None, None, text).category == category


VERDICTS = yaml.safe_load(Path(__file__).with_name("verdicts.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "category", "hard", "status"),
    [(text, category, hard, status) for rows in VERDICTS.values() for category, hard, status, text in rows],
)
def test_a_refusal_is_judged_as_an_administrator_would(text, category, hard, status) -> None:
    judgement = judge(None, None, text)
    assert (judgement.category, judgement.hard) == (category, hard)
    if status is not None:
        assert judgement.status == judgement.judged_status == status


def test_the_provider_is_known_from_the_host_named_before_the_answer() -> None:
    text = "host mfsmax.docomo.ne.jp[192.0.2.1] said: 550 Unknown user u@docomo.ne.jp (in reply to end of DATA command)"
    assert judge(None, None, text).category == "user_blocked"
    assert not judge(None, None, text).hard


REASONS_FOR_A_LIVE_RECIPIENT = [
    "Access denied", "Blocked", "Virus detected", "Message rejected", "Over quota", "Account suspended",
    "Try again later", "Service unavailable", "Relay access denied", "Sender not allowed", "Your IP is blacklisted",
    "DMARC policy", "Too many recipients", "Malformed DNS server reply", "this list is for members only",
    "Internal recipients only", "TLS required", "Recipient refused your message", "HELO mismatch", "no reverse DNS",
    "Domain of sender does not exist", "invalid sender", "unknown sender", "Unknown client", "Message too large",
    "Illegal attachment", "Rejected by user's filter settings", "mail loop", "Temporary lookup failure",
    "Recipient limit exceeded", "null sender not allowed", "recipient not in your allowed list",
    "user not allowed to receive from unknown domains", "Server configuration problem", "Delivery not allowed",
]


@pytest.mark.parametrize("status", ["5.7.1", "5.1.1", "5.1.0", "5.7.0", None])
@pytest.mark.parametrize("reason", REASONS_FOR_A_LIVE_RECIPIENT)
def test_a_refused_recipient_address_is_judged_by_the_reason_behind_it(reason: str, status: str | None) -> None:
    answer = f"550 {status or ''} <u@example.net>: Recipient address rejected: {reason}"
    assert not judge(status, None, answer).hard


@pytest.mark.parametrize("status", ["5.1.7", "5.1.8"])
@pytest.mark.parametrize("text", ["user unknown", "550 no such user here", "550 Host unknown", "domain does not exist"])
def test_a_status_about_the_sender_never_counts_the_recipient_as_gone(status: str, text: str) -> None:
    judgement = judge(status, None, text)
    assert not judgement.hard
    assert judgement.category == "policy"


@pytest.mark.parametrize("step", ["MAIL FROM command", "EHLO command", "HELO command"])
def test_what_is_refused_before_a_recipient_is_named_is_about_the_sender(step: str) -> None:
    text = f"host mx.example.net[192.0.2.1] said: 550 5.1.1 user unknown, no such domain (in reply to {step})"
    assert not judge(None, None, text).hard
    dialogue = f">>> {step.removesuffix(' command')}:<news@acme.example.com> <<< 550 5.1.1 user unknown"
    assert not judge(None, None, dialogue).hard


@pytest.mark.parametrize("status", ["5.3.0", "5.6.0", "5.7.1"])
def test_a_status_about_systems_messages_or_policy_needs_plain_words_to_count_a_recipient_as_gone(status: str) -> None:
    assert not judge(status, None, "550 invalid address").hard
    assert not judge(status, None, "550 mailbox not available").hard
    assert judge(status, None, "550 no such user here").hard
