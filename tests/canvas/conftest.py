"""A page of the live ComfyUI for each test, in one headless Chromium for all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.append(str(Path(__file__).parent))

if TYPE_CHECKING:
    from page import Canvas
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium."""
    from page import browser

    with browser() as opened:
        yield opened


@pytest.fixture
def canvas(chromium: Browser, server) -> Iterator[Canvas]:
    """ComfyUI's page, ready, in a profile of its own."""
    from page import Canvas

    opened = Canvas(chromium, server.url)
    yield opened
    opened.page.close()
