"""Check NAME.ipynb against NAME.py, execute it, and write it as a page, and on request for docs/notebooks.

Run from a copy of this folder: python check_notebook.py NAME PAGE.html [FOLDER]
With FOLDER, also FOLDER/python-NAME.md and a picture for each figure.
"""

import re
import sys
from pathlib import Path

import jupytext
import nbformat
from bs4 import BeautifulSoup
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter, MarkdownExporter
from traitlets.config import Config

name, page_file, *folder = sys.argv[1:]


def check(what, holds, hint=""):
    """Say what holds, or stop."""
    if not holds:
        raise SystemExit(f"failed: {name}: {what}" + (f"\nhint: {hint}" if hint else ""))
    print(f"ok  {name}, python: {what}", flush=True)


def cells(notebook):
    """Kind and text of each cell."""
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


notebook = nbformat.read(f"{name}.ipynb", as_version=4)
text = jupytext.read(f"{name}.py")
sync = f"in notebooks/python: jupytext --sync {name}.ipynb, then jupyter nbconvert --clear-output --inplace {name}.ipynb"
check("the notebook and its text are the same", cells(notebook) == cells(text), sync)
check("its kernel is python3", notebook.metadata.kernelspec.name == text.metadata.kernelspec.name == "python3")
stored = [cell for cell in notebook.cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)]
check("no outputs are stored", not stored, sync)
nbformat.validate(notebook)

# A kernel on Unix sockets: what it shows may be internal, and TCP would be open to the machine's other users.
client = NotebookClient(notebook, timeout=300, config=Config({"KernelManager": {"transport": "ipc"}}))
try:
    client.execute()
except CellExecutionError as error:
    raise SystemExit(f"failed: {name}: {error.ename}: {error.evalue}") from None
check("runs from top to bottom", True)

page, _ = HTMLExporter(template_name="classic").from_notebook_node(notebook, {"metadata": {"name": name}})
soup = BeautifulSoup(page, "html.parser")
for script in soup("script"):  # the page shows pictures and text; it needs no script and nothing from the network
    script.decompose()
Path(page_file).write_text(str(soup), encoding="utf-8")
outside = [tag for tag in soup(src=True) if not tag["src"].startswith("data:")] + soup("link")
check("the page loads nothing from elsewhere", not outside and not re.search(r"@import|url\(['\"]?https?:", str(soup)))

if folder:
    alts = [
        output.metadata["image/png"]["alt"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    markdown, resources = MarkdownExporter().from_notebook_node(notebook)
    for at, ((old, picture), alt) in enumerate(zip(resources["outputs"].items(), alts, strict=True), 1):
        new = f"python-{name}-{at}.png"
        (Path(folder[0]) / new).write_bytes(picture)
        markdown = markdown.replace(f"![png]({old})", f"![{alt}]({new})")
    (Path(folder[0]) / f"python-{name}.md").write_text(markdown, encoding="utf-8")
