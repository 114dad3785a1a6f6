"""The page in a real browser, over the demo's data."""

import json
import os
import re

from harness import ROOT, check, equal, wait_for

EDGES = [["nginx", "shop.py"], ["shop.py", "stock.py"], ["stock.py", "redis-server"], ["shop.py", "prices"], ["prices", "postgres"]]
SCREENSHOTS = ROOT / "target/screenshots"


def test_page(t):
    """What a person does: see `web/e2e/browser.mjs`. Its screenshots are in target/screenshots, to be looked at."""
    hadal = t.hadal().ready()
    mine = t.endless_demo(40)
    wait_for("rows", lambda: hadal.value(f"SELECT count() FROM l7_flow_log WHERE {mine}") > 1000, 40)
    node = t.spawn(
        "browser",
        ["node", "e2e/browser.mjs"],
        cwd=ROOT / "web",
        env={
            "HADAL_URL": f"http://127.0.0.1:{hadal.http}",
            "HADAL_EXPECT_EDGES": json.dumps(EDGES),
            "HADAL_SCREENSHOTS": str(SCREENSHOTS),
        },
    )
    code = node.wait(int(os.environ.get("HADAL_BROWSER_SECONDS", "360")))
    failures = re.findall(r"^not ok .*(?:\n {4}.*)*", node.output(), re.MULTILINE)
    check(
        code == 0 and re.search(r"^\d+ passed, 0 failed$", node.output(), re.MULTILINE),
        "\n".join(failures) or node.output()[-1500:],
    )
    equal(len(list(SCREENSHOTS.glob("*.png"))) >= 40, True, "enough screenshots")
