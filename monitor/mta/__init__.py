"""MTAs as they are: each asks, or is spoken to, in its own words; see README.md."""
