"""`python -m monitor` is `vigie`."""

from monitor.cli import main

main()
