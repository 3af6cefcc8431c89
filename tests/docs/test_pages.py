"""What the pages of docs/ say is so."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
import snippets
from snippets import BLOCK, DOCS

# Followed where the programs are that it is about: tests/programs.
ELSEWHERE = {"howto/asyncio.md"}

PAGES = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ELSEWHERE])
def test_page(page, tmp_path):
    snippets.follow(DOCS / page, tmp_path)


def test_the_tutorial_is_run_as_a_whole():
    kinds = {block["kind"] for block in BLOCK.finditer((DOCS / "tutorial.md").read_text())}
    assert kinds == {"python", "pycon", "console", "text"}


@pytest.mark.parametrize("module", ["", ".framing", ".http", ".resp", ".testing"])
def test_the_reference_has_every_public_name(module):
    text = "".join(page.read_text() for page in DOCS.glob("reference/*.md"))
    submodules = {"framing", "resp"}
    names = set(import_module(f"cyreactor{module}").__all__) - submodules
    assert {name for name in names if not re.search(rf"^\.\. .*\b{name}$", text, re.MULTILINE)} == set()


def test_a_page_that_is_wrong_fails(tmp_path):
    page = tmp_path / "page.md"
    for wrong in ("```pycon\n>>> 1\n2\n```\n", "```console\n$ echo one\ntwo\n```\n", "```ruby\n```\n"):
        page.write_text(wrong)
        with pytest.raises(AssertionError):
            snippets.follow(page, tmp_path)
