"""Secrets kept in files of their own (as container platforms mount them): `key_file: PATH`, `{file: PATH}`.

Only keys a model declares as SecretStr have a `_file` twin. What was read is marked hidden, so that no error
shows it; a line end at the end of the file is not part of the secret.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from monitor.config.validation import annotation_at, fields_of
from monitor.config.yaml_file import ConfigError, Keys, Section, read_text_file

_MAX_BYTES = 64 * 1024
_UNREAD = "sqlite:///unread-secret"  # passes every check of a secret: one mistake is reported once


def with_secret_files(section: Section, model: Any, directory: Path, problems: list[ConfigError]) -> Section:
    """The section with every secret that is given as a file read into its place."""
    reader = _SecretFiles(section, directory, problems)
    data = reader.filled(section.data, model, ())
    lines = {**section.lines, **reader.lines}
    return Section(section.file, data, lines, section.path, section.hidden | reader.lines.keys())


class _SecretFiles:
    def __init__(self, section: Section, directory: Path, problems: list[ConfigError]) -> None:
        self._section = section
        self._directory = directory
        self._problems = problems
        self.lines: dict[Keys, int] = {}  # where a secret would stand → the line that names its file

    def filled(self, data: Any, model: Any, path: Keys) -> Any:
        expected = annotation_at(model, ())
        if expected is SecretStr:
            if isinstance(data, dict) and data.keys() == {"file"}:
                return self._secret(data["file"], (*path, "file"), path)
            return str(data) if isinstance(data, int | float) and not isinstance(data, bool) else data
        if isinstance(data, list):
            return [self.filled(item, annotation_at(model, (i,)), (*path, i)) for i, item in enumerate(data)]
        if not isinstance(data, dict):
            return data
        values: dict[str, Any] = {}
        for key, value in data.items():
            twin = key.removesuffix("_file")
            own = twin == key or key in fields_of(expected)
            if not own and annotation_at(expected, (twin,)) is SecretStr:
                if twin in data:
                    self._problem((*path, key), f"'{twin}' is given too — keep one of the two")
                else:
                    values[twin] = self._secret(value, (*path, key), (*path, twin))
            else:
                values[key] = self.filled(value, annotation_at(expected, (key,)), (*path, key))
        return values

    def _secret(self, name: Any, written: Keys, place: Keys) -> str:
        self.lines[self._section.path + place] = self._section.line_of(written)
        text = ""
        if not isinstance(name, str):
            self._problem(written, "must be the path of a file")
            return _UNREAD
        try:
            text = read_text_file(self._directory / name, _MAX_BYTES).rstrip("\r\n")
            wrong = None if text else "is empty — write the secret into it"
        except UnicodeDecodeError:
            wrong = "is not UTF-8 text"
        except ValueError as error:
            wrong = str(error)
        if wrong:
            self._problem(written, f"the file {name} {wrong}")
        return text or _UNREAD

    def _problem(self, path: Keys, message: str) -> None:
        self._problems.append(self._section.error(path, message))

