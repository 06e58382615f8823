"""The Chromium of this machine, without a screen."""

from __future__ import annotations

import shutil

OPTIONS = {"args": ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]}


def chromium() -> str | None:
    """Its path; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
