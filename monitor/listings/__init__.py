"""Listings: answers of DNS lists become intervals."""
