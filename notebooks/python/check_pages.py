"""Check the pages that scripts/notebooks wrote: figures with their texts, marking and caveats, nothing from elsewhere.

Run: python check_pages.py RELEASES PAGES
"""

import json
import sys
from pathlib import Path

from bs4 import BeautifulSoup

releases, pages = map(Path, sys.argv[1:])
months = sorted(releases.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]"))
month = sorted(folder for folder in months[-1].iterdir() if folder.is_dir()) if months else []
read = {
    "template": [releases / "by_county", releases / "by_birth_year"],
    "libraries": [folder for folder in month if folder.name == "by_county"],
    "monthly": month,
}
# Of a month, each release has a figure, the counties a map, too, and two months side by side one more.
drawn = {"template": 4, "libraries": 0, "monthly": len(month) + 1 + (len(months) > 1)}

for page in sorted(pages.glob("*-python.html")) + sorted(pages.glob("*-r.html")):
    name = page.stem.split("-")[0]
    metadata = [json.loads((release / "release.json").read_text(encoding="utf-8")) for release in read[name]]
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    text = " ".join(soup.get_text(" ").split())
    figures = [image for image in soup("img") if image["src"].startswith("data:image/png")]
    away = [tag for tag in soup(["script", "img", "iframe"], src=True) if not tag["src"].startswith("data:")]
    away += [tag for tag in soup("link", href=True) if not tag["href"].startswith("data:")]
    for what, holds in {
        f"{drawn[name]} figures, each described in words": len(figures) == drawn[name]
        and all("suppressed" in image.get("alt", "") for image in figures),
        "marking and caveats": all(" ".join(line.split()) in text for m in metadata for line in (m["marking"], *m["caveats"])),
        "loads nothing from elsewhere": not away,
    }.items():
        if not holds:
            sys.exit(f"failed: {page.name}: {what}")
        print(f"ok  {page.name}: {what}")
