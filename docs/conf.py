"""The docs site, built by scripts/docs: Markdown that can be read on its own, made into pages that need no network.

Sphinx, because it is maintained, renders notebooks and docstrings, checks links and anchors, and has a search that
works from files. MkDocs 1 and its Material theme are no longer maintained (November 2026); their successors are young.
"""

import typer
from typer.cli import get_docs_for_click

import kcx_jax
from kcx_jax.cli.app import app as kcx

project = "kcx_jax"
author = "the kcx_jax contributors"
release = kcx_jax.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}

# Links between pages name headings as GitHub does.
myst_heading_anchors = 4
myst_linkify_fuzzy_links = False

# Notebooks are stored without outputs and run anew for each build, in a folder of their own.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 60  # seconds a cell
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_render_markdown_format = "gfm"  # tables

# Docstrings are plain prose with `names` in it: a name that has an entry becomes a link.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
python_maximum_signature_line_length = 100
add_module_names = False
toc_object_entries_show_parents = "hide"

highlight_language = "text"  # of blocks without a language
html_theme = "furo"
html_title = "kcx_jax"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_search_summary = False  # browsers let no page that is a file read another
html_show_copyright = False
html_show_sphinx = False


def setup(app):
    """Sphinx calls it."""
    app.connect("source-read", _append_commands)
    app.connect("autodoc-process-signature", _readable_defaults)


def _append_commands(app, page, source):
    """The page of the command line goes on with every command, as typer tells of it."""
    if page == "reference/commands":
        group = typer.main.get_command(kcx)
        told = get_docs_for_click(obj=group, ctx=typer.Context(group), name="kcx", indent=1)
        source[0] += "\n" + told


def _readable_defaults(app, what, name, object_, options, signature, returns):
    """A dataclass's `<factory>` is no Python, and would keep a signature from being read."""
    return signature and signature.replace("<factory>", "..."), returns
