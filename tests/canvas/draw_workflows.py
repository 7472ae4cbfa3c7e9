"""Draws workflows/NAME.json and NAME.jpg from workflows/api/NAME.json and its layout (layouts.py).

    COMFYUI_PATH=<ComfyUI's folder> python tests/canvas/draw_workflows.py [NAME ...]

People edit an API graph and its layout; what the page makes of both is written here. A graph of the small
models is run before its picture is taken, and the README's film and contact sheet are the demo's. To be run
with the Python of `run.py test`; needs Chromium.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from drawing import draw  # noqa: E402
from layouts import LAYOUTS  # noqa: E402
from page import Canvas, browser  # noqa: E402
from PIL import Image  # noqa: E402

from runner.installation import small_models  # noqa: E402
from runner.server import PACK, Server  # noqa: E402
from tests import small_files  # noqa: E402
from tests.model_files import named, with_placeholders  # noqa: E402

WORKFLOWS = ROOT / "workflows"
SIDE, QUALITY = 1600, 80
FILM = 320
"""Pixels of a side of the README's moving picture."""


def main(names: list[str]) -> None:
    graphs = {name: json.loads((WORKFLOWS / "api" / f"{name}.json").read_text()) for name in names or LAYOUTS}
    host = Path(os.environ["COMFYUI_PATH"])
    with tempfile.TemporaryDirectory() as temporary, browser() as chromium:
        folder = Path(temporary)
        # A file that is not there would be framed in red.
        every_node = {f"{name} {id}": node for name, graph in graphs.items() for id, node in graph.items()}
        small = small_models(Path(sys.executable), host, print)
        models = with_placeholders(small, every_node, folder / "models")
        packs = {**PACK, "ComfyUI-GGUF": ROOT / "tests" / "gguf_pack"}
        with Server(host, models, folder / "output", packs=packs, cpu=True) as server:
            small_files.inputs(server.input, host)
            for name, graph in graphs.items():
                # A page of its own: a wired widget would keep a value of the graph before.
                canvas = Canvas(chromium, server.url)
                canvas.load_api(graph, name)
                workflow = draw(canvas.serialized(), canvas.least_sizes(), LAYOUTS[name])
                text = json.dumps(workflow, indent=2, ensure_ascii=False)
                (WORKFLOWS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
                canvas.load(workflow, name)
                if all("storymem_world" in file for file in named(graph)):
                    canvas.forget()
                    canvas.finish(canvas.queue())
                # Scaled down here: drawn at such a scale, the page leaves all texts out.
                _save(canvas.picture(), WORKFLOWS / f"{name}.jpg")
                canvas.page.close()
            for sheet in server.output.glob("*/contact_sheet.png"):
                _save(sheet.read_bytes(), ROOT / "docs" / "contact_sheet.jpg")
                _save_film(sheet.with_name("film.mp4"), ROOT / "docs" / "film.webp")


def _save(png: bytes, path: Path) -> None:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    picture.save(path, quality=QUALITY, optimize=True)


def _save_film(film: Path, path: Path) -> None:
    """A film as a picture that moves in the README, which shows no videos of a repository."""
    import av

    with av.open(str(film)) as opened:
        rate = float(opened.streams.video[0].average_rate)
        frames = [frame.to_image() for frame in opened.decode(video=0)]
    frames = [frame.resize((FILM, FILM), Image.Resampling.LANCZOS) for frame in frames]
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=round(1000 / rate), loop=0, quality=QUALITY
    )


if __name__ == "__main__":
    main(sys.argv[1:])
