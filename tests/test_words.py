"""One word per thing, in plain English; see `tests/words.py`."""

import pytest

from tests import words


@pytest.mark.parametrize("name", words.files())
def test_a_text_says_nothing_it_should_not(name):
    assert words.faults(name) == []


def test_names_are_taken_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(words, "ROOT", tmp_path)
    (tmp_path / "a.py").write_text("class MailboxDoor: ...\nfor one in asked_all: desk_pages(one)\n# Intelligence grows\n")
    assert words.faults("a.py") == [
        "a.py:1: door (say: client)", "a.py:2: desk (say: abuse cases)", "a.py:2: a variable named one",
    ]  # fmt: skip
