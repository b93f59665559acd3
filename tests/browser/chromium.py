"""Chromium as Debian ships it, without a window, for pages that are on this machine."""

from __future__ import annotations

import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, Route, async_playwright, expect

SCREENSHOTS = Path(__file__).parents[2] / ".cache" / "screenshots"
"""Where screenshots are left to be looked at."""

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

expect.set_options(timeout=20_000)

_COUNT_COLORS = """async (png) => {
  const bitmap = await createImageBitmap(await (await fetch(png)).blob());
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
  canvas.drawImage(bitmap, 0, 0);
  const { data } = canvas.getImageData(0, 0, bitmap.width, bitmap.height);
  const counts = new Map();
  for (const pixel of new Uint32Array(data.buffer)) {
    counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  }
  return [counts.size, Math.max(...counts.values()) / (bitmap.width * bitmap.height)];
}"""


def find_chromium() -> str | None:
    """The path of Chromium, if it is installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Screen:
    """A page, and what went wrong on it.

    Attributes:
        page: the page.
        errors: errors that its scripts did not catch.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    async def shoot(self, name: str) -> None:
        """Take a screenshot, leave it in the folder of screenshots, and fail if it is blank."""
        png = await self.page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")
        colors, commonest = await self._colors_of(png)
        # A blank page has one colour; text is drawn in many shades.
        assert colors > 50, f"screenshot {name} has {colors} colours"
        assert commonest < 0.95, f"one colour fills {commonest:.0%} of screenshot {name}"

    async def _colors_of(self, png: bytes) -> tuple[int, float]:
        """How many colours a picture has, and how much of it the commonest one fills."""
        # A page of its own: the policy of the one shown need not allow such an address.
        async with await self.page.context.new_page() as empty:
            address = f"data:image/png;base64,{base64.b64encode(png).decode()}"
            count, share = await empty.evaluate(_COUNT_COLORS, address)
        return int(count), float(share)


@asynccontextmanager
async def open_screen(executable: str, url: str) -> AsyncIterator[Screen]:
    """Open a browser with a fresh profile that reaches one server alone."""

    async def refuse(route: Route) -> None:
        await route.abort()

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=[*FLAGS])
        try:
            context = await browser.new_context(
                base_url=url, viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
            )
            # Bull Board asks Google for its font; without it the system's is used.
            await context.route(lambda address: not address.startswith(url), refuse)
            yield Screen(await context.new_page())
        finally:
            await browser.close()
