"""Writes locales/zh/nodeDefs.json, the nodes' names and tooltips in Chinese, from their Chinese help pages.

    python tests/chinese_labels.py

The page of a node says all of it already: its title, its first paragraph, and a row for each socket.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LABELS = ROOT / "locales" / "zh" / "nodeDefs.json"


def labels() -> str:
    """The file's text: node -> display_name, description, inputs by name and outputs by number."""
    pages = sorted((ROOT / "js" / "docs").glob("*/zh.md"))
    nodes = {path.parent.name: _node(path.read_text(encoding="utf-8")) for path in pages}
    return json.dumps(nodes, ensure_ascii=False, indent=2) + "\n"


def _node(page: str) -> dict[str, object]:
    head, inputs, outputs = re.split(r"^## (?:输入|输出)\n", page, flags=re.MULTILINE)
    title, description = [_plain(part) for part in head.split("\n\n")[:2]]
    return {
        "display_name": title.removeprefix("# "),
        "description": description,
        "inputs": {name: {"tooltip": meaning} for name, meaning in _rows(inputs)},
        "outputs": {str(n): {"tooltip": meaning} for n, (_, meaning) in enumerate(_rows(outputs))},
    }


def _rows(section: str) -> list[tuple[str, str]]:
    """Name and meaning of each socket."""
    table = section.partition("\n## ")[0]
    cells = (line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `"))
    named = ((row[0].strip("`"), _plain(row[-1])) for row in cells)
    return [(name, meaning) for name, meaning in named if name.isidentifier()]  # not those that grow


def _plain(text: str) -> str:
    """Tooltips show no Markdown."""
    return text.replace("**", "").strip()


if __name__ == "__main__":
    LABELS.parent.mkdir(parents=True, exist_ok=True)
    LABELS.write_text(labels(), encoding="utf-8")
