"""The Chromium of this machine, headless."""

from __future__ import annotations

import shutil

OPTIONS = {"args": ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]}


def chromium() -> str | None:
    """Return its path; None if it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
