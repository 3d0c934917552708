"""Revisions of the schema stand in one line: two people who add one at a time notice before anybody migrates."""

import re
from pathlib import Path

import monitor.database.migrations.versions as versions

FILES = sorted(Path(versions.__path__[0]).glob("[0-9]*.py"))


def test_each_revision_has_its_own_number_and_follows_the_one_before():
    revisions = [re.findall(r'^(?:down_)?revision = (?:"(\d+)"|None)$', path.read_text("utf-8"), re.MULTILINE) for path in FILES]
    numbers = [path.name[:4] for path in FILES]  # a number may be left out: who adds one puts it into the line
    assert len(set(numbers)) == len(numbers)
    assert revisions == [list(pair) for pair in zip(numbers, ["", *numbers], strict=False)]
