"""The page that lists a directory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from html import escape
from urllib.parse import quote

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
<h1>{title}</h1>
<ul>
{items}
</ul>
{note}</body>
</html>
"""


def page(path: str, names: Iterable[str], *, complete: bool) -> bytes:
    """A page about the directory that is served as ``path``, with a link for each name.

    Names end in a slash where they are directories; those that are no UTF-8 are shown with
    replacement characters and linked byte for byte.
    """
    items = [f'<li><a href="{quote(os.fsencode(name))}">{_text(name)}</a></li>' for name in names]
    if path != "/":
        items.insert(0, '<li><a href="../">../</a></li>')
    note = "" if complete else "<p>There are more files than this page lists.</p>\n"
    html = _PAGE.format(title=f"Index of {_text(path)}", items="\n".join(items), note=note)
    return html.encode()


def _text(name: str) -> str:
    return escape(os.fsencode(name).decode("utf-8", "replace"))
