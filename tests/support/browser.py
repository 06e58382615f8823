"""The Chromium of this machine, headless."""

from __future__ import annotations

import shutil

OPTIONS = {"args": ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]}


PACKAGES = "chromium-headless-shell or chromium"
"""The Debian packages that have it."""


def chromium() -> str | None:
    """Return its path; None if it is not installed. A page costs the headless shell a quarter of the CPU."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)
