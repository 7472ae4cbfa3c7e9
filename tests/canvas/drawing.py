"""A graph as the page makes it of an API file, and its layout -> the workflow that people open (pure)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import count
from typing import Any, NamedTuple

from layouts import Group, Layout, Node, Row
from noting import Note

Graph = dict[str, Any]

TITLE = 30
"""Height of a node's title, which the page draws above its position."""
ROW, COLUMN = 24, 60
"""Between nodes of a group."""
PADDING, HEADER = 24, 48
"""Inside a group's frame: around its nodes, and below its title."""
GROUP_GAP = 60
WIDTH = 300
"""Least width of a node."""
GROUP_COLOUR = "#5d8299"
NOTE_COLOURS = {"color": "#432", "bgcolor": "#653"}

CONTROL = "fixed"
"""What seeds do after a run: a story that is run again finds its shots stored."""


class Size(NamedTuple):
    width: int
    height: int


class Box(NamedTuple):
    """Where a frame stands, its title included."""

    x: int
    y: int
    width: int
    height: int


def draw(page_graph: Graph, least: Mapping[Node, tuple[float, float]], layout: Layout) -> Graph:
    """Put every node in its place, add groups and notes, and number the links from 1.

    Args:
        page_graph: as the page serializes it.
        least: node -> width and height that its contents need.

    Raises:
        ValueError: the layout and the graph do not have the same nodes.
    """
    graph = copy.deepcopy(page_graph)
    nodes = {str(node["id"]): node for node in graph["nodes"]}
    placed = [cell for column in layout.columns for part in column for cell in _cells(part)]
    named = [cell for cell in placed if not isinstance(cell, Note)]
    if sorted(named) != sorted(nodes):
        raise ValueError(f"placed {sorted(named)}, in the graph {sorted(nodes)}")
    ids = count(max(map(int, nodes)) + 1)
    for cell in placed:
        if isinstance(cell, Note):
            graph["nodes"].append(_note(next(ids), cell))
    drawn = _Drawing(graph, least, layout)
    drawn.place()
    for node in nodes.values():
        node["widgets_values"] = [
            CONTROL if value == "randomize" else value for value in node.get("widgets_values", [])
        ]
    _number_links(graph)
    graph["last_node_id"] = next(ids) - 1
    # The page fits a workflow without a view of its own into the window.
    graph["extra"] = {}
    return graph


class _Drawing:
    def __init__(self, graph: Graph, least: Mapping[Node, tuple[float, float]], layout: Layout):
        self._nodes = {str(node["id"]): node for node in graph["nodes"]}
        self._notes = {node["title"]: node for node in graph["nodes"] if node["type"] == "MarkdownNote"}
        self._groups: list[Graph] = graph["groups"]
        self._least, self._layout = least, layout

    def place(self) -> None:
        x = 0
        for column in self._layout.columns:
            width, y = max(self._width(part) for part in column), 0
            for part in column:
                y += self._part(part, x, y, width).height + GROUP_GAP
            x += width + GROUP_GAP

    def _part(self, part: Group | Note | Row, x: int, y: int, width: int) -> Box:
        """Place a part, its rightmost nodes stretched so that it is `width` wide."""
        if isinstance(part, Note):
            return self._stack((part,), x, y, width)
        if isinstance(part, Group):
            return self._group(part, x, y, width)
        right, height = x, 0
        for inner in part.parts:
            box = self._part(inner, right, y, self._width(inner))
            right, height = right + box.width + GROUP_GAP, max(height, box.height)
        return Box(x, y, right - GROUP_GAP - x, height)

    def _width(self, part: Group | Note | Row) -> int:
        if isinstance(part, Note):
            return part.width
        if isinstance(part, Row):
            return sum(map(self._width, part.parts)) + GROUP_GAP * (len(part.parts) - 1)
        return sum(map(self._column_width, part.columns)) + COLUMN * (len(part.columns) - 1) + 2 * PADDING

    def _column_width(self, cells: tuple[Node | Note, ...]) -> int:
        return max(self._size(cell).width for cell in cells)

    def _group(self, group: Group, x: int, y: int, width: int) -> Box:
        left, bottom = x + PADDING, 0
        for cells in group.columns:
            last = cells is group.columns[-1]
            box = self._stack(
                cells, left, y + HEADER, x + width - PADDING - left if last else self._column_width(cells)
            )
            left, bottom = left + box.width + COLUMN, max(bottom, box.y + box.height)
        frame = Box(x, y, width, bottom + group.room + PADDING - y)
        self._groups.append(
            {
                "id": len(self._groups) + 1, "title": group.title, "bounding": list(frame),
                "color": GROUP_COLOUR, "font_size": 24, "flags": {},
            }
        )  # fmt: skip
        return frame

    def _stack(self, cells: tuple[Node | Note, ...], x: int, y: int, width: int) -> Box:
        top = y
        for cell in cells:
            node = self._notes[cell.title] if isinstance(cell, Note) else self._nodes[cell]
            height = self._size(cell).height
            node["pos"], node["size"] = [x, top + TITLE], [width, height]
            top += TITLE + height + ROW
        return Box(x, y, width, top - ROW - y)

    def _size(self, cell: Node | Note) -> Size:
        if isinstance(cell, Note):
            return Size(cell.width, cell.height)
        width, height = self._least[cell]
        wished = self._layout.sizes.get(cell, (WIDTH, 0))
        return Size(max(round(width), wished[0]), max(round(height), wished[1]))


def _cells(part: Group | Note | Row) -> list[Node | Note]:
    if isinstance(part, Note):
        return [part]
    if isinstance(part, Row):
        return [cell for inner in part.parts for cell in _cells(inner)]
    return [cell for cells in part.columns for cell in cells]


def _note(id: int, note: Note) -> Graph:
    return {
        "id": id, "type": "MarkdownNote", "pos": [0, 0], "size": [0, 0], "flags": {}, "order": 0, "mode": 0,
        "inputs": [], "outputs": [], "title": note.title, "properties": {}, "widgets_values": [note.text],
        **NOTE_COLOURS,
    }  # fmt: skip


def _number_links(graph: Graph) -> None:
    numbers = {link[0]: number for number, link in enumerate(graph["links"], 1)}
    for link in graph["links"]:
        link[0] = numbers[link[0]]
    for node in graph["nodes"]:
        for slot in node["inputs"]:
            if slot.get("link") is not None:
                slot["link"] = numbers[slot["link"]]
        for slot in node["outputs"]:
            slot["links"] = [numbers[link] for link in slot.get("links") or []] or None
    graph["last_link_id"] = len(numbers)
