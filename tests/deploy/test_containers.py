"""What starts in containers and under systemd: the files are valid, and each service runs as written, with its user and a root it cannot write."""

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.places import ROOT
from tests.waiting import free_port

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("${VIGIE_IMAGE")]
make_secrets = runpy.run_path(str(ROOT / "deploy" / "make_secrets.py"))["main"]
CONTAINED = Path(__file__).parent / "contained.sh"


@pytest.fixture(scope="module")
def stage(postgres_cluster, tmp_path_factory):
    """What the containers see: configuration and secrets, the address of the database that of a real one."""
    folder = tmp_path_factory.mktemp("stage")
    (folder / "etc").mkdir()
    for name in ("vigie.yaml", "inventory.yaml"):
        (folder / "etc" / name).write_bytes((ROOT / "deploy" / name).read_bytes())
    make_secrets(folder / "secrets")
    url = postgres_cluster.fresh_database(migrated=False)
    postgres_cluster.execute("CREATE ROLE grafana LOGIN NOINHERIT")
    (folder / "secrets" / "database_url").write_text(url.replace("127.0.0.1", "database"))
    (folder / "url").write_text(url)
    return folder


def contained(stage: Path, health: str, command: list[str], listen: str = "") -> subprocess.CompletedProcess:
    environment = {**os.environ, "VIGIE_SOURCE": str(ROOT), "VIGIE_PYTHON": sys.base_prefix, "VIGIE_LISTEN": listen}
    return subprocess.run([CONTAINED, stage, health, "vigie", *command], capture_output=True, text=True, env=environment, check=False)


def health_of(service: str, port: int) -> str:
    words = SERVICES[service]["healthcheck"]["test"]
    assert words[0] == "CMD"
    return shlex.join(words[1:]).replace(":8080/", f":{port}/")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mount namespaces need root")


@needs_root
@pytest.mark.real("postgres")
def test_each_service_runs_as_its_container_would(stage, postgres_cluster):
    prepared = contained(stage, "", SERVICES["prepare"]["command"])
    assert prepared.returncode == 0, prepared.stderr
    database = (stage / "url").read_text().rpartition("/")[2]
    assert postgres_cluster.execute("SELECT has_table_privilege('grafana', 'grafana_incident', 'SELECT')", database)
    assert not postgres_cluster.execute("SELECT has_table_privilege('grafana', 'incident', 'SELECT')", database)
    port = free_port()
    for service in ("serve", "collect"):
        ended = contained(stage, health_of(service, port), SERVICES[service]["command"], f"127.0.0.1:{port}")
        assert ended.returncode == 0, (service, ended.stderr)


@needs_root
def test_the_demo_runs_where_only_tmp_can_be_written(stage):
    port = free_port()
    command = [str(port) if word == "8080" else word for word in SERVICES["demo"]["command"]]
    probe = f"python -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/healthz', timeout=5)\""
    ended = contained(stage, probe, command)
    assert ended.returncode == 0, ended.stderr


def test_our_containers_may_do_no_more_than_they_need():
    assert set(OURS) == {"prepare", "serve", "collect", "demo"}
    for name in (*OURS, "grafana"):
        service = SERVICES[name]
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service["user"].startswith("0"), name
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert all("127.0.0.1" in port for port in published), published
    assert "ports" not in SERVICES["database"]


def test_no_secret_stands_in_a_file_of_ours():
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    for path in (ROOT / "compose.yaml", *(ROOT / "deploy").rglob("*.yaml")):
        assert not re.search(r"(?i)password:\s*[^$\s/{]", path.read_text()), path


def test_secrets_are_made_once_and_lie_in_a_closed_folder(tmp_path):
    folder = tmp_path / "secrets"
    make_secrets(folder)
    before = {path.name: path.read_text() for path in folder.iterdir()}
    make_secrets(folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert set(before) == set(COMPOSE["secrets"])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert before["database_password"] in before["database_url"]


@pytest.mark.real("docker-compose")
@pytest.mark.parametrize("profile", [[], ["--profile", "demo"]], ids=["usual", "demo"])
def test_the_compose_file_is_valid(profile, tmp_path):
    (tmp_path / "compose.yaml").write_bytes((ROOT / "compose.yaml").read_bytes())
    make_secrets(tmp_path / "secrets")
    checked = subprocess.run(["docker-compose", *profile, "config", "--quiet"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_dockerfile_has_no_fault_and_copies_what_is_there():
    hadolint = Path(sys.executable).parent / "hadolint"
    checked = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")
    lines = [line.split()[1:-1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("COPY ") and "--from" not in line]
    let_in = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name in (name for names in lines for name in names):
        assert (ROOT / name).exists(), name
        assert name in let_in, f"{name} is left out by .dockerignore"


@pytest.mark.real("systemd-analyze")
@pytest.mark.parametrize("unit", sorted((ROOT / "deploy" / "systemd").glob("*.service")), ids=lambda path: path.name)
def test_a_unit_of_systemd_is_valid(unit, tmp_path):
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/vigie/bin/vigie", "/bin/true"))
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, check=False)
    ours = [line for line in checked.stderr.splitlines() if unit.name in line]
    assert (checked.returncode, ours) == (0, [])
