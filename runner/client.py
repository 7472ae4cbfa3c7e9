"""An API client of ComfyUI: queues a graph over HTTP and follows it on the websocket (aiohttp)."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import aiohttp

from .errors import JobError
from .graphs import Graph
from .progress import Event

Outputs = Mapping[str, Mapping[str, Any]]
"""Node id -> what the node shows or saved, as the host's history has it."""

INTERRUPT_TIMEOUT = 30.0


def run(url: str, graph: Graph, on_event: Callable[[Event], None] = lambda _: None) -> Outputs:
    """Run a graph to its end, as any API client would.

    Ctrl-C (and any error of `on_event`) interrupts the job on the server and waits until it has stopped.

    Raises:
        JobError: the graph is not valid, a node failed, the job was interrupted or the server went away.
    """
    return asyncio.run(_run(url, graph, on_event))


def saved_files(outputs: Outputs, folder: Path) -> list[Path]:
    """The files in the server's output folder that a job's outputs name, in their order."""
    shown = (value for node in outputs.values() for value in node.values())
    results = (result for value in shown if isinstance(value, list) for result in value)
    files = (
        folder / PurePosixPath(result.get("subfolder", "")) / result["filename"]
        for result in results
        if isinstance(result, dict) and result.get("type") == "output"
    )
    return list(dict.fromkeys(files))


async def _run(url: str, graph: Graph, on_event: Callable[[Event], None]) -> Outputs:
    client = str(uuid.uuid4())
    async with (
        aiohttp.ClientSession(url) as http,
        http.ws_connect("/ws", params={"clientId": client}, max_msg_size=0) as socket,
    ):
        async with http.post("/prompt", json={"prompt": graph, "client_id": client}) as response:
            answer = await response.json()
        if "prompt_id" not in answer:
            raise JobError(_refusal(answer))
        job, failure = answer["prompt_id"], ""
        try:
            # A graph with one valid output runs, whatever the others are: for us it is refused.
            if answer.get("node_errors"):
                raise JobError(_refusal(answer))
            async for event in _events(socket, job):
                on_event(event)
                failure = _failure(event) or failure
        except BaseException:
            await _interrupt(http, job)
            raise
        if failure:
            raise JobError(failure)
        async with http.get(f"/history/{job}") as response:
            return (await response.json())[job]["outputs"]


async def _events(socket: aiohttp.ClientWebSocketResponse, job: str) -> AsyncIterator[Event]:
    """The job's events, up to its end, however it ends."""
    async for message in socket:
        if message.type != aiohttp.WSMsgType.TEXT:  # previews are binary
            continue
        event = json.loads(message.data)
        if event.get("data", {}).get("prompt_id") != job:
            continue
        yield event
        # Sent last, when the job stands in the history.
        if event["type"] == "executing" and event["data"]["node"] is None:
            return
    raise JobError("the server went away")


def _failure(event: Event) -> str:
    """What an event says of the job's failure; empty for all others."""
    if event["type"] == "execution_error":
        return event["data"]["exception_message"].strip()
    return "the job was interrupted" if event["type"] == "execution_interrupted" else ""


async def _interrupt(http: aiohttp.ClientSession, job: str) -> None:
    """Stop a job, queued or running, and wait until the server has left it."""

    async def until_it_stopped() -> None:
        jobs = {job}
        while job in jobs:
            await http.post("/queue", json={"delete": [job]})
            await http.post("/interrupt", json={"prompt_id": job})
            await asyncio.sleep(0.1)
            async with http.get("/queue") as response:
                jobs = {entry[1] for entries in (await response.json()).values() for entry in entries}

    # Where there is no server any more, there is nothing to stop.
    with suppress(aiohttp.ClientError, asyncio.TimeoutError):
        await asyncio.wait_for(until_it_stopped(), INTERRUPT_TIMEOUT)


def _refusal(answer: Mapping[str, Any]) -> str:
    """What the host says of a graph that it does not run, a line per error."""
    error = answer.get("error") or {}
    lines = [f"{error.get('message', 'the graph is not valid')}: {error.get('details', '')}".rstrip(": ")]
    for id, node in answer.get("node_errors", {}).items():
        for found in node["errors"]:
            lines.append(f"  {node['class_type']} {id}: {found['message']}: {found['details']}")
    return "\n".join(lines)
