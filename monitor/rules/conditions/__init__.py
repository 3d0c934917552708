"""What each condition says of facts: pure functions, one file per kind."""
