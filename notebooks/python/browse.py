"""Write docs/notebooks from the notebooks as they were run, or check that it was written from them as they are.

Run: python browse.py write ROOT MADE, or python browse.py check ROOT
MADE has python-NAME.md with its pictures, and r/NAME.md with its folder of pictures.
"""

import hashlib
import io
import os
import re
import sys
from pathlib import Path

import numpy as np
from PIL import Image

task, root, *made = sys.argv[1:]
notebooks, pages = Path(root) / "notebooks", Path(root) / "docs" / "notebooks"
SOURCES = {
    **{f"python-{name}": [f"python/{name}.py", "python/phds_release/*.py"] for name in ("template", "libraries", "monthly")},
    **{f"r-{name}": [f"r/{name}.Rmd", "r/phds_*.R"] for name in ("template", "monthly")},
}
LEFT_BY_PANDAS = re.compile(r"<style scoped>.*?</style>\s*|^ *<div>\n|^ *</div>\n|^<!-- -->\n", re.DOTALL | re.MULTILINE)


def fingerprint(page):
    """SHA-256 of the texts that a page is made of."""
    files = [file for pattern in SOURCES[page] for file in sorted(notebooks.glob(pattern))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def shrink(picture):
    """A picture in its 128 most frequent colours, which are those of its marks: a third of its bytes."""
    dots = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    packed, which, often = np.unique(dots @ [65536, 256, 1], return_inverse=True, return_counts=True)
    colours = np.stack([packed // 65536, packed // 256 % 256, packed % 256], axis=1)
    kept = colours[np.argsort(-often, kind="stable")[:128]]
    nearest = np.abs(colours[:, None] - kept[None]).sum(axis=2).argmin(axis=1).astype(np.uint8)
    image = Image.fromarray(nearest[which].reshape(dots.shape[:2]), "P")
    image.putpalette(kept.astype(np.uint8).tobytes())
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def write(folder):
    """All pages and their pictures, in place of those that were there."""
    pages.mkdir(parents=True, exist_ok=True)
    for old in [*pages.glob("*.png"), *(pages / f"{page}.md" for page in SOURCES)]:
        old.unlink(missing_ok=True)
    for page in SOURCES:
        language, name = page.split("-")
        file = folder / "r" / f"{name}.md" if language == "r" else folder / f"{page}.md"
        text = LEFT_BY_PANDAS.sub("", file.read_text(encoding="utf-8"))
        pictures = re.findall(r'(?:!\[[^\]]*\]\(|src=")([^)"\s]+\.png)', text)
        for at, picture in enumerate(dict.fromkeys(pictures), 1):
            new = f"{page}-{at}.png"
            (pages / new).write_bytes(shrink((file.parent / picture).read_bytes()))
            text = text.replace(picture, new)
        if language == "r":
            title = re.search(r'^title: "(.*)"$', (notebooks / f"r/{name}.Rmd").read_text(encoding="utf-8"), re.MULTILINE)
            text = f"# {title[1]}\n\n{text}"
        source = SOURCES[page][0]
        head = f"<!-- Written by scripts/notebooks render from notebooks/{source}, of synthetic people. {fingerprint(page)} -->\n"
        (pages / f"{page}.md").write_text(head + text.strip() + "\n", encoding="utf-8")


if task == "write":
    os.umask(0o022)  # these are for everybody, unlike the pages of a department
    write(Path(made[0]))
    sys.exit()
for page in SOURCES:
    file = pages / f"{page}.md"
    if not file.is_file() or fingerprint(page) not in file.read_text(encoding="utf-8").split("\n", 1)[0]:
        sys.exit(f"failed: docs/notebooks/{page}.md is not of the notebook as it is\nhint: run `scripts/notebooks render demo/releases`")
    for picture in re.findall(rf"{page}-[0-9]+\.png", file.read_text(encoding="utf-8")):
        if not (pages / picture).is_file():
            sys.exit(f"failed: docs/notebooks/{page}.md has no {picture}")
    print(f"ok  docs/notebooks/{page}.md: written from the notebook as it is")
