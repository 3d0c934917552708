"""Warm-up: how an IP or domain stands at a mailbox provider, how much it may send there today, and who has reserved it."""
