"""The plain DNSBL server for tests: the same one the demo runs against."""

from monitor.demo.servers.dns import TEST_POINTS, DnsblServer, Entry, owner_name

__all__ = ["TEST_POINTS", "DnsblServer", "Entry", "owner_name"]
