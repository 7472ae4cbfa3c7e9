"""The command line of run.py. Standard library only."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storymem_core.training.recipes import RECIPES

from .hosts import HOSTS
from .packages import ROOT

HOST = "--host"
DEMO_GRAPH = ROOT / "workflows" / "api" / "story_demo.json"


@dataclass(frozen=True)
class Arguments:
    """What was asked; fields that a command does not have keep their defaults."""

    command: str
    script: Path | None = None
    graph: Path | None = None
    seed: int | None = None
    references: tuple[Path, ...] = ()
    out: Path | None = None
    plan: bool = False
    name: str = ""
    minutes: float | None = None
    host: str = ""
    comfyui: Path | None = None
    models: Path | None = None
    folder: Path = Path("comfyui")
    port: int = 8188
    cpu: bool = False
    rest: tuple[str, ...] = ()


def parse(words: Sequence[str]) -> Arguments:
    """Read the words after `run.py`; ends the program with a message when they make no sense."""
    parser = _parser()
    given = vars(parser.parse_args(words))
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    if given["command"] == "test":
        try:
            values["host"], values["rest"] = _host_and_rest(values["rest"])
        except ValueError as error:
            parser.error(str(error))
    return Arguments(**values)


def _host_and_rest(words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The version behind `--host`, empty where there is none, and the other words."""
    if HOST not in words:
        return "", words
    at = words.index(HOST)
    if at + 1 == len(words):
        raise ValueError(f"{HOST} needs a version of ComfyUI: {', '.join(HOSTS)}")
    return words[at + 1], words[:at] + words[at + 2 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py", description="StoryMem on the real ComfyUI.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="make the demonstration film")
    _film_options(demo)
    _host_options(demo)

    film = commands.add_parser("film", help="make a film of any script")
    film.add_argument("script", type=_file, metavar="SCRIPT", help="ST-Bench JSON, JSON5 or plain text")
    film.add_argument("--graph", type=_file, metavar="FILE", help="API graph with the settings")
    film.add_argument("--plan", action="store_true", help="only print the shots, as JSON")
    _film_options(film)
    _host_options(film)

    queue = commands.add_parser("queue", help="run any API graph and print what it saved")
    queue.add_argument("graph", type=_file, metavar="GRAPH", help="a graph saved as ComfyUI's 'Export (API)'")
    queue.add_argument("--out", type=Path, metavar="DIR", help="the server's output folder (default: output)")

    _host_options(queue)

    serve = commands.add_parser("serve", help="the pack in a ComfyUI, to work with; Ctrl-C ends it")
    _host_options(serve)
    kept = "where it keeps output, input and saved graphs (default: comfyui; not with --comfyui)"
    serve.add_argument("--folder", type=Path, default=Path("comfyui"), metavar="DIR", help=kept)
    serve.add_argument("--port", type=_port, default=8188, metavar="N", help="of its address (default: 8188)")
    serve.add_argument("--cpu", action="store_true", help="compute on the CPU even where there is a GPU")
    serve.add_argument("rest", nargs="*", metavar="-- OPTION", help="behind --: ComfyUI's own options")

    doctor = commands.add_parser("doctor", help="tell what is there, and how to get what is missing")
    _host_options(doctor)

    # Of all words only --host is ours, and argparse must leave it alone: pytest gets the others as they are.
    test = commands.add_parser("test", help="lint, check types, run every test", prefix_chars="\0")
    parts = f"lint, types, core, host, server, canvas, registry; {HOST} VERSION; the rest is pytest's"
    test.add_argument("rest", nargs="*", metavar="WORD", help=parts)

    # The benchmark reads its own options.
    bench = commands.add_parser("bench", help="run one benchmark", prefix_chars="\0")
    bench.add_argument("name", choices=_benchmarks(), metavar="NAME", help=", ".join(_benchmarks()))
    bench.add_argument("rest", nargs="*", metavar="WORD", help="for the benchmark")

    train = commands.add_parser("train", help="train the small world's models")
    train.add_argument("name", choices=sorted(RECIPES), metavar="SIZE", help=", ".join(sorted(RECIPES)))
    train.add_argument("--out", type=Path, metavar="DIR", required=True, help="where all of it is kept")
    train.add_argument("--minutes", type=_minutes, metavar="N", help="stop in time; the same command goes on")

    mutants = commands.add_parser("mutants", help="sabotage the code, way by way: a test must turn red")
    mutants.add_argument("rest", nargs="*", metavar="NAME", help="only these")
    return parser


def _film_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=_seed, metavar="N", help="the story's seed (default: the graph's)")
    parser.add_argument(
        "--reference", type=_file, nargs="+", action="extend", default=[], dest="references", metavar="PNG",
        help="pictures that the memory starts with",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="its folder (default: output/<story name>)")


def _host_options(parser: argparse.ArgumentParser) -> None:
    given = os.environ.get("COMFYUI_PATH")
    existing = "use the ComfyUI there, with its Python and models (default: $COMFYUI_PATH, else our own)"
    parser.add_argument(
        "--comfyui", type=Path, default=Path(given) if given else None, metavar="DIR", help=existing
    )
    parser.add_argument("--models", type=_folder, metavar="DIR", help="a models folder laid out as ComfyUI's")


def _benchmarks() -> list[str]:
    return sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))


def _file(word: str) -> Path:
    path = Path(word)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {word!r}")
    return path


def _folder(word: str) -> Path:
    path = Path(word)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {word!r}")
    return path


def _port(word: str) -> int:
    port = int(word)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"a port is 1 to 65535 (got {word})")
    return port


def _minutes(word: str) -> float:
    minutes = float(word)
    if not minutes > 0:
        raise argparse.ArgumentTypeError(f"a time in minutes is above 0 (got {word})")
    return minutes


def _seed(word: str) -> int:
    seed = int(word)
    if not 0 <= seed < 2**64:
        raise argparse.ArgumentTypeError(f"a seed is 0 to 2**64-1 (got {word})")
    return seed
