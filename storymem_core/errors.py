"""The one error that people see: what is wrong, with which value, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial


class StoryMemError(ValueError):
    """Bad input, told so that a person can mend it.

    Args:
        problem: what is expected and was not met, in one sentence without a full stop.
        value: the offending value, as it was given.
        remedy: what to do about it, one or more full sentences.
        node: id of the node that was asked; filled in at the node (see `at_node`), since the core
            does not know who called it.
    """

    def __init__(self, problem: str, *, value: object, remedy: str, node: str = ""):
        self.problem = problem
        self.value = value
        self.remedy = remedy
        self.node = node
        super().__init__(f"{f'{node}: ' if node else ''}{problem} (got {value!r}). {remedy}")

    def at(self, node: str) -> StoryMemError:
        """The same error with the node's id in front, unless it already names a node."""
        return (
            self
            if self.node
            else StoryMemError(self.problem, value=self.value, remedy=self.remedy, node=node)
        )

    def __reduce__(self) -> tuple[object, ...]:
        # An exception is pickled as its class and its one text, which is not what this one is made of.
        return partial(StoryMemError, self.problem, value=self.value, remedy=self.remedy, node=self.node), ()


@contextmanager
def at_node(node: str) -> Iterator[None]:
    """Put `node` on every StoryMemError that leaves the block without naming one."""
    try:
        yield
    except StoryMemError as error:
        raise error.at(node) from error.__cause__
