"""The commands that make films: a script into a graph, the graph through the real server."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from storymem_core.errors import StoryMemError
from storymem_core.script import plan as story
from storymem_core.script.script import Script, parse
from storymem_core.script.shot_list import chosen

from . import graphs
from .arguments import DEMO_GRAPH, Arguments
from .errors import GraphError
from .graphs import Graph
from .server import Place, Server

OUTPUT = Path("output")
SMALL_WORLD = "storymem_world"
PICTURE_BOOK = (
    "note: the demo's models know one small drawn world, so your story is told in its pictures and words. "
    "For any other give --graph workflows/api/story_wan22.json and the models that it names."
)


def plan(arguments: Arguments) -> tuple[story.ShotPlan, ...]:
    """The shots of a film, before anything is started.

    Raises:
        StoryMemError, GraphError: the script or the graph cannot be used.
    """
    assert arguments.script
    graph = graphs.load(arguments.graph) if arguments.graph else None
    settings = graphs.plan_settings(graph) if graph else {}
    if arguments.seed is not None:
        settings["seed"] = arguments.seed
    if arguments.references:
        settings["references"] = len(arguments.references)
    script = chosen(parse(_read(arguments.script)), graphs.only_shots(graph) if graph else "")
    return story.plan(script, **settings)


def plan_json(arguments: Arguments) -> str:
    """The plan as `film --plan` prints it."""
    rows = [story.as_row(shot) for shot in plan(arguments)]
    return json.dumps({"shots": rows}, ensure_ascii=False, indent=2)


def filled_graph(arguments: Arguments, images: Sequence[str]) -> Graph:
    """The graph of a film, or of the demo, with all that was asked filled in.

    Args:
        images: the names that the references have in the server's input folder.
    """
    graph = graphs.load(arguments.graph or DEMO_GRAPH)
    if arguments.script:
        graph = graphs.with_script(graph, _read(arguments.script))
    if arguments.seed is not None:
        graph = graphs.with_seed(graph, arguments.seed)
    if images:
        graph = graphs.with_references(graph, images)
    if arguments.out:
        graph = graphs.with_project(graph, arguments.out.resolve().name)
    elif arguments.script:
        graph = graphs.with_a_folder_of_its_own(graph)  # not into the film of the graph's own story
    return graph


def input_names(references: Sequence[Path]) -> list[str]:
    """Names for the references in the server's input folder: their own, told apart by a number in front."""
    return [f"{number}_{path.name}" for number, path in enumerate(references)]


def own_images(script: Script, file: Path, place: Place, only: str = "") -> dict[str, Path]:
    """The images that a script's shots name -> where they lie: beside it, or in ComfyUI's input folder.

    Args:
        file: the script's.
        only: which of its shots are made, as `shot_list.chosen` reads it.

    Raises:
        StoryMemError: one is in neither; names the shot.
    """
    named = _named_images(chosen(script, only))
    found = _found(named, file, place)
    for name, shot in named.items():
        if name not in found:
            raise StoryMemError(
                f"shot {shot!r} names an image that lies neither beside {file.name} nor in ComfyUI's input "
                "folder",
                value=name,
                remedy="Put it there, or correct its name.",
            )
    return found


def make(arguments: Arguments, place: Place, say: Callable[[str], None]) -> Path:
    """Run the film's graph, or the demo's, on a server of its own; where the film is."""
    references = dict(zip(input_names(arguments.references), arguments.references, strict=True))
    graph = filled_graph(arguments, list(references))
    script = parse(graphs.script(graph))
    images = found_inputs(graph, arguments.graph, place) | references
    if arguments.script:
        images |= own_images(script, arguments.script, place, _known(graph))
    # The story's folder is a name below the server's output folder.
    output = arguments.out.resolve().parent if arguments.out else OUTPUT
    files = _run(graph, place, output, say, modes=_modes(graph, script), images=images)
    if arguments.script and SMALL_WORLD in json.dumps(graph):
        say(PICTURE_BOOK)
    return next(path for path in files if path.name == "film.mp4")


def queue(arguments: Arguments, place: Place, say: Callable[[str], None]) -> list[Path]:
    """Run any API graph on a server of its own; the files that it saved."""
    assert arguments.graph
    graph = graphs.load(arguments.graph)
    images = found_inputs(graph, arguments.graph, place)
    for text in graphs.scripts(graph):
        images |= _found(_named_images(parse(text)), arguments.graph, place)
    return _run(graph, place, arguments.out or OUTPUT, say, images=images)


def _named_images(script: Script) -> dict[str, str]:
    """The images of the input folder that a script's shots name -> the shot's id."""
    named = {name: shot.id for shot in script.shots for name in (shot.start_image, shot.end_image) if name}
    return {name: shot for name, shot in named.items() if not name.endswith(("[output]", "[temp]"))}


def _known(graph: Graph) -> str:
    """Which shots the graph makes; all where only the run knows it."""
    try:
        return graphs.only_shots(graph)
    except GraphError:
        return ""


def _modes(graph: Graph, script: Script) -> list[str]:
    """How each of the film's shots is made, for the lines of progress; none where only the run knows it.

    Raises:
        StoryMemError: the script cannot be made so.
    """
    try:
        settings, only = graphs.plan_settings(graph), graphs.only_shots(graph)
    except GraphError:
        return []
    return [shot.mode for shot in story.plan(chosen(script, only), **settings)]


def found_inputs(graph: Graph, file: Path | None, place: Place) -> dict[str, Path]:
    """The files that a graph's loaders name -> where they lie: beside it, or in ComfyUI's input folder.

    Those that are in neither are left out: the host names them when it refuses the graph.
    """
    return _found(graphs.input_files(graph), file, place)


def _found(names: Iterable[str], file: Path | None, place: Place) -> dict[str, Path]:
    # Elsewhere they would have no place below the server's input folder either.
    folders = [folder.resolve() for folder in (file and file.parent, place.host / "input") if folder]
    found = {}
    for name in names:
        paths = [(folder, Path(os.path.normpath(folder / name))) for folder in folders]
        there = [path for folder, path in paths if folder in path.parents and path.is_file()]
        if there:
            found[name] = there[0]
    return found


def _run(
    graph: Graph,
    place: Place,
    output: Path,
    say: Callable[[str], None],
    modes: Sequence[str] = (),
    images: Mapping[str, Path] = MappingProxyType({}),
) -> list[Path]:
    # Not at the top: a plan is made where there is no aiohttp.
    from .client import run, saved_files
    from .progress import Progress

    progress = Progress(graph, modes)

    def tell(event: Mapping[str, Any]) -> None:
        for line in progress.lines(event):
            say(line)

    say("starting ComfyUI ...")
    with Server(place.host, place.models, output, more_models=place.more_models, cpu=place.cpu) as server:
        for name, path in images.items():
            target = server.input / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        return saved_files(run(server.url, graph, tell), server.output)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        told = "a script must be text in UTF-8"
        raise StoryMemError(told, value=str(path), remedy=f"Save it so ({error}).") from error
