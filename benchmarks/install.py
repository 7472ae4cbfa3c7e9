"""Whether installing the pack moves any package of ComfyUI's: `run.py bench install`. Needs a package index.

For each version of ComfyUI, pip first chooses what a fresh environment would get by that version's own
requirements. An environment then claims to have all of it: pip decides by what a package says of itself, and
torch's gigabytes say nothing more. In it, pip plans `install -r requirements.txt` as any user would run it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runner import hosts, packages
from runner.benchmark import report
from runner.environment import Environment
from runner.packages import ROOT, venv_step
from runner.processes import clean_variables

# Of a package's metadata, what pip looks at; the names in a METADATA file and in pip's report.
FIELDS = {
    "Name": "name", "Version": "version", "Requires-Python": "requires_python",
    "Requires-Dist": "requires_dist", "Provides-Extra": "provides_extra",
}  # fmt: skip

Package = Mapping[str, Any]
"""A package's metadata, as pip reports it."""


def planned(python: Path, folder: Path, *words: str) -> list[Package]:
    """What pip would install into an environment, by name.

    Args:
        python: of the environment.
        folder: for pip's report.
        words: of `pip install`.
    """
    told = folder / "report.json"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--dry-run"]
    packages.run([*command, "--report", told, *words], clean_variables())
    plan = json.loads(told.read_text(encoding="utf-8"))
    return [entry["metadata"] for entry in plan["install"]]


def claim(wanted: Sequence[Package], site_packages: Path) -> None:
    """Make an environment look as if it had these packages."""
    for package in wanted:
        name = packages.package(package["name"]).replace("-", "_")
        folder = site_packages / f"{name}-{package['version']}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\n{_lines(package)}", encoding="utf-8")
        (folder / "INSTALLER").write_text("pip\n")
        (folder / "RECORD").write_text("")


def moved(theirs: Sequence[Package], plan: Sequence[Package]) -> list[str]:
    """The packages of the host's that a plan would bring to another version: name, old and new version."""
    had = {packages.package(package["name"]): package["version"] for package in theirs}
    new = {packages.package(package["name"]): package["version"] for package in plan}
    return [f"{name} {had[name]} -> {new[name]}" for name in sorted(had.keys() & new.keys())]


def row(host: hosts.Host, folder: Path) -> dict[str, str | int]:
    """The check of one version of ComfyUI."""
    steps = (venv_step(), hosts.source_step(host))
    source = Environment.cached(f"source-{host.version}", steps).prepare(print).folder
    requirements = source / "ComfyUI" / "requirements.txt"
    packages.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], clean_variables())
    python = folder / "venv" / "bin" / "python"
    theirs = planned(python, folder, "-r", str(requirements))
    [site_packages] = (folder / "venv" / "lib").glob("python*/site-packages")
    claim(theirs, site_packages)
    ours = planned(python, folder, "-r", str(ROOT / "requirements.txt"))
    changed = moved(theirs, ours)
    added = sorted(f"{package['name']} {package['version']}" for package in ours)
    return {
        "ComfyUI": host.version, "its packages": len(theirs), "added": len(added) - len(changed),
        "moved": len(changed), "which": ", ".join(changed or added),
    }  # fmt: skip


def main() -> int:
    rows = []
    for host in hosts.HOSTS.values():
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row(host, Path(folder)))
    wanted = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    report("install", rows, requirements=[line for line in wanted if line and not line.startswith("#")])
    return 1 if any(row["moved"] for row in rows) else 0


def _lines(package: Package) -> str:
    def of(field: str, value: Any) -> Iterator[str]:
        for one in value if isinstance(value, list) else [value]:
            yield f"{field}: {one}\n"

    return "".join(
        line for field, name in FIELDS.items() if package.get(name) for line in of(field, package[name])
    )


if __name__ == "__main__":
    sys.exit(main())
