"""Configuration: the settings, the YAML they stand in, how they are checked."""
