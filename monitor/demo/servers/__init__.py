"""Servers of the loopback world: DNS and IMAP."""
