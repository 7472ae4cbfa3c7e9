"""The body of a loop of the user's own: which nodes of a prompt stand in it, what they are made of (pure).

A body is what leads from the loop's Open to its Close. It is copied for each shot, so it must be known from
the prompt alone, before any of its nodes has run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..disk import digest
from ..errors import StoryMemError

OPEN, CLOSE, FRAMES = "StoryMemStoryLoopOpen", "StoryMemStoryLoopClose", "images"

Prompt = Mapping[str, Mapping[str, Any]]
"""Node id -> {"class_type": str, "inputs": {name: value, or link [node id, output]}}."""

Link = tuple[str, int]


@dataclass(frozen=True)
class Body:
    """opened: the id of the loop's Open.  nodes: those that a shot has copies of.  frames: where its frames
    come from.  made_of: a digest of every node that the frames come from, their ids and places aside."""

    opened: str
    nodes: Prompt
    frames: Link
    made_of: str

    def uses(self, output: int) -> bool:
        """Whether a node of it is linked to this output of the Open."""
        values = (value for node in self.nodes.values() for value in node["inputs"].values())
        return (self.opened, output) in map(as_link, values)

    def copies(self, shot: str, prefix: str) -> Prompt:
        """The body for one shot, as a part of the host's sub-graph: its nodes under new ids, linked to each
        other, to the node `shot` in place of the Open, and to what lies outside as before. What they show is
        shown on the nodes that they are copies of."""

        def moved(value: object) -> object:
            link = as_link(value)
            if link is None or (link[0] != self.opened and link[0] not in self.nodes):
                return value
            return [shot if link[0] == self.opened else prefix + link[0], link[1]]

        return {
            prefix + id: {
                "class_type": node["class_type"],
                "inputs": {name: moved(value) for name, value in node["inputs"].items()},
                "override_display_id": id,
            }
            for id, node in self.nodes.items()
        }


def find(
    prompt: Prompt,
    closing: str,
    opened: str,
    content: Callable[[str], str | None] = lambda value: None,
) -> Body:
    """The body between a loop's Close and its Open, by their ids.

    In it are all nodes behind the Open that are not behind the Close: those that the frames come from, and
    those that only look at them (previews, savers).

    Args:
        content: what is in the file that a widget's text names; None if it names none. With it a body is
            another one when the file has changed.

    Raises:
        StoryMemError: `opened` is no Open, the Close's `images` do not come from it, or another loop mixes
            with this one.
    """
    if prompt[opened]["class_type"] != OPEN:
        raise StoryMemError(
            "the input 'loop' must come from a Story Loop Open, with no node in between",
            value=_name(prompt, opened),
            remedy="Connect the two ends of the loop directly.",
        )
    frames = as_link(prompt[closing]["inputs"].get(FRAMES))
    users = _users(prompt)
    inside = _reached([opened], users, {closing})
    # What uses the film and, past it, a value of the Open: no part of a shot.
    inside -= _reached([closing], users, set()) | {opened}
    if frames is None or frames[0] not in inside:
        raise StoryMemError(
            "the loop body must lead from Story Loop Open to Close: the images do not come from this Open",
            value=_name(prompt, frames[0]) if frames else None,
            remedy="Connect the outputs of Open (prompt, seed, start_frames, memory) to the body's nodes.",
        )
    for id in sorted(inside):
        _refuse_other_loops(prompt, id, opened, inside)
    nodes = {id: prompt[id] for id in prompt if id in inside}
    return Body(opened, nodes, frames, _made_of(prompt, frames, opened, content))


def as_link(value: object) -> Link | None:
    """A link [node id, output] as the host reads one; None for any other value."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        return (value[0], int(value[1])) if isinstance(value[1], (int, float)) else None
    return None


def _sources(node: Mapping[str, Any]) -> Iterable[str]:
    return [link[0] for link in map(as_link, node["inputs"].values()) if link]


def _users(prompt: Prompt) -> Mapping[str, set[str]]:
    """Node -> the nodes that it is linked to."""
    users: defaultdict[str, set[str]] = defaultdict(set)
    for id, node in prompt.items():
        for source in _sources(node):
            users[source].add(id)
    return users


def _reached(start: Iterable[str], users: Mapping[str, set[str]], ends: set[str]) -> set[str]:
    """`start` and all behind it; what lies behind `ends` only through them is not, nor are they."""
    found, waiting = set(start), list(start)
    while waiting:
        new = users.get(waiting.pop(), set()) - found - ends
        found |= new
        waiting += new
    return found


def _refuse_other_loops(prompt: Prompt, id: str, opened: str, inside: set[str]) -> None:
    """A node of the body may use the film of another loop, but stand in no other."""
    seen, waiting = {id}, [id]
    while waiting:
        current = waiting.pop()
        node = prompt.get(current, {"class_type": "", "inputs": {}})
        other = node["class_type"] == OPEN and current != opened
        if other or (current in inside and node["class_type"] == CLOSE):
            raise StoryMemError(
                "a node belongs to the bodies of two loops",
                value=_name(prompt, id),
                remedy="Loops cannot be nested: close one before the next one opens.",
            )
        if node["class_type"] != CLOSE and current != opened:
            new = set(_sources(node)) - seen
            seen |= new
            waiting += new


def _made_of(prompt: Prompt, frames: Link, opened: str, content: Callable[[str], str | None]) -> str:
    """A digest of the frames' node and all before it, up to the Open, which counts by its outputs alone."""
    known = {opened: "open"}

    def told(value: object) -> object:
        link = as_link(value)
        if link is not None:
            return ["link", of_node(link[0]), link[1]]
        inside = content(value) if isinstance(value, str) else None
        return ["value", value] if inside is None else ["file", inside]

    def of_node(id: str) -> str:
        if id not in known:
            node = prompt[id]
            inputs = {name: told(value) for name, value in node["inputs"].items()}
            known[id] = digest([node["class_type"], inputs])
        return known[id]

    return digest([of_node(frames[0]), frames[1]])


def _name(prompt: Prompt, id: str) -> str:
    return f"{prompt[id]['class_type']} {id}" if id in prompt else id
