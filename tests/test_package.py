"""What is shipped: one version, typed packages, a Makefile that says what it can do."""

import re
import subprocess
import tomllib

import pytest
from click.testing import CliRunner

from monitor.cli import cli
from tests.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_the_version_stands_in_one_place_and_everything_says_it():
    version = PROJECT["project"]["version"]
    assert CliRunner().invoke(cli, ["--version"], prog_name="vigie").output == f"vigie, version {version}\n"
    sources = [path for folder in ("collectors", "monitor", "dashboards") for path in (ROOT / folder).rglob("*.py")]
    assert [path for path in sources if re.search(rf"version\W{{1,4}}\"{re.escape(version)}\"", path.read_text("utf-8"))] == []


def test_every_package_says_that_it_is_typed():
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["*"]
    assert all((ROOT / package / "py.typed").exists() for package in ("collectors", "monitor", "dashboards"))


def test_make_help_names_every_target():
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert phony is not None
    lines = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in lines.splitlines()] == phony[1].split()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", "requirements-bench.lock", "requirements-grafana.lock"])
def test_every_lock_has_what_the_project_needs(lock):
    names = {re.split(r"[\[>=<; ]", each)[0].lower() for each in PROJECT["project"]["dependencies"]}
    assert names <= set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / lock).read_text(), re.MULTILINE)), "make lock"
