"""Delivery records of MTAs and senders, as they are given to us: pure decoding, no transport."""
