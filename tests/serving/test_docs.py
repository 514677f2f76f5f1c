"""The Python on the page of docs runs against a server, and prints what is shown."""

import re
import subprocess
import sys
from pathlib import Path

from .stand_in import StandIn

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
SAID = "The first programmer."


def test_the_snippets_run_and_print_what_is_shown(serving):
    found = ' [Person("Ada Lovelace"), City("London")]'
    running = serving(StandIn(lambda wanted: found if wanted.constraint else SAID))
    codes = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (shown,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    outputs = []
    for code in codes:
        local = code.replace("http://localhost:8000", running.url)
        done = subprocess.run([sys.executable, "-c", local], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert outputs == [shown, f"{SAID}\n"]


def test_every_route_and_figure_on_the_page_exists(serving):
    running = serving()
    paths = set(running.client.get("/openapi.json").json()["paths"])
    for path in set(re.findall(r"`(?:POST )?(/v1/[\w/]+|/health|/ready|/metrics)`", PAGE)):
        assert path in paths
    figures = running.client.get("/metrics").text
    for name in re.findall(r"`(kcx_\w+)`", PAGE):
        assert f"{name.removesuffix('_total')}" in figures
