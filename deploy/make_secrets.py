"""Makes the secrets of compose.yaml where they are missing, as files in a folder only its owner can open; changes none that is there."""

import secrets
import sys
from pathlib import Path


def main(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)  # the files are read by users of the containers, so only the folder can be closed
    for name in ("database_password", "grafana_database_password", "grafana_admin_password", "hash_key"):
        _keep(folder / name, secrets.token_urlsafe(32))
    password = (folder / "database_password").read_text()
    _keep(folder / "database_url", f"postgresql://vigie:{password}@database/vigie")


def _keep(path: Path, value: str) -> None:
    if not path.exists():
        path.write_text(value)
        path.chmod(0o644)
        print(f"{path} made", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
