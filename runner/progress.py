"""The host's events -> lines for people (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .graphs import LOOP, Graph

Event = Mapping[str, Any]
"""A message of the host's websocket: {"type": str, "data": {...}}."""


class Progress:
    """Says each thing once: a line per step of a node, a line per shot that is done.

    Args:
        graph: what runs.
        modes: of the shots that its StoryMemStoryLoop makes, in order. In the loop's sub-graph the id of each
            shot's node is its number, from 1; no other node there has a number for its id.
    """

    def __init__(self, graph: Graph, modes: Sequence[str] = ()):
        self._graph = graph
        self._modes = modes
        self._steps: dict[str, tuple[float, float]] = {}
        self._finished: set[str] = set()

    def lines(self, event: Event) -> Iterator[str]:
        """The lines that an event is worth; most are worth none."""
        if event["type"] == "progress_state":
            for node in event["data"]["nodes"].values():
                yield from self._new_steps(node)
                yield from self._end(node)

    def _new_steps(self, node: Mapping[str, Any]) -> Iterator[str]:
        """The steps since the last event; the host sends none for steps of less than a tenth of a second."""
        id, value, most = node["node_id"], node["value"], node["max"]
        last, last_most = self._steps.get(id, (0, most))
        if most <= 1 or id in self._finished or (value, most) == (last, last_most):
            return
        self._steps[id] = (value, most)
        begun_anew = value < last or most != last_most
        for step in range(0 if begun_anew else int(last), int(value)):
            yield f"{self._name(node)} · step {step + 1}/{most:.0f}"

    def _end(self, node: Mapping[str, Any]) -> Iterator[str]:
        id = node["node_id"]
        if node["state"] == "finished" and id not in self._finished:
            self._finished.add(id)
            if self._shot(node):
                yield f"{self._name(node)} · {'done' if id in self._steps else 'found in the store'}"

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
