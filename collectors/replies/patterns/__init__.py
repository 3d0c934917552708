"""The table of refusals as data; a package only so that its YAML files are installed."""
