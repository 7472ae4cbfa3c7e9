"""ComfyUI's page in a headless Chromium, and what the tests and the drawing of workflows do with it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# What a test's machine lacks (a screen, a GPU, a user) and what only waits for the net.
OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SIZE = (1600, 1000)
PATIENCE = 120
"""Seconds that the page may take for one thing: long, for a machine that is busy otherwise."""

Graph = dict[str, Any]


class Shown(NamedTuple):
    """What a node shows."""

    pictures: int
    video: bool
    report: str


@contextmanager
def browser() -> Iterator[Browser]:
    """The system's Chromium, closed on exit."""
    path = next(found for name in BROWSERS if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, headless=True, args=list(OPTIONS))
        try:
            yield opened
        finally:
            opened.close()


class Canvas:
    """A page of a running ComfyUI, in a fresh profile.

    Attributes:
        page: playwright's.
        errors: what the page has complained of since it was ready: uncaught errors and console errors,
            but for addresses outside of the server, which a test's machine may not reach.
    """

    def __init__(self, browser: Browser, url: str):
        self._url = url
        self.page: Page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        self.page.set_default_timeout(PATIENCE * 1000)
        # Else a user's first page opens the templates over the graph, when it likes.
        self.page.request.post(f"{url}/settings/Comfy.TutorialCompleted", data="true")
        self.page.goto(url)
        self.page.wait_for_function("window.app?.graph && app.extensionManager")
        self.page.wait_for_load_state("networkidle")
        # A fresh profile opens an example, when it likes: over a graph that was loaded before it.
        self.page.wait_for_function("app.graph.nodes.length")
        # From here on: as it starts, the page asks for files and addresses that a test's server has not.
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._heard)

    def _heard(self, message: ConsoleMessage) -> None:
        missing = message.text.startswith("Failed to load resource")
        if message.type == "error" and not (missing and not message.location["url"].startswith(self._url)):
            self.errors.append(message.text)

    def load(self, workflow: Graph, name: str = "workflow") -> None:
        """Open a graph in the page's own format."""
        self.page.evaluate("([graph, name]) => app.loadGraphData(graph, true, true, name)", [workflow, name])

    def load_api(self, graph: Graph, name: str = "workflow") -> None:
        """Open a graph in the API's format."""
        self.page.evaluate("([graph, name]) => app.loadApiJson(graph, name)", [graph, name])

    def serialized(self) -> Graph:
        """The open graph in the page's own format."""
        # As text: in it, as in a file, fields that are undefined are left out.
        return json.loads(self.page.evaluate("JSON.stringify(app.graph.serialize())"))

    def prompt(self) -> Graph:
        """The open graph in the API's format, as the page would queue it."""
        return json.loads(self.page.evaluate("app.graphToPrompt().then(p => JSON.stringify(p.output))"))

    def forget(self) -> None:
        """Empty the server's cache: of a node that need not run again it tells the page nothing."""
        self.page.request.post(f"{self._url}/free", data={"free_memory": True})

    def queue(self) -> str:
        """Press Run; the job's id."""
        with self.page.expect_response("**/api/prompt") as response:
            self.page.evaluate("app.queuePrompt(0, 1)")
        return response.value.json()["prompt_id"]

    def finish(self, job: str, seconds: float = 300) -> Graph:
        """Wait for a job's end; its record in the server's history."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            record = self.page.request.get(f"{self._url}/history/{job}").json().get(job)
            if record:
                self.page.wait_for_timeout(1000)  # for the page to draw what it was told
                return record
            self.page.wait_for_timeout(500)
        raise TimeoutError(f"the job has not ended in {seconds:.0f} s")

    def shown(self) -> Mapping[str, Shown]:
        """Node id -> what the node shows of its last run."""
        shown = self.page.evaluate(
            """Object.fromEntries(app.graph.nodes.map(node => [node.id, [
                (node.imgs ?? []).length,
                node.widgets?.some(widget => widget.name === "video-preview") ?? false,
                node.widgets?.find(widget => widget.name === "storymem_report")?.element.value ?? "",
            ]]))"""
        )
        return {id: Shown(*of_node) for id, of_node in shown.items()}

    def boxes(self) -> Mapping[str, tuple[float, float, float, float]]:
        """Node id -> left, top, right and bottom, its title included."""
        return self.page.evaluate(
            """Object.fromEntries(app.graph.nodes.map(({ id, pos, size }) =>
                [id, [pos[0], pos[1] - 30, pos[0] + size[0], pos[1] + size[1]]]))"""
        )

    def least_sizes(self) -> Mapping[str, tuple[float, float]]:
        """Node id -> the width and height that its texts and widgets need."""
        sizes = "app.graph.nodes.map(node => [node.id, [...node.computeSize()]])"
        return self.page.evaluate(f"Object.fromEntries({sizes})")

    def missing_nodes(self) -> list[str]:
        """Ids of nodes whose class the server has not."""
        return self.page.evaluate(
            "app.graph.nodes.filter(n => !(n.type in LiteGraph.registered_node_types)).map(n => String(n.id))"
        )

    def picture(self) -> bytes:
        """The whole graph at its own scale, without the page's menus; a PNG."""
        left, top, width, height = self._bounds()
        self.page.add_style_tag(content=_BARE)
        self.page.set_viewport_size(
            {"width": round(width) + 2 * _MARGIN, "height": round(height) + 2 * _MARGIN}
        )
        self.page.evaluate(
            """([x, y]) => {
                app.canvas.deselectAll()
                app.canvas.show_info = false
                app.canvas.ds.scale = 1
                app.canvas.ds.offset = [x, y]
                app.canvas.setDirty(true, true)
            }""",
            [_MARGIN - left, _MARGIN - top],
        )
        self.page.wait_for_timeout(1000)  # the page draws when it likes
        return self.page.screenshot()

    def _bounds(self) -> tuple[float, float, float, float]:
        frames = self.page.evaluate(
            "app.graph.groups.map(({ pos, size }) => [pos[0], pos[1], pos[0] + size[0], pos[1] + size[1]])"
        )
        lefts, tops, rights, bottoms = zip(*self.boxes().values(), *frames, strict=True)
        left, top = min(lefts), min(tops)
        return left, top, max(rights) - left, max(bottoms) - top


_MARGIN = 40
_BARE = "#graph-canvas-container > .z-999, .p-toast, .p-dialog-mask { display: none !important }"
