"""`make bench [ONLY=name]`: one JSON line per benchmark on standard output, progress on standard error."""

import importlib
import json
import sys

NAMES = ("store", "decision", "pages", "gate_http", "gate_propagation", "dnsbl", "mail", "rules_truth", "rules_pass", "warmup", "mta")


def main(wanted):
    if strange := set(wanted) - set(NAMES):
        print(f"no benchmark {', '.join(sorted(strange))}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for name in wanted or NAMES:
        print(f"{name} …", file=sys.stderr, flush=True)
        print(json.dumps(importlib.import_module(f"tests.bench.{name}").run()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
