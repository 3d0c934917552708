"""The HTTP API and the gate's hot path; see README.md."""

from monitor.api.app import build_app
from monitor.api.serve import serve
from monitor.api.services import Services
from monitor.restrictions.follow import GateIndex

__all__ = ["GateIndex", "Services", "build_app", "serve"]
