"""What a sender runs beside its MTA: its own gate, tokens for its mails, suppressions tested on the spot; see README.md."""

from monitor.sender.asynchronous import AsyncGate
from monitor.sender.blocking import Gate
from monitor.sender.decision import Decision, Held
from monitor.sender.local_gate import State

__all__ = ["AsyncGate", "Decision", "Gate", "Held", "State"]
