"""The plain DNSBL server for tests: the same one the demo runs against."""

from monitor.demo.dns_server import TEST_POINTS, DnsblServer, Entry, owner_name

__all__ = ["TEST_POINTS", "DnsblServer", "Entry", "owner_name"]
