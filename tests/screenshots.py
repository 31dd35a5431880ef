"""Screenshots of the report, for the README and to be looked at: `python -m tests.screenshots [DIRECTORY]`.

Of a report that has everything in it, made without a server: on a desk, in the dark, on a phone; and each part alone.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from dbdoctor.render.report.page import SECTIONS, page
from tests.browser.chromium import browser
from tests.render.whole import advice, of_recording, whole
from tests.servers.workspace import is_made, workspace

WAYS = {
    "desktop": {"width": 1100},
    "dark": {"width": 1100, "dark": True},
    "phone": {"width": 360, "height": 740},
}


def take(place: Path) -> list[Path]:
    """All of them into `place`; gives the files."""
    made = []
    with tempfile.TemporaryDirectory() as pages, browser() as chromium:
        full = whole(Path(pages), advice=advice("plain"))
        for name, report in {"whole": full, "recording": of_recording()}.items():
            file = Path(pages) / f"{name}.html"
            file.write_text(page(report))
            for way, how in WAYS.items():
                chromium.open(file, **how)  # type: ignore[arg-type]
                made.append(chromium.screenshot(place / f"{name}-{way}.png"))
                parts = ["header", *(f"#{key}" for key in SECTIONS)] if name == "whole" else []
                made += [chromium.screenshot(place / f"{name}-{way}-{part.strip('#')}.png", part) for part in parts]
    return made


def main() -> None:
    place = Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots")
    place.mkdir(parents=True, exist_ok=True)
    try:
        for made in take(place):
            print(made)
    finally:
        if is_made():
            workspace().close()


if __name__ == "__main__":
    main()
