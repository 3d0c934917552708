"""The docs say what the code does: paths, calls, commands, settings, collectors, measures, kinds of rules.

What is compared is read from the code itself, so a new route (command, setting …) fails here until its row is written.
"""

import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

import collectors
from collectors.measures import MEASURES
from monitor.api.app import ROUTERS, build_app
from monitor.cli import cli
from monitor.config import mta, notify, receivers, warmup
from monitor.config import settings as config
from monitor.database import kept
from monitor.rules.conditions.table import CONDITIONS
from monitor.rules.model import Rule
from monitor.rules.signals import signals
from tests.places import ROOT

TRACKED = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
PAGES = [ROOT / name for name in TRACKED if name != "CHANGELOG.md"] or sorted(path for path in ROOT.rglob("*.md") if ".venv" not in path.parts)
# files of whoever reads, not ours
THEIRS = {"vigie.yaml", "inventory.yaml", "lists.yaml", "my-rules.yaml", "yours.py", "test_yours.py"}


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def rows(page: str, head: str) -> list[list[str]]:
    """The rows of the table whose first column is called `head`, cell by cell."""
    lines = iter(text_of(page).splitlines())
    for line in lines:
        if line.startswith(f"| {head} |"):
            next(lines)
            break
    table = []
    for line in lines:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]])
    assert table, f"{page} has no table of {head}"
    return table


def words(text: str) -> set[str]:
    """What stands in backticks."""
    return set(re.findall(r"`([^`]+)`", text))


# ── paths ──

FILE = re.compile(r"[\w.*/-]*(/|\w\.(py|yaml|json|html|css|md|toml|lock|png))")
MODULE = re.compile(r"(monitor|collectors|tests|dashboards)(\.\w+)+")


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^(```.*?^```|    .*?$)", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def places(page: Path) -> Iterator[str]:
    """All in a page that reads like a file, a folder or a module of ours."""
    text = prose(page)
    for word in re.findall(r"`([^`\s]+)`", text):
        is_path = FILE.fullmatch(word) and not word.startswith("/") and Path(word).name not in THEIRS
        if is_path or MODULE.fullmatch(word):
            yield word
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            yield target


def exists(page: Path, place: str) -> bool:
    if MODULE.fullmatch(place):
        parts = place.split(".")  # a module, or a name in one
        return any(ROOT.joinpath(*parts[:count]).with_suffix(".py").exists() or ROOT.joinpath(*parts[:count], "__init__.py").exists()
                   for count in (len(parts), len(parts) - 1))
    return any(next(folder.glob(place.rstrip("/")), None) for folder in (page.parent, ROOT) if not place.startswith("../")) or (
        place.startswith("../") and next(page.parent.parent.glob(place.removeprefix("../")), None) is not None)


def test_pages_are_found_at_all():
    assert {ROOT / "README.md", ROOT / "monitor/api/README.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_a_page_names_is_there(page):
    missing = {place for place in places(page) if not exists(page, place)}
    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_and_module_a_page_names_is_there(page):
    text = page.read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    for module in re.findall(r"python -m ((?:tests|monitor)[\w.]*)", text):
        assert exists(page, module) or (ROOT / module).is_dir(), module


# ── HTTP ──


def nameless(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def calls() -> set[str]:
    """`GET /v1/…` of all that the service answers, the decision calls included."""
    routed = {f"{method} {nameless(route.path)}"
              for module in ROUTERS for route in module.router.routes for method in route.methods}
    return routed | {"POST /v1/decision", "POST /v1/decisions", "GET /openapi.json"}


def test_every_call_has_its_row_in_the_api_readme_and_every_row_its_call():
    assert callable(build_app)
    written = {nameless(re.sub(r"\?.*", "", word)) for row in rows("monitor/api/README.md", "call") for word in words(row[0])}
    assert written == calls()


# ── commands ──


def commands() -> dict[str, str]:
    """`dnsbl check` → its line of help, for every command that does something."""

    def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        if not isinstance(command, click.Group):
            yield " ".join(path), command.get_short_help_str(300)
            return
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from walk(inner, (*path, name))

    return dict(walk(cli, ()))


def write_commands() -> None:
    """Write the table of commands anew: `python -m tests.test_docs`."""
    page, lines = ROOT / "monitor/commands/README.md", [f"| `vigie {name}` | {text.replace('|', chr(92) + '|')} |" for name, text in sorted(commands().items())]
    before, head, after = page.read_text("utf-8").partition("| command | does |\n|---|---|\n")
    rest = "\n".join(line for line in after.splitlines() if not line.startswith("|"))
    page.write_text(before + head + "\n".join(lines) + "\n" + rest + ("\n" if rest else ""), "utf-8")


def test_every_command_has_its_row_with_its_own_line_of_help():
    """The table is written anew by `python -m tests.test_docs`."""
    written = {row[0].strip("`").removeprefix("vigie "): row[1].replace("\\|", "|") for row in rows("monitor/commands/README.md", "command")}
    assert written == commands()


def test_every_command_is_named_in_the_first_readme():
    named = " ".join(words(text_of("README.md"))) + text_of("README.md")
    assert {name.split()[0] for name in commands() if not re.search(rf"`(vigie )?{name.split()[0]}\b|vigie {name.split()[0]}\b", named)} == set()


# ── settings ──

SECTIONS: dict[str, type[BaseModel]] = {
    "engine": config.Engine, "engine.retention": config.Retention, "engine.new_series": config.NewSeries, "api": config.Api,
    "receivers[]": receivers.Receiver, "receivers[].slack": receivers.Slack, "receivers[].mattermost": receivers.Mattermost,
    "receivers[].pagerduty": receivers.PagerDuty, "receivers[].webhook": receivers.Webhook,
    "mta.kumomta": mta.KumoMta, "mta.kumomta.mapping": mta.KumoMapping, "mta.postfix": mta.PostfixPolicy, "mta.powermta": mta.PowerMta,
    "notify": notify.Notify, "notify.flapping": notify.Flapping,
    "warmup": warmup.WarmUp,
}


def spelt(value: object) -> str:
    """A default as one would write it in the file."""
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        unit, size = next((unit, size) for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)) if seconds % size == 0)
        return f"{seconds // size}{unit}"
    if hasattr(value, "get_secret_value"):
        return str(value.get_secret_value())
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value < 1:
        return f"{value:.0%}"
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value in (None, (), {}, frozenset()) else str(value)


def fields(section: str, model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        if f"{section}.{name}" in SECTIONS or name == "severities":
            continue
        yield f"{section}.{name}", "must be given" if field.is_required() else spelt(field.get_default(call_default_factory=True))


def test_every_setting_has_its_row_with_its_default():
    wanted = {key: default for section, model in SECTIONS.items() for key, default in fields(section, model)}
    written = {row[0].strip("`"): row[1].strip("`") for row in rows("monitor/config/README.md", "setting")}
    assert {key: written.get(key) for key in wanted} == wanted
    assert written.keys() - wanted.keys() == {"secrets", "webhooks", "collectors", "rules", "inventory", "receivers[].severities"}


def test_the_table_of_what_is_kept_says_what_the_program_does():
    def counted_from(kind: kept.Kind) -> str:
        return " or ".join(f"`{column.name}`" for column in getattr(kind.since, "clauses", [kind.since]))

    wanted = [
        [kind.name, f"`{spelt(getattr(config.Retention(), kind.setting))}`", f"`{kind.setting}`", counted_from(kind), kind.longer]
        for kind in kept.KINDS
    ]
    page = "monitor/database/README.md"
    assert rows(page, "kind") == wanted
    reasons = {name: row[1] for row in rows(page, "for ever") for name in words(row[0])}
    assert reasons == {str(model.__tablename__): why for model, why in kept.FOR_EVER.items()}



def test_every_setting_of_a_collector_has_its_row_with_its_default():
    wanted: dict[str, dict[str, str]] = {}
    for collector, factory in collectors.discover().items():
        nested = {name: type(field.default) for name, field in factory.Settings.model_fields.items() if isinstance(field.default, BaseModel)}
        of_it = [(key, default) for key, default in fields("", factory.Settings) if key.removeprefix(".") not in nested]
        of_it += [row for name, model in nested.items() for row in fields(name, model)]
        for key, default in of_it:
            wanted.setdefault(key.removeprefix("."), {})[collector] = default
    written = {row[0].strip("`"): row for row in rows("collectors/README.md", "setting")}
    assert written.keys() == wanted.keys()
    for key, by in wanted.items():
        assert words(written[key][1]) - {"all", "mail"} <= by.keys(), key
        defaults = set(by.values()) - {""}
        assert defaults <= words(written[key][2]), key


# ── collectors, measures, rules ──


def test_every_collector_has_its_row_and_every_measure_is_named():
    table = rows("collectors/README.md", "collector")
    assert {row[0].strip("`") for row in table} == set(collectors.BUILT_IN)
    page = words(text_of("collectors/README.md"))
    assert {name for name in MEASURES if name not in page} == set()
    in_column = {word for row in table for word in words(row[2])}
    assert {word for word in in_column if word not in MEASURES} <= {"abuse_letter", "abuse_report"}


def test_every_condition_has_its_row_and_every_field_is_named():
    table = {row[0].strip("`"): row for row in rows("monitor/rules/README.md", "condition")}
    assert table.keys() == CONDITIONS.keys()
    names = {name: {field.alias or key for key, field in row.model.model_fields.items()} for name, row in CONDITIONS.items()}
    common = {field.alias or name for name, field in Rule.model_fields.items()} | {"by"}
    written = {row[0].strip("`") for row in rows("monitor/rules/README.md", "field")}
    assert written == common
    for condition, row in table.items():
        own = names[condition] - common
        assert {name for name in own if not re.search(rf"`{name}[`:]", row[2])} == set(), condition


def test_every_signal_has_its_row():
    assert {row[0].strip("`") for row in rows("monitor/rules/README.md", "signal")} == signals().keys()


@pytest.mark.parametrize(("page", "folder"), [("collectors/README.md", "collectors"), ("monitor/README.md", "monitor")])
def test_every_room_is_named_in_the_readme_of_its_floor(page, folder):
    rooms = {path.parent.name for path in (ROOT / folder).glob("*/__init__.py")}
    assert {room for room in rooms if f"{room}/" not in text_of(page)} == set()


# ── the change log ──


def test_the_change_log_names_every_command_and_every_call():
    log = text_of("CHANGELOG.md").replace("\n  ", " ")
    assert {name for name in {name.split()[0] for name in commands()} if f"vigie {name}" not in log} == set()
    paths = {nameless(call.split()[1]).replace("/{}", "").rstrip("/") for call in calls()}
    assert {path for path in paths if path not in log} == set()


def test_the_change_log_says_nothing_twice_and_its_releases_have_dates():
    log = text_of("CHANGELOG.md")
    entries = [entry.replace("\n", " ") for entry in re.findall(r"^\* (.*(?:\n  .*)*)", log, re.MULTILINE)]
    assert {entry[:80] for entry in entries if entries.count(entry) > 1} == set()
    heads = re.findall(r"^## (.*)$", log, re.MULTILINE)
    assert heads[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", head) for head in heads[1:])
    assert re.findall(r"^## .*\n(?!\n### )", log, re.MULTILINE) == []  # a line that a merge put under the wrong heading


if __name__ == "__main__":
    write_commands()
