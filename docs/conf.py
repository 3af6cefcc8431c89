"""Sphinx's settings: ``sphinx-build -W docs build/docs``."""

import os
import sys
from pathlib import Path

os.environ["CYREACTOR_BACKEND"] = "pure"  # whose signatures Sphinx can read
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import cyreactor

project = "cyreactor"
author = "The cyreactor authors"
project_copyright = author
version = release = cyreactor.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "furo"
html_title = f"cyreactor {version}"
html_show_sphinx = False
