"""Server-rendered pages for people: what is wrong now, why, and what to do next."""

from monitor.console.page import Console
from monitor.console.pages.act import build_actions
from monitor.console.pages.table import build_pages

__all__ = ["Console", "build_actions", "build_pages"]
