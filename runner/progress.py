"""The host's events -> lines for people (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .graphs import LOOP, Graph

Event = Mapping[str, Any]
"""A message of the host's websocket: {"type": str, "data": {...}}."""


class Progress:
    """Says each thing once: a line per step of a node, a line per shot that is done.

    Args:
        graph: what runs.
        modes: of the shots that its StoryMemStoryLoop makes, in order. The loop's sub-graph has a node per
            shot, numbered from 1, and after them one for the stitch.
    """

    def __init__(self, graph: Graph, modes: Sequence[str] = ()):
        self._graph = graph
        self._modes = modes
        self._said: dict[str, object] = {}
        self._stepped: set[str] = set()

    def lines(self, event: Event) -> Iterator[str]:
        """The lines that an event is worth; most are worth none."""
        if event["type"] == "progress_state":
            for node in event["data"]["nodes"].values():
                yield from self._node(node)

    def _node(self, node: Mapping[str, Any]) -> Iterator[str]:
        id, value, most, state = node["node_id"], node["value"], node["max"], node["state"]
        if state == "running" and value > 0 and most > 1:
            self._stepped.add(id)
            yield from self._once(id, (value, most), f"{self._name(node)} · step {value:.0f}/{most:.0f}")
        elif state == "finished" and self._shot(node):
            done = "done" if id in self._stepped else "found in the store"
            yield from self._once(id, "finished", f"{self._name(node)} · {done}")

    def _once(self, id: str, what: object, line: str) -> Iterable[str]:
        news = self._said.get(id) != what
        self._said[id] = what
        return [line] if news else []

    def _name(self, node: Mapping[str, Any]) -> str:
        shot = self._shot(node)
        if shot:
            return f"shot {shot}/{len(self._modes)} {self._modes[shot - 1]}"
        outer = self._graph.get(node["display_node_id"], {})
        return f"{outer.get('class_type', 'node')} {node['display_node_id']}"

    def _shot(self, node: Mapping[str, Any]) -> int:
        """The number of the story's shot that a node makes, 0 for none."""
        outer, last = node["display_node_id"], node["node_id"].rpartition(".")[2]
        inside = outer != node["node_id"] and self._graph.get(outer, {}).get("class_type") == LOOP
        number = int(last) if inside and last.isdecimal() else 0
        return number if number <= len(self._modes) else 0
