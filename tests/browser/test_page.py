"""Bull Board as a person sees it: its page in Chromium, on a queue of ours."""

from __future__ import annotations

import re

from playwright.async_api import Locator, Page, expect
from tests.browser.board import QUEUE
from tests.browser.chromium import Screen
from tests.browser.depot import REASON, WORKER, Depot
from tests.integration.engine.running import is_in

from oxcart import JobState, Queue


def tab(page: Page, state: JobState) -> Locator:
    """The tab of a state; its text goes on with the count."""
    label = state.value.replace("-", " ").upper()
    return page.get_by_role("main").get_by_role("link", name=re.compile(f"^{label}( \\d+)?$"))


def icon(page: Page, name: str) -> Locator:
    """A button of the one job on the page: those have no words, those of the whole queue do."""
    buttons = page.get_by_role("main").locator(f"button:has(svg.lucide-{name})")
    return buttons.filter(has_not_text=re.compile(r"\w"))


async def test_overview_shows_the_queue_with_its_counts(screen: Screen, depot: Depot) -> None:
    page = screen.page
    async with depot.with_parcels():
        await page.goto("board")

        main = page.get_by_role("main")
        await expect(main).to_contain_text(QUEUE)
        await expect(main).to_contain_text("6 Jobs")
        await expect(main).to_contain_text("Paused")
        await expect(main).not_to_contain_text("No workers")
        await screen.shoot("bull-board-overview")
    assert [] == screen.errors


async def test_every_tab_shows_its_job_and_its_count(screen: Screen, depot: Depot) -> None:
    page = screen.page
    async with depot.with_parcels() as parcels:
        await page.goto(f"board/queue/{QUEUE}")

        for state, job in parcels.by_state().items():
            await expect(tab(page, state)).to_have_text(re.compile(r"1$"))
            await tab(page, state).click()

            cards = page.get_by_role("main").locator(f"a[href*='/queue/{QUEUE}/']")
            await expect(cards).to_have_count(1)
            await expect(cards).to_contain_text(job.id)
            await expect(cards).to_contain_text(job.name)
        await expect(tab(page, JobState.WAITING_CHILDREN)).not_to_have_text(re.compile(r"\d$"))
    assert [] == screen.errors


async def test_failed_job_is_drawn_with_its_stacktrace_and_logs(
    screen: Screen, depot: Depot
) -> None:
    page = screen.page
    async with depot.with_parcels():
        await page.goto(f"board/queue/{QUEUE}?status=failed")

        panel = page.get_by_role("tabpanel")
        await expect(panel).to_contain_text(f"LookupError: {REASON}")
        await expect(page.get_by_role("main")).to_contain_text(f"by {WORKER}")
        await screen.shoot("bull-board-failed")
        await page.get_by_role("tab", name="Logs").click()
        await expect(panel).to_contain_text("attempt 2 begins")
    assert [] == screen.errors


async def test_click_on_retry_makes_our_worker_run_the_job(
    screen: Screen, depot: Depot, queue: Queue
) -> None:
    page = screen.page
    async with depot.open():
        job = await queue.add("lose", {"to": "Bob"})
        await is_in(queue, job, JobState.FAILED)
        depot.is_mended = True
        await page.goto(f"board/queue/{QUEUE}?status=failed")

        await icon(page, "refresh-cw").click()
        async with page.expect_request(re.compile(rf"/{job.id}/retry$")):
            await page.get_by_role("button", name="Confirm").click()

        await expect(page.get_by_role("main")).to_contain_text("No failed jobs in this queue")
        await tab(page, JobState.COMPLETED).click()
        await expect(tab(page, JobState.COMPLETED)).to_have_text(re.compile(r"1$"))
        await expect(page.locator(f"a[href*='/queue/{QUEUE}/{job.id}']")).to_contain_text("lose")
        await screen.shoot("bull-board-retried")
        await is_in(queue, job, JobState.COMPLETED)
    assert [{"to": "Bob"}] == depot.delivered
    assert [] == screen.errors
