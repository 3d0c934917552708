"""Runs `vigie dashboards …` again and again in one process: a line of JSON (arguments, token) in, one of (exit code, output, errors) out."""

import json
import sys

from click.testing import CliRunner

from monitor.commands.dashboards import dashboards


def main() -> None:
    for line in sys.stdin:
        arguments, token = json.loads(line)
        result = CliRunner().invoke(dashboards, arguments, env={"GRAFANA_TOKEN": token})
        errors = result.stderr if isinstance(result.exception, (SystemExit, type(None))) else f"Traceback {result.exception!r}"
        print(json.dumps([result.exit_code, result.stdout, errors]), flush=True)


if __name__ == "__main__":
    main()
