"""Every snippet in README and docs is executed: the blocks of one page in order, in one folder of its own.

```python and ```sh blocks run; other languages are shown only. A block that cannot run here is preceded by a line
`<!-- not run: the reason -->`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from exprag import hookspecs
from exprag.plugins import KINDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?P<skip><!-- not run: [^\n]+ -->\n+)?^```(?P<language>python|sh)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL
)


def blocks(page: Path) -> list[tuple[str, str]]:
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [(hit["language"], hit["code"]) for hit in found if not hit["skip"]]


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if p.exists() and blocks(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_snippets_run(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    code, told = blocks(page), page.read_text(encoding="utf-8")
    data = {}
    if "ALFWORLD_DATA" in told:
        data["ALFWORLD_DATA"] = str(request.getfixturevalue("alfworld_full"))
    if "WEBSHOP_DATA" in told:
        data["WEBSHOP_DATA"] = str(request.getfixturevalue("shared") / "webshop")
    # One script a page: python blocks share their names, shell blocks see the files of the blocks before.
    script = ["import subprocess, sys"]
    for language, text in code:
        if language == "sh":
            script.append(f"subprocess.run(['bash', '-euo', 'pipefail', '-c', {text!r}], check=True)")
        else:
            script.append(text)
    (tmp_path / "page.py").write_text("\n".join(script))
    env = {**os.environ, **data, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "140"}
    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("hook", KINDS.values())
def test_every_hook_is_documented(hook: str) -> None:
    guide = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert re.search(rf"^#+ .*`{hook}`", guide, re.MULTILINE)
    assert getattr(hookspecs, hook).__doc__
