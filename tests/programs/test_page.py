"""What the documentation says of other people's programs is so."""

from __future__ import annotations

import snippets


def test_page(tmp_path):
    snippets.follow(snippets.DOCS / "howto" / "asyncio.md", tmp_path)
