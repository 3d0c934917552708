"""Where the tests find things, whatever folder they stand in."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
MAIL_CASES = ROOT / "tests" / "collectors" / "mail" / "cases"
SHARED_DATA = ROOT.parent / "shared" / "data"  # third-party mails; tests that need them skip where it is absent
