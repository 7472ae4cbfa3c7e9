"""How a benchmark tells its figures: a table for people, one JSON line last, a file that keeps that line."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from .packages import ROOT

RESULTS = ROOT / "benchmarks" / "results"
Row = Mapping[str, str | float]


def report(name: str, rows: Sequence[Row], **figures: Any) -> dict[str, Any]:
    """Print the rows as a table, then everything as one JSON line, and keep it in results/NAME.json.

    Args:
        name: of the benchmark.
        rows: one for each side; the keys are the table's columns and name their units.
        figures: what follows from the rows, budgets among it.
    """
    print(table(rows))
    told = {
        "benchmark": name,
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "rows": list(rows),
        **figures,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told))
    return told


def table(rows: Sequence[Row]) -> str:
    """Rows in columns: text to the left, numbers to the right with three digits after the point."""
    cells = [[*rows[0]], *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [not isinstance(value, str) for value in rows[0].values()]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    )


def machine() -> dict[str, Any]:
    """The processor's model, its cores, and the memory in GiB; nothing that tells whose machine it is."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "ram_gib": round(memory / 2**30, 1),
    }


def versions() -> dict[str, str]:
    """Of Python, torch and ComfyUI."""
    host = Path(os.environ["COMFYUI_PATH"], "comfyui_version.py").read_text()
    [comfyui] = re.findall(r'__version__ = "(.*)"', host)
    return {"python": platform.python_version(), "torch": metadata.version("torch"), "comfyui": comfyui}


def _cell(value: str | float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
