"""JMESPath expressions (jmespath.org), checked before they are used and bounded while they are.

An expression comes from routes.yaml and the documents from the services, and together they must not be able to
stall the observer. JMESPath has no loops, but it can double what it has: `[@, @] | [@, @] | …` is a document of
2^n values in a few hundred characters. So everything that an expression visits, makes or hands to a function is
counted, and evaluation ends at a limit.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from jmespath.exceptions import IncompleteExpressionError, LexerError, ParseError
from jmespath.functions import Functions
from jmespath.parser import Parser
from jmespath.visitor import Options, TreeInterpreter

from strangler.compare.document import NODE_LIMIT

#: Characters in one expression.
LONGEST: Final = 2_000
#: Levels in one expression. Each costs a few frames of Python's stack, of which there are a thousand.
DEEPEST: Final = 100
#: What one evaluation may visit and make: enough to rename every field of the largest document.
STEPS: Final = 5 * NODE_LIMIT
#: So many characters of text weigh as much as one value.
_CHARACTERS: Final = 64

_FUNCTIONS: Final = Functions()
_OPTIONS: Final = Options(custom_functions=_FUNCTIONS)
#: Nodes that make something new, which may be larger than what there was.
_MAKING: Final = frozenset(
    {
        *("projection", "value_projection", "filter_projection", "flatten", "slice"),
        *("multi_select_list", "multi_select_dict", "function_expression"),
    }
)
#: Nodes that walk through what they are handed, however large.
_WALKING: Final = frozenset({"function_expression", "comparator"})


class BadExpression(ValueError):
    """This is no expression. The text says why, in one line."""


class TooMuch(Exception):
    """Evaluating would take more than STEPS."""


class Expression:
    """An expression, compiled."""

    def __init__(self, tree: Any) -> None:
        self._tree = tree
        # A field of the largest object is not weighed each time it is passed through: only what is made, and what a
        # function walks through.
        self._weighed = frozenset(
            id(node)
            for parent in _nodes(tree)
            for node in (parent, *_children(parent))
            if node["type"] in _MAKING or (parent["type"] in _WALKING and node is not parent)
        )

    def of(self, document: Any) -> Any:
        """The value in a document. Raises TooMuch, and whatever jmespath raises at values it cannot take."""
        return _Counting(self._weighed).visit(self._tree, document)


@lru_cache(maxsize=1024)
def compiled(text: str) -> Expression:
    """An expression that can be evaluated. Raises BadExpression."""
    if len(text) > LONGEST:
        raise BadExpression(f"an expression is {LONGEST} characters at most")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PendingDeprecationWarning)
            tree = Parser().parse(text).parsed
        for node in _nodes(tree):
            _check(node)
    except BadExpression:
        raise
    except PendingDeprecationWarning:  # what is no JSON between back quotes jmespath takes for text, for now
        raise BadExpression("between back quotes stands JSON; text stands in single quotes") from None
    except RecursionError:
        raise BadExpression(f"an expression is nested {DEEPEST} deep at most") from None
    except ValueError as error:  # JMESPathError is one
        raise BadExpression(_reason(error, text)) from None
    return Expression(tree)


def expression_fault(text: str) -> str | None:
    """What is wrong with an expression, in one line; None when it is fine."""
    try:
        compiled(text)
    except BadExpression as error:
        return str(error)
    return None


def weight(value: Any, most: int) -> int:
    """How much a value holds: 1 for each value in it, and more for long text. Raises TooMuch beyond `most`."""
    total = 0
    waiting = [value]
    while waiting:
        value = waiting.pop()
        total += 1
        if isinstance(value, str):
            total += len(value) // _CHARACTERS
        elif isinstance(value, list):
            # Before they are put down: a list of a million times the same list must not fill memory here.
            if total + len(value) > most:
                raise TooMuch
            waiting.extend(value)
        elif isinstance(value, dict):
            total += sum(map(len, value)) // _CHARACTERS
            if total + len(value) > most:
                raise TooMuch
            waiting.extend(value.values())
        if total + len(waiting) > most:
            raise TooMuch
    return total


class _Counting(TreeInterpreter):
    """Evaluates one expression once."""

    def __init__(self, weighed: frozenset[int]) -> None:
        super().__init__(_OPTIONS)
        self._weighed = weighed
        self._left = STEPS

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise TooMuch
        result = super().visit(node, *args, **kwargs)
        if id(node) in self._weighed:
            self._left -= weight(result, self._left)
        return result

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        arguments = [self.visit(child, value) for child in node["children"]]
        if node["value"] == "join" and [type(each) for each in arguments] == [str, list]:
            # The one function whose result is the product of what it is handed, and not the sum.
            glue, parts = arguments
            if len(glue) * len(parts) // _CHARACTERS > self._left:
                raise TooMuch
        return _FUNCTIONS.call_function(node["value"], arguments)


def _nodes(tree: Any) -> Iterator[Any]:
    """Every node of an expression. Raises BadExpression when they stand too deep."""
    level = [tree]
    depth = 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise BadExpression(f"an expression is nested {DEEPEST} deep at most")
        yield from level
        level = [child for node in level for child in _children(node)]


def _children(node: Any) -> list[Any]:
    return [child for child in node["children"] if isinstance(child, dict)]  # a slice has numbers


def _check(node: Any) -> None:
    """jmespath looks for a function when it is called; by then the exchange is lost."""
    if node["type"] == "slice" and node["children"][2] == 0:
        raise BadExpression("the step of a slice cannot be 0")
    if node["type"] != "function_expression":
        return
    name, given = node["value"], len(node["children"])
    known = _FUNCTIONS.FUNCTION_TABLE.get(name)
    if known is None:
        raise BadExpression(f"there is no function {name}()")
    wanted = known["signature"]
    more = bool(wanted) and wanted[-1].get("variadic", False)
    if given < len(wanted) or (given > len(wanted) and not more):
        least = "at least " if more else ""
        plural = "" if len(wanted) == 1 else "s"
        raise BadExpression(f"{name}() takes {least}{len(wanted)} argument{plural}, not {given}")


def _reason(error: ValueError, text: str) -> str:
    if isinstance(error, IncompleteExpressionError):
        return "the expression ends too early"
    if isinstance(error, LexerError):
        return f"not an expression at character {error.lexer_position + 1}"
    if isinstance(error, ParseError) and error.token_value is not None and error.lex_position < len(text):
        return f"unexpected {str(error.token_value)[:40]!r} at character {error.lex_position + 1}"
    return "not an expression"
