"""Debian's Chromium without a window, driven by Playwright: its text selectors search TensorBoard's shadow roots."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, sync_playwright


def chromium() -> str:
    """Return the path of Chromium; install it if possible, and skip the test if not."""
    found = shutil.which("chromium")
    if found is None and os.getuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], install):
            subprocess.run(command, env=environment, check=False, capture_output=True, timeout=300)
        found = shutil.which("chromium")
    if found is None:
        pytest.skip("there is no chromium, and it can't be installed with apt-get here")
    return found


@contextmanager
def page() -> Iterator[Page]:
    """Open an empty page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser.new_page(viewport={"width": 1500, "height": 1000})
        finally:
            browser.close()
