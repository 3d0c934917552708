"""What holds for every collector that `discover()` finds, built in or installed beside."""

import socket
import types
from datetime import timedelta
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from pydantic import ValidationError

import collectors
from collectors import BUILT_IN, discover
from collectors.contract import Collector, CollectorError, CollectorSettings, Reason
from collectors.measures import MEASURES


@pytest.fixture(params=sorted(BUILT_IN))
def kind(request) -> type[Collector]:
    return discover()[request.param]


def test_it_is_a_collector_under_its_own_name(kind):
    assert isinstance(kind(kind.Settings()), Collector)
    assert BUILT_IN[kind.name]


def test_its_settings_refuse_unknown_keys_and_have_a_rhythm(kind):
    assert issubclass(kind.Settings, CollectorSettings)
    assert "every" in kind.Settings.model_fields
    assert timedelta(seconds=10) <= kind.Settings().every <= timedelta(days=1)
    with pytest.raises(ValidationError, match="surely_unknown"):
        kind.Settings(surely_unknown=1)


def test_its_measures_are_known(kind):
    assert kind.measures
    assert kind.measures <= MEASURES.keys()


def test_building_it_touches_no_network(kind, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a socket was opened")
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    kind(kind.Settings())


def test_it_has_its_row_in_the_catalogue(kind):
    rows = (Path(collectors.__file__).parent / "README.md").read_text(encoding="utf-8").splitlines()
    assert any(row.startswith(f"| `{kind.name}` |") for row in rows)


def test_discover_finds_every_built_in_collector():
    assert discover().keys() >= BUILT_IN.keys()


class Weather:
    name = "weather"
    Settings = CollectorSettings
    measures = frozenset({"report"})

    def __init__(self, settings):
        self.settings = settings

    def collect(self, context, now):
        return iter(())


def plug(monkeypatch, *plugins: EntryPoint):
    """Install these and no built-in collectors."""
    module = types.ModuleType("weather_for_vigie")
    vars(module)["Weather"] = Weather
    monkeypatch.setitem(__import__("sys").modules, "weather_for_vigie", module)
    monkeypatch.setattr(collectors, "BUILT_IN", {})
    monkeypatch.setattr(collectors, "entry_points", lambda group: [plugin for plugin in plugins if plugin.group == group])


def test_a_collector_of_another_package_is_found(monkeypatch):
    plug(monkeypatch, EntryPoint("weather", "weather_for_vigie:Weather", "vigie.collectors"))
    plugged: dict[str, object] = dict(discover())
    assert plugged == {"weather": Weather}


@pytest.mark.parametrize(("name", "value", "text"), [
    ("weather", "no_such_module:Weather", "cannot import no_such_module:Weather"),
    ("weather", "weather_for_vigie:Climate", "cannot import weather_for_vigie:Climate"),
    ("climate", "weather_for_vigie:Weather", "calls itself weather"),
])
def test_a_collector_that_cannot_be_used_is_named(monkeypatch, name, value, text):
    plug(monkeypatch, EntryPoint(name, value, "vigie.collectors"))
    with pytest.raises(CollectorError, match=text) as error:
        discover()
    assert error.value.reason is Reason.CONFIG
    assert name in error.value.text


def test_a_name_that_is_taken_is_refused(monkeypatch):
    plugin = EntryPoint("weather", "weather_for_vigie:Weather", "vigie.collectors")
    plug(monkeypatch, plugin, plugin)
    with pytest.raises(CollectorError, match="weather: the name is taken"):
        discover()
