"""Delivery records of MTAs and senders, as they are told to us: pure decoding, no transport."""
