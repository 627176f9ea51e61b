"""Pictures of the main pages, light and dark, and who can read them: `pytest tests/console/test_pictures.py --pictures`.

They go to docs/pictures/; without that option they are made all the same, and thrown away.
"""

from io import BytesIO
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from PIL import Image

from tests.console import fleet
from tests.console.conftest import DESKTOP, PHONE

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
LARGEST_BYTES = 150_000
PAGES = {
    "dashboard": "/admin/",
    "gateways": "/admin/gateways/gateway/",
    "gateway": f"/admin/gateways/gateway/{fleet.KITCHEN}/change/",
    "refused-gateway": f"/admin/gateways/gateway/{fleet.OFFICE}/change/",
    "sensor": f"/admin/sensors/sensor/{fleet.FREEZER}/change/",
    "timeline": f"/admin/alerts/alertevent/timeline/{fleet.FREEZER}",
    "deliveries": "/admin/alerts/delivery/",
    "whitelist": f"/admin/gateways/gateway/{fleet.WAITING}/whitelist/",
}
# No pictures are kept of these.
OTHERS = {"notices": "/admin/operations/notice/", "second factor": "/admin/second-factor"}


def settled(page, url: str) -> None:
    """Open `url` and wait until its charts are drawn."""
    page.goto(url)
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-charts]')].every(e => e.dataset.state === 'drawn')"
    )
    page.evaluate("document.fonts.ready")


def small(png: bytes) -> bytes:
    """The picture with 256 colours, which is more than these pages have."""
    out = BytesIO()
    Image.open(BytesIO(png)).convert("RGB").quantize(256, kmeans=1).save(out, "PNG", optimize=True)
    return out.getvalue()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_main_page_has_a_picture(opened, scheme, size, tmp_path, request):
    fleet.settle(timezone.now())
    folder = FOLDER if request.config.getoption("pictures") else tmp_path
    folder.mkdir(exist_ok=True)
    with opened(size, scheme) as page:
        for name, url in PAGES.items():
            settled(page, url)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= size["width"], f"{name} is wider than the screen"
            if size == DESKTOP:  # all of it, with what sticks to the bottom at its bottom
                tall = page.evaluate("document.documentElement.scrollHeight")
                page.set_viewport_size(size | {"height": tall})
            picture = small(page.screenshot())
            page.set_viewport_size(size)
            assert len(picture) < LARGEST_BYTES
            on = "" if size == DESKTOP else "-phone"
            (folder / f"{name}-{scheme}{on}.png").write_bytes(picture)


@pytest.mark.parametrize(("scheme", "size"), [("light", DESKTOP), ("dark", PHONE)])
def test_no_main_page_shuts_anybody_out(opened, scheme, size):
    """By the rules of axe; what it calls serious or critical keeps people from using a page."""
    fleet.settle(timezone.now())
    with opened(size, scheme) as page:
        for name, url in (PAGES | OTHERS).items():
            settled(page, url)
            found = Axe().run(page).response["violations"]
            bad = [
                (name, rule["id"], [node["html"][:200] for node in rule["nodes"]])
                for rule in found
                if rule["impact"] in {"serious", "critical"}
            ]
            assert bad == []
