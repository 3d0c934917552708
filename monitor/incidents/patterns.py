r"""Regular expressions of strangers, in linear time: the part of RE2's language that matchers of alerts use.

Python's own engine backtracks, so that one pattern could hold up every judgement. Here a pattern becomes a set of states that
is followed step by step (Thompson, 1968): the time is that of pattern times text, whatever they hold. The whole text must match, as
in Prometheus and Alertmanager. Known: literals, `.`, classes, `\d \w \s` and their opposites, groups, `|`, `* + ?`, `{m,n}`,
`(?i)` at the beginning. Refused with the reason: look-around, back-references, names, anchors inside.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

LONGEST = 500  # characters of a pattern
_MOST_PARTS = 1_000  # repeats written out
_MOST_DEPTH = 40  # groups in groups
_MOST_REPEATS = 100

_Accepts = Callable[[str], bool]
_WORD = frozenset(string.ascii_letters + string.digits + "_")
_CLASSES: dict[str, frozenset[str]] = {"d": frozenset(string.digits), "w": _WORD, "s": frozenset("\t\n\f\r ")}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_PLAIN = frozenset("\\.+*?()|[]{}^$/-_@:#,=!<>\"'`~&%; ")  # what a backslash may stand before, meaning itself


class PatternError(ValueError):
    """The pattern is none of the language above; the text says why."""


@dataclass(frozen=True, slots=True)
class _Node:
    """`any` of the parts, `all` of them in turn, one `char`, or `repeat` of one part (most None: without end)."""

    kind: str
    parts: tuple[_Node, ...] = ()
    accepts: _Accepts | None = None
    least: int = 0
    most: int | None = None


class Pattern:
    """A pattern that is ready. Raises PatternError."""

    def __init__(self, text: str) -> None:
        self._fold = text.startswith("(?i)")
        tree = _Parser(text.removeprefix("(?i)"), fold=self._fold).whole()
        self._accepts: list[_Accepts | None] = []  # None: goes on without a character
        self._next: list[list[int]] = []
        self._built_parts = 0
        self._end = self._state(None, [])
        self._start = self._built(tree, self._end)

    def matches(self, text: str) -> bool:
        """Whether the whole text is of the pattern."""
        current = self._reached([self._start])
        for char in text.lower() if self._fold else text:
            ahead = [self._next[state][0] for state in current if (accepts := self._accepts[state]) and accepts(char)]
            if not ahead:
                return False
            current = self._reached(ahead)
        return self._end in current

    def _reached(self, states: list[int]) -> set[int]:
        """These and all that follow without a character."""
        seen: set[int] = set()
        while states:
            state = states.pop()
            if state not in seen:
                seen.add(state)
                if self._accepts[state] is None:
                    states += self._next[state]
        return seen

    def _state(self, accepts: _Accepts | None, ahead: list[int]) -> int:
        self._accepts.append(accepts)
        self._next.append(ahead)
        return len(self._accepts) - 1

    def _built(self, node: _Node, then: int) -> int:
        """The state at which the node begins, if `then` follows it."""
        self._built_parts += 1
        if self._built_parts > _MOST_PARTS:  # each makes at most two states
            raise PatternError("the pattern is too large — write fewer or smaller repeats")
        if node.kind == "char":
            return self._state(node.accepts, [then])
        if node.kind == "any":
            return self._state(None, [self._built(part, then) for part in node.parts])
        if node.kind == "all":
            for part in reversed(node.parts):
                then = self._built(part, then)
            return then
        return self._repeated(node, then)

    def _repeated(self, node: _Node, then: int) -> int:
        (part,) = node.parts
        if node.most is None:
            loop = self._state(None, [then])
            self._next[loop].append(self._built(part, loop))
            then = loop
        else:
            end = then
            for _ in range(node.most - node.least):
                then = self._state(None, [end, self._built(part, then)])
        for _ in range(node.least):
            then = self._built(part, then)
        return then


class _Parser:
    """Recursive descent over one pattern."""

    def __init__(self, text: str, *, fold: bool) -> None:
        if len(text) > LONGEST:
            raise PatternError(f"the pattern is longer than {LONGEST} characters")
        # the whole text is matched anyway
        begin = 1 if text.startswith("^") else 0
        end = len(text) - 1 if text.endswith("$") and not text.endswith("\\$") else len(text)
        self._text, self._at, self._depth, self._fold = text[begin:end], 0, 0, fold

    def whole(self) -> _Node:
        node = self._alternatives()
        if self._at < len(self._text):
            raise PatternError("a ')' without its '('")
        return node

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, what: str) -> str:
        if self._at >= len(self._text):
            raise PatternError(f"the pattern ends where {what} was expected")
        self._at += 1
        return self._text[self._at - 1]

    def _alternatives(self) -> _Node:
        parts = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else _Node("any", tuple(parts))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self._peek() not in {"", "|", ")"}:
            parts.append(self._with_repeats(self._atom()))
        return _Node("all", tuple(parts))

    def _with_repeats(self, node: _Node) -> _Node:
        bounds = self._repeats()
        if bounds is None:
            return node
        if self._peek() == "?":  # as few as possible: the same for a whole text
            self._at += 1
        if self._peek() in {"*", "+", "?"}:
            raise PatternError(f"a repeat of a repeat ('{self._peek()}') — put the first into a group")
        return _Node("repeat", (node,), least=bounds[0], most=bounds[1])

    def _repeats(self) -> tuple[int, int | None] | None:
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        char = self._peek()
        if char in simple:
            self._at += 1
            return simple[char]
        if char != "{":
            return None
        inside, brace, _ = self._text[self._at + 1 :].partition("}")
        low, comma, high = inside.partition(",")
        if not brace or not low.isdecimal() or (high and not high.isdecimal()) or len(inside) > 9:
            raise PatternError("'{' begins a repeat such as {2,5} — write \\{ for the character")
        self._at += len(inside) + 2
        least = int(low)
        most = least if not comma else int(high) if high else None
        if max(least, most or 0) > _MOST_REPEATS or (most is not None and most < least):
            raise PatternError(f"{{{inside}}} — repeat at most {_MOST_REPEATS} times, the smaller number first")
        return least, most

    def _atom(self) -> _Node:
        char = self._take("a character")
        if char == "(":
            return self._group()
        if char == "[":
            return _Node("char", accepts=self._class())
        if char == ".":
            return _Node("char", accepts=lambda given: given != "\n")
        if char == "\\":
            return _Node("char", accepts=self._member_of(*self._escape()))
        if char in "*+?{":
            raise PatternError(f"'{char}' repeats nothing — write \\{char} for the character")
        if char in "^$":
            raise PatternError(f"'{char}' inside the pattern — the whole text is matched anyway; write \\{char} for the character")
        return _Node("char", accepts=self._member_of(frozenset(char), negated=False))

    def _group(self) -> _Node:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise PatternError(f"more than {_MOST_DEPTH} groups in groups")
        if self._text.startswith("?:", self._at):
            self._at += 2
        elif self._peek() == "?":
            raise PatternError("'(?' — look-around, names and flags inside are not known; (?:…) groups")
        node = self._alternatives()
        if self._take("')'") != ")":
            raise PatternError("a '(' without its ')'")
        self._depth -= 1
        return node

    def _escape(self) -> tuple[frozenset[str], bool]:
        r"""The characters of `\x`, and whether all others are meant."""
        char = self._take("a character after the backslash")
        if char.lower() in _CLASSES:
            return _CLASSES[char.lower()], char.isupper()
        if char in _ESCAPES or char in _PLAIN:
            return frozenset(_ESCAPES.get(char, char)), False
        raise PatternError(f"'\\{char}' is not known")

    def _class(self) -> _Accepts:
        negated = self._peek() == "^"
        self._at += negated
        chars: set[str] = set()
        ranges: list[tuple[str, str]] = []
        first = True
        while (char := self._take("']'")) != "]" or first:
            first = False
            if char == "\\":
                given, others = self._escape()
                if others:
                    raise PatternError("an opposite (such as \\D) in a class is not known")
                chars |= given
            elif self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in {"", "]"}:
                self._at += 1
                last = self._take("the end of the range")
                if last < char or last == "\\":
                    raise PatternError(f"[{char}-{last}] — write the smaller character first")
                ranges.append((char, last))
            else:
                chars.add(char)
        return self._member_of(frozenset(chars), negated=negated, ranges=tuple(ranges))

    def _member_of(
        self, chars: frozenset[str], negated: bool, ranges: tuple[tuple[str, str], ...] = ()
    ) -> _Accepts:
        def holds(char: str) -> bool:
            return char in chars or any(low <= char <= high for low, high in ranges)

        if self._fold:
            return lambda char: (holds(char) or holds(char.upper())) is not negated
        return lambda char: holds(char) is not negated


@lru_cache(maxsize=1_000)
def pattern(text: str) -> Pattern:
    """The same, kept: silences are asked again at every pass. Raises PatternError."""
    return Pattern(text)
