"""The console as a person sees it: in a real browser, while the demo goes wrong."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx
import pytest

from tests.waiting import PATIENCE_SECONDS, eventually, free_port

BROWSER = shutil.which("chromium")


class Links(HTMLParser):
    """Where a page leads to."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        assert tag != "script", "the pages need no scripts"
        if tag in {"a", "link", "img"} and (address := values.get("href") or values.get("src")):
            self.found.append(address)


def rendered(url, tmp_path):
    """The page's content once the browser has laid it out."""
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}",
         "--dump-dom", url],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True,
    )
    return done.stdout


@pytest.fixture
def demo():
    url = f"http://127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor", "demo", "--seconds", "100", "--seed", "3", "--json", "--port", url.rpartition(":")[2]],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )
    yield url
    process.terminate()
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert b"Traceback" not in errors


def page(url):
    try:
        return httpx.get(url, timeout=PATIENCE_SECONDS).text
    except httpx.TransportError:
        return ""


@pytest.mark.real("chromium")
def test_a_browser_shows_what_is_wrong_and_every_link_leads_somewhere(demo, tmp_path):
    eventually(lambda: page(demo).count("vigie ack inc-") == 2)
    shown = rendered(f"{demo}/", tmp_path)
    text = re.sub(r"<[^>]+>", " ", shown)
    for words in ("Something is wrong now", "complaint-rate", "ip-listed", "bolt", "newsletter", "Demo Block",
                  "delivered", "97.5 % sure", "dnsbl", "feedback_loop", "UTC"):
        assert words in text
    links = {urljoin(f"{demo}/", link).partition("#")[0] for link in Links(shown).found}
    assert len(links) >= 6
    answers = {link: httpx.get(link, timeout=PATIENCE_SECONDS).status_code for link in links if link.startswith("http")}
    assert set(answers.values()) == {200}, answers
