"""The pages of help in Chinese say what the English ones say: the same inputs, outputs and defaults."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.chinese_labels import LABELS, labels

DOCS = Path(__file__).resolve().parents[2] / "js" / "docs"
NODES = sorted(path.stem for path in DOCS.glob("*.md"))
HEADINGS = {
    "Inputs": "输入",
    "Outputs": "输出",
    "Example": "示例",
    "Source": "来源",
}


def sections(page: str) -> dict[str, str]:
    """Heading -> the text below it; the title's is what stands before the first heading."""
    title, *rest = re.split(r"^## ", page, flags=re.MULTILINE)
    return {"": title} | dict(part.split("\n", 1) for part in rest)


def table(text: str) -> list[list[str]]:
    """The cells of a table's rows, but for types and meanings: names and defaults."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [[row[0], row[2]] if len(row) == 4 else row[:1] for row in rows]


def test_every_page_has_its_chinese_one():
    assert sorted(path.parent.name for path in DOCS.glob("*/zh.md")) == NODES


@pytest.mark.parametrize("node", NODES)
def test_the_chinese_page_is_the_english_one(node):
    english = sections((DOCS / f"{node}.md").read_text(encoding="utf-8"))
    chinese = sections((DOCS / node / "zh.md").read_text(encoding="utf-8"))
    assert [HEADINGS.get(name, name) for name in english] == [*chinese]
    assert chinese[""].startswith(english[""].splitlines()[0])
    for name in ("Inputs", "Outputs"):
        assert table(chinese[HEADINGS[name]]) == table(english[name])
    assert all(re.search("[一-鿿]", text) for name, text in chinese.items() if name != HEADINGS["Example"])
    # What the pages name in code is the same: widgets, files, values.
    assert codes(chinese.values()) >= codes(english.values())


def test_the_nodes_chinese_labels_are_those_of_the_pages():
    """If not: python tests/chinese_labels.py."""
    written = LABELS.read_text(encoding="utf-8")
    assert written == labels()
    assert sorted(json.loads(written)) == NODES
    # The page reads them as vue-i18n's messages, in which these would be code.
    assert not re.search(r"[@|$]|(?<!:) \{|\}[^,\n]", written)


def codes(texts) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", "\n".join(texts)))
