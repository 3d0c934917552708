"""Pure parsers of what arrives by mail: bytes → one typed `Report`. See README.md in this folder."""

from collectors.mail.classify import parse
from collectors.mail.report import Kind, Report

__all__ = ["Kind", "Report", "parse"]
