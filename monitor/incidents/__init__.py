"""Incidents: their states, what people do about them, silences."""
