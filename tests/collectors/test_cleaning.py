import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.cleaning import for_chat, for_page, for_terminal, is_clean_name, kept, kept_name, storable

R = "\ufffd"


@pytest.mark.parametrize("text", ["acme", "Ünïcode naïve", "नमस्ते", "می‌خواهم", "👩‍👩‍👧", "日本語", "a\tb\nc"])
def test_letters_of_every_script_are_kept_as_they_are(text):
    assert kept(text) == for_page(text) == for_terminal(text) == for_chat(text) == text


@pytest.mark.parametrize(("text", "left"), [
    ("\x1b]0;PWNED\x07\x1b[2J", f"{R}]0;PWNED{R}{R}[2J"),
    ("a\x9b31mb", f"a{R}31mb"),
    ("user\u202etxt.exe", f"user{R}txt.exe"),
    ("ac\u2066me\u2069", f"ac{R}me{R}"),
    ("ac\u200bme\ufeff", f"ac{R}me{R}"),
    ("tag\U000e0041", f"tag{R}"),
    ("nul\0", f"nul{R}"),
    ("lone \ud800", "lone ?"),
    ("line\u2028break", f"line{R}break"),
    ("dos\r\nlines\rbare", f"dos\nlines{R}bare"),
])  # fmt: skip
def test_what_cannot_be_seen_is_marked(text, left):
    assert kept(text) == left
    assert not is_clean_name(text)


def test_a_name_is_one_line():
    assert kept_name("two\nlines\there") == f"two{R}lines{R}here"
    assert is_clean_name("acme newsletter")


def test_our_own_colours_reach_a_terminal_and_nothing_else_does():
    assert for_terminal("\x1b[31mred\x1b[0m \x1b[2J") == f"\x1b[31mred\x1b[0m {R}[2J"


@pytest.mark.parametrize("text", ["@everyone look", "@HERE", "<!channel> hi", "<@U123>", "<#C1>", "@channel"])
def test_nobody_is_called_in_a_chat(text):
    shown = for_chat(text)
    assert shown != text
    assert shown.replace("\u200c", "") == text


def test_an_address_in_a_chat_stays_an_address():
    assert for_chat("ann@example.org and a < b") == "ann@example.org and a < b"


@given(st.text())
def test_cleaning_twice_changes_nothing_more(text):
    for clean in (kept, kept_name, storable, for_terminal, for_chat, for_page):
        assert clean(clean(text)) == clean(text)
