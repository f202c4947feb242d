"""Figures of releases that carry what must travel with them, and the facts of a release as a table.

Each figure has its marking, measure, denominator, as-of date, source and caveats, so that it can be pasted elsewhere
without losing them. What is withheld is hatched, because nothing is said about where the value lies. It is never drawn
as zero. Marks differ in shape or hatch, not in colour alone; the colours are those of Okabe and Ito, and one blue.

A figure takes a `Release` and draws all of it. `rows` chooses: a frame of some rows of `release.to_pandas()`.
"""

from __future__ import annotations

import csv
import html
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from textwrap import fill
from typing import Any, Literal

import matplotlib.patheffects
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML, display
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline

from . import WITH_NUMBERS, Release, ReleaseError
from .frame import Frame

Row = Mapping[str, Any]

plt.rcParams.update({"figure.dpi": 120, "font.size": 9, "hatch.linewidth": 0.6, "axes.axisbelow": True})
BLUE, ORANGE, GREEN, GREY, PALE, INK, SOFT = "#0072B2", "#D55E00", "#009E73", "#8C8C8C", "#F2F2F2", "#222222", "#595959"
CLASSES = ["#d0e1f2", "#9ecae1", "#62a8d3", "#2474b7", "#08427e"]  # light to dark: they differ in print without colour, too
HALO = [matplotlib.patheffects.withStroke(linewidth=2.5, foreground="white")]
LOOKS: dict[str, dict[str, Any]] = {
    "shown": {"marker": "o"},
    "zero": {"marker": "D", "mfc": "white"},
    "unreliable": {"marker": "o", "mfc": "white"},
}
WITHHELD = {"suppressed": "/////", "not_applicable": ""}
MEANINGS = {
    "zero": "zero (counted, not suppressed)",
    "unreliable": "unreliable (fewer than 30 clients, or a wide interval)",
    "suppressed": "suppressed (withheld to protect small groups; not zero)",
    "not_applicable": "not applicable (nobody in the denominator)",
}


# --- What the numbers are -----------------------------------------------------------------------


def describe(release: Release, unlike: Release | None = None) -> None:
    """Show the facts of a release; beside another release, only those that differ, and caveats that are new."""
    known = dict(facts(unlike)) if unlike else {}
    rows = ""
    for label, text in facts(release):
        if unlike and label == "Caveats":
            label, text = "Further caveats", [caveat for caveat in text if caveat not in known[label]]
        if text and known.get(label) != text:
            lines = text if isinstance(text, list) else [text]
            cell = "<br>".join(html.escape(str(line)) for line in lines)
            rows += f"<tr><th style='text-align:left;vertical-align:top;white-space:nowrap'>{label}</th><td style='text-align:left;overflow-wrap:anywhere'>{cell}</td></tr>"
    marking = f"<p style='border:2px solid;padding:.4em;font-weight:bold'>{html.escape(release.metadata['marking'])}</p>"
    display(HTML(f"{marking}<table>{rows}</table>"))


def facts(release: Release) -> Iterable[tuple[str, Any]]:
    """The text that must travel with the numbers, as (label, text) pairs."""
    m = release.metadata
    measure, cohort = m.get("measure", {}), m["cohort"]
    yield "Indicator", f"{m['indicator']}: {m['indicator_definition']}"
    if measure:
        yield "Measure", f"{measure['title']} ({measure['id']}, version {measure['version']})"
        yield "What counts", measure["definition"]
        yield "Source of the definition", measure.get("source")
    yield "From", m.get("from_measure", {}).get("title")
    yield "Cohort", f"{cohort['description']}; as of {cohort['as_of']}"
    yield "Denominator", [f"{d['source']}: {d['description']}" for d in m["denominators"]]
    yield "Organizations", [f"{rule['rule']}: {rule['description']}" for rule in m.get("attributions", [])]
    yield "Only", "; ".join(f"{where['dimension']}: {', '.join(where['values'])}" for where in m["where"])
    yield "Interval", interval(release)
    yield "Reporting period", m["reporting_period"]
    yield "Rows", ", ".join(f"{count} {word(status)}" for status, count in release.statuses.items())
    yield "Suppression", f"k = {m['disclosure']['k']}, audience {m['audience']}"
    yield "Caveats", release.caveats
    yield "Release", f"{m['release_id']}, by {m['tool']['name']} {m['tool']['version']}"
    for part in ("measure", "dictionary", "rules", "disclosure"):
        yield f"Fingerprint: {part}", m.get(part, {}).get("fingerprint")
    yield "SHA-256: delivery", m["delivery"]["sha256"]
    yield "SHA-256: table", m["table"]["sha256"]


def interval(release: Release) -> str:
    """Level and method of the intervals, such as "95 % (Wilson's score)"; nothing when there are none."""
    made = release.metadata.get("interval")
    return f"{made['level'] * 100:g} % ({made['method']})" if made else ""


def rate_and_interval(release: Release) -> str:
    """What the mark of a shown row is."""
    return f"rate and its interval, {interval(release)}"


def percent(share: float) -> str:
    """A share as people read it: 0.685 is "68.5 %"."""
    return f"{100 * share:.1f} %"


def word(name: str) -> str:
    """The name of a status or a dimension in a sentence."""
    return name.replace("_", " ")


def title_of(release: Release, by: str = "") -> str:
    """The title of the measure, and of the dimension `by`."""
    titles = {dimension["id"]: dimension["title"].lower() for dimension in release.metadata["dimensions"]}
    return str(release.metadata["measure"]["title"]) + (f", by {titles.get(by, word(by))}" if by else "")


def rows_of(release: Release, rows: Frame | None = None) -> Frame:
    """The rows to draw. Refuses rows in which somebody has given a withheld one a number."""
    frame = release.to_pandas() if rows is None else rows
    numbers = pd.DataFrame(frame)[[number["name"] for number in release.metadata["numbers"]]]
    if numbers[~frame["status"].isin(WITH_NUMBERS)].notna().any(axis=None):
        raise ReleaseError("a withheld row has got a number on the way\nhint: leave it missing; it is drawn as what it is")
    return frame


# --- The frame of a figure ----------------------------------------------------------------------


def canvas(
    release: Release,
    heading: str,
    note: str = "",
    marks: Sequence[Artist] = (),
    *,
    key_columns: int = 2,
    width: float = 9,
    plot_height: float = 3.6,
    left: float = 0.75,
    right: float = 0.25,
    above: float = 0.3,
    below: float = 0.5,
) -> tuple[Figure, Axes]:
    """A figure and its axes, with all that must travel with the numbers around them. Lengths in inches.

    Above: marking, heading, as-of date, cohort, `note` and a key of `marks`. Below: measure and its source, denominator,
    suppression, caveats.
    """
    m = release.metadata
    measure, cohort = m.get("measure"), m["cohort"]
    denominators = ", ".join(d["source"] for d in m["denominators"])
    if len(m["denominators"]) == 1:
        denominators += f": {m['denominators'][0]['description']}"
    follow = "clients of the cohort, as far as they were followed" if m["indicator"] == "curve" else "none"
    source = f" Source: {measure['source']}." if measure and measure.get("source") else ""
    marking = fill(m["marking"], int(width * 10))
    heading = fill(heading, int(width * 8))
    note = fill(f"As of {cohort['as_of']}. {cohort['description']}. {note.strip()}", int(width * 13))
    facts = [
        f"Measure: {measure['id']}, version {measure['version']}, fingerprint {measure['fingerprint'][:12]}.{source}"
        if measure
        else f"Measure: none. {m['indicator_definition']}",
        f"Denominator: {denominators or follow}.",
        f"Suppression: k = {m['disclosure']['k']}. Release: {m['release_id']}, {m['tool']['name']} {m['tool']['version']}.",
    ]
    foot = "\n".join(fill(line, int(width * 15)) for line in facts)
    caveats = fill(" · ".join(release.caveats), int(width * 17.5))
    heading_down = 0.35 + 0.16 * lines(marking)
    legend_down = heading_down + 0.2 + 0.22 * lines(heading) + 0.18 * lines(note)
    top = legend_down + 0.21 * -(-len(marks) // key_columns) + above
    caveats_up = 0.1 + 0.135 * lines(caveats)
    foot_up = caveats_up + 0.06 + 0.16 * lines(foot)
    bottom = below + 0.3 + foot_up
    height = top + plot_height + bottom

    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes((left / width, bottom / height, 1 - (left + right) / width, plot_height / height))
    axes.spines[["top", "right", "left"]].set_visible(False)

    def write(text: str, down: float, **style: Any) -> None:
        figure.text(0.15 / width, 1 - down / height, text, verticalalignment="top", **{"color": INK, **style})

    write(marking, 0.15, weight="bold", bbox={"boxstyle": "square,pad=0.4", "facecolor": "white", "edgecolor": INK})
    write(heading, heading_down, weight="bold", size=12)
    write(note, heading_down + 0.06 + 0.22 * lines(heading), linespacing=1.4)
    write(foot, height - foot_up, size=8, linespacing=1.4)
    write(caveats, height - caveats_up, size=7, linespacing=1.35, color=SOFT)
    figure.legend(handles=list(marks), loc="upper left", ncols=key_columns, bbox_to_anchor=(0.15 / width, 1 - legend_down / height),
                  frameon=False, borderpad=0, borderaxespad=0, labelspacing=0.45, handlelength=2.4, columnspacing=2)  # fmt: skip
    return figure, axes


def lines(text: str) -> int:
    """How many lines a text has."""
    return text.count("\n") + 1


def show(figure: Figure, description: str, frame: pd.DataFrame) -> None:
    """Show a figure with its text for those who do not see it."""
    withheld = f"{(frame['status'] == 'suppressed').sum()} of {len(frame)} rows are suppressed."
    display(figure, metadata={"image/png": {"alt": f"{description} {withheld}"}})
    plt.close(figure)


def marks_of(frame: pd.DataFrame, shown: str, color: str = BLUE) -> list[Artist]:
    """The key: only the marks that the figure has; `shown` says what a shown one is."""
    labels = {"shown": shown} | MEANINGS
    return [mark(status, labels[status], color) for status in (*LOOKS, *WITHHELD) if (frame["status"] == status).any()]


def mark(status: str, label: str, color: str = BLUE) -> Artist:
    """An entry of a key."""
    if status in WITHHELD:
        return Patch(facecolor=PALE, edgecolor=GREY, hatch=WITHHELD[status], linewidth=0.6, label=label)
    return Line2D([], [], color=color, markersize=5.5, linewidth=1.6, linestyle=line(status), label=label, **LOOKS[status])


def line(status: str) -> Literal[":", "-"]:
    """The line of an interval: dotted when the rate is unreliable."""
    return ":" if status == "unreliable" else "-"


def draw(axes: Axes, position: float, row: Row, *, across: bool, color: str = BLUE, thick: float = 0.62, **look: Any) -> None:
    """One row: a dot with its interval, or a hatched band over all that may be. `across`: rates run along x."""
    if row["status"] in WITHHELD:
        band = axes.barh if across else axes.bar
        band(position, 100, thick, color=PALE, edgecolor=GREY, hatch=WITHHELD[row["status"]], linewidth=0.6)
        return
    look = {"markersize": 5.5} | LOOKS[row["status"]] | look
    span = [] if pd.isna(row["ci_low"]) else [100 * row["ci_low"], 100 * row["ci_high"]]
    for points, style in (
        (([position] * len(span), span), {"linewidth": 1.6, "linestyle": line(row["status"])}),
        (([position], [100 * row["rate"]]), look),
    ):
        axes.plot(*(reversed(points) if across else points), color=color, clip_on=False, zorder=3, **style)


def counts(row: Row) -> str:
    """Numerator and denominator of a row, or why it has none."""
    return word(row["status"]) if row["status"] in WITHHELD else f"{row['numerator']:,} / {row['denominator']:,}"


def percent_axis(axes: Axes, along: Literal["x", "y"], step: int = 20, label: str | None = None, *, low: int = 0) -> None:
    """`low` to 100 % along `x` or `y`."""
    ticks = range(low, 101, step)
    axes.set(**{f"{along}lim": (low, 100), f"{along}label": label})
    axes.set(**{f"{along}ticks": ticks, f"{along}ticklabels": [f"{tick} %" for tick in ticks]})
    axes.tick_params(axis="y", length=0)
    axes.grid(axis=along, color="#DDDDDD", linewidth=0.6)


def one_row_each(frame: Frame, by: str) -> Frame:
    """A figure by one dimension has one row for each of its values."""
    if frame[by].duplicated().any():
        raise ReleaseError(
            f"this figure has one row for each {by}; the table has several\nhint: choose one value of each other column first"
        )
    return frame


def all_withheld(frame: Frame, release: Release, heading: str) -> bool:
    """Whether no row has numbers; then the figure says that."""
    if frame["status"].isin(WITH_NUMBERS).any():
        return False
    figure, axes = canvas(
        release, heading, f"All {len(frame)} rows are withheld.", [mark("suppressed", MEANINGS["suppressed"])], plot_height=0.6
    )
    axes.bar(0.5, 1, 1, color=PALE, edgecolor=GREY, hatch=WITHHELD["suppressed"], linewidth=0.6)
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
    show(figure, f"{heading}.", frame)
    return True


# --- Rates --------------------------------------------------------------------------------------


def rates_by_row(
    release: Release, by: str, heading: str = "", note: str = "", *, rows: Frame | None = None, most: int = 40, order: str = "rate"
) -> None:
    """Rates with intervals, a row for each place or group; `order` is "rate" or "name". At most `most` rows, the largest."""
    frame, heading = rows_of(release, rows), heading or title_of(release, by)
    if all_withheld(frame, release, heading):
        return
    table = one_row_each(frame, by)
    if len(table) > most:
        told = table[table["denominator"].notna()]
        withheld = ", ".join(f"{count} {word(status)}" for status in WITHHELD if (count := (table["status"] == status).sum()))
        note += f" Drawn: the {min(most, len(told))} with the largest denominators, of {len(table)} rows. Not drawn because withheld: {withheld or 'none'}."
        table = told.sort_values("denominator", ascending=False, kind="stable").head(most)
    table = table.sort_values(by, kind="stable")
    if order == "rate":
        table = table.sort_values("rate", ascending=False, kind="stable", na_position="last")
    table = table.sort_values(by, key=lambda names: names == "Unknown", kind="stable")  # Unknown last

    figure, axes = canvas(
        release, heading, note, marks_of(table, rate_and_interval(release)), key_columns=1, plot_height=0.235 * max(len(table), 3),
        left=1.6, right=2.6,
    )  # fmt: skip
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "verticalalignment": "center_baseline", "color": INK}
    for position, row in enumerate(table.to_dict("records")):
        draw(axes, position, row, across=True)
        if row["status"] in WITHHELD:
            axes.text(1.04, position, counts(row), **beside)
        else:
            axes.text(1.15, position, percent(row["rate"]), ha="right", **beside)
            axes.text(1.19, position, counts(row), **beside)
    axes.text(1.15, -1, "rate", weight="bold", size=8, ha="right", **beside)
    axes.text(1.19, -1, "numerator / denominator", weight="bold", size=8, **beside)
    axes.set_yticks(range(len(table)), table[by])
    percent_axis(axes, "x", 10, "Rate (numerator / denominator)")
    axes.set(ylim=(len(table) - 0.4, -0.6))
    axes.tick_params(axis="y", pad=8)
    show(figure, f"{heading}, with intervals.", frame)


def rates_over_time(release: Release, by: str, heading: str = "", note: str = "", *, rows: Frame | None = None) -> None:
    """Rates with intervals, along years or quarters. Unjoined: each is another cohort, and a suppressed one has no place on a line."""
    frame, heading = rows_of(release, rows), heading or title_of(release, by)
    table = one_row_each(frame, by).sort_values(by, kind="stable")  # "Unknown" sorts after digits
    width = min(max(9, 0.68 * len(table) + 1), 16)
    places = max(len(table), 5)  # room for five at least: one band is not a wall
    marks = marks_of(table, rate_and_interval(release))
    figure, axes = canvas(release, heading, note, marks, key_columns=1, width=width, below=0.75)
    for position, row in enumerate(table.to_dict("records")):
        draw(axes, position, row, across=False)
        if row["status"] not in WITHHELD:
            axes.annotate(
                f"{100 * row['rate']:.0f}", (position, 100 * row["rate"]), (6, -3), textcoords="offset points", size=8, color=INK,
                path_effects=HALO,
            )  # fmt: skip
    labels = [f"{row[by]}\n{counts(row)}".replace("-", "\n", 1).replace(" / ", " /\n") for row in table.to_dict("records")]
    axes.set_xticks(range(len(table)), labels, size=8)
    percent_axis(axes, "y", 20, "Rate")
    axes.set(xlim=(-0.5, places - 0.5))
    show(figure, f"{heading}, with intervals.", frame)


# --- A map --------------------------------------------------------------------------------------


def shapes_file(by: str) -> Path:
    """The built-in shapes of a dimension: county or region. An installed package has them beside it, a checkout above it."""
    here = Path(__file__).resolve()
    candidates = [here.with_name(f"{by}.csv"), here.parents[3] / "dictionaries" / "phds" / "shapes" / f"{by}.csv"]
    for file in candidates:
        if file.is_file():
            return file
    raise ReleaseError(
        f"no shapes for {by}: {candidates[-1]} is not there\n"
        "hint: `pip install notebooks/python/phds_release`, in a checkout of phds, brings those of county and region; "
        "or name a file of labels and rings with `shapes`"
    )


def read_shapes(file: Path) -> dict[str, list[list[tuple[float, float]]]]:
    """Label → rings of longitudes and latitudes in degrees. `dictionaries/phds/shapes/README.md` has the form of the file."""
    shapes = {}
    for entry in csv.DictReader(file.read_text(encoding="utf-8").splitlines()):
        rings = []
        for ring in entry["rings"].split(";"):
            steps = [int(step) / 1000 for step in ring.split()]
            rings.append(list(zip(accumulate(steps[::2]), accumulate(steps[1::2]))))
        shapes[entry["label"]] = rings
    return shapes


def classes_of(rates: Iterable[float]) -> list[int]:
    """Bounds in percent of at most five classes of one width, of 1, 2, 5, 10 or 20 percent, around all rates."""
    shares = [100 * rate for rate in rates]
    for step in (1, 2, 5, 10, 20):
        low, high = math.floor(min(shares) / step) * step, max(math.ceil(max(shares) / step) * step, step)
        if (high - low) // step <= len(CLASSES):
            break
    return list(range(low, max(high, low + step) + 1, step))


def middle_of(ring: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    """The centre of area of a ring (by the shoelace formula), and the width and height of its box; in degrees."""
    x0, y0 = ring[0]
    doubled = sum_x = sum_y = 0.0
    for (xa, ya), (xb, yb) in zip(ring, [*ring[1:], ring[0]]):
        xa, ya, xb, yb = xa - x0, ya - y0, xb - x0, yb - y0
        cross = xa * yb - xb * ya
        doubled, sum_x, sum_y = doubled + cross, sum_x + (xa + xb) * cross, sum_y + (ya + yb) * cross
    wide, high = (max(along) - min(along) for along in zip(*ring))
    return x0 + sum_x / (3 * doubled), y0 + sum_y / (3 * doubled), wide, high


def rates_on_map(
    release: Release, by: str = "county", heading: str = "", note: str = "", *, rows: Frame | None = None, shapes: Path | None = None
) -> None:
    """A map of rates in at most five classes; suppressed places are hatched. `shapes`: a file like the built-in ones."""
    frame, heading = rows_of(release, rows), heading or title_of(release, by)
    if all_withheld(frame, release, heading):
        return
    places = read_shapes(shapes or shapes_file(by))
    values = {row[by]: row for row in one_row_each(frame, by).to_dict("records")}
    bounds = classes_of(row["rate"] for row in values.values() if row["status"] in WITH_NUMBERS)
    digits = 0 if bounds[1] - bounds[0] >= 5 else 1  # as many as tell the classes apart
    steps = [round(at * (len(CLASSES) - 1) / max(len(bounds) - 2, 1)) for at in range(len(bounds) - 1)]

    asked = [point for label, rings in places.items() if label in values for ring in rings for point in ring] or [(0, 0)]
    (west, east), (south, north) = ((min(along), max(along)) for along in zip(*asked))
    margin = 0.03 * max(east - west, north - south, 2)
    scale = 1 / math.cos(math.radians((south + north) / 2))  # a degree of latitude in those of longitude
    plot_width = 8.6
    plot_height = min(plot_width * (north - south + 2 * margin) * scale / (east - west + 2 * margin), 7.2)
    inch = plot_height / (north - south + 2 * margin)  # of one degree of latitude
    unmapped = sorted(set(values) - set(places))
    note += " Numbers on the map are percent."
    note += f" Not on the map: {', '.join(unmapped)}." if unmapped else ""

    marks: list[Artist] = [
        Patch(facecolor=CLASSES[step], edgecolor="white", label=f"{low} to {high} %") for step, low, high in zip(steps, bounds, bounds[1:])
    ]
    present = [status for status in ("unreliable", *WITHHELD) if any(row["status"] == status for row in values.values())]
    marks += [
        Patch(facecolor="white", edgecolor=INK, linestyle=":", label="unreliable") if status == "unreliable"
        else mark(status, f"{word(status)}, not zero" if status == "suppressed" else MEANINGS[status])
        for status in present
    ]  # fmt: skip
    if set(places) - set(values):
        marks.append(Patch(facecolor="white", edgecolor=GREY, linewidth=0.4, label="not in the table"))
    figure, axes = canvas(release, heading, note, marks, key_columns=4, plot_height=plot_height, left=0.2, right=0.2, below=0, above=0.15)
    axes.set(xlim=(west - margin, east + margin), ylim=(south - margin, north + margin), aspect=scale, xticks=[], yticks=[])
    axes.spines["bottom"].set_visible(False)
    named = len(values) <= 60  # of more places, few names would have room, and those by chance
    for label, rings in places.items():
        row = values.get(label)
        outline = Outline.make_compound_path(*(Outline(ring + ring[:1], closed=True) for ring in rings))
        if row is None:
            axes.add_patch(PathPatch(outline, facecolor="white", edgecolor=GREY, linewidth=0.4))
            continue
        if row["status"] in WITHHELD:
            hatch = WITHHELD[row["status"]]
            axes.add_patch(PathPatch(outline, facecolor=PALE, edgecolor=GREY, hatch=hatch, linewidth=0.4, zorder=2))
            continue
        at = min(max(sum(100 * row["rate"] >= bound for bound in bounds) - 1, 0), len(steps) - 1)
        dotted = {"edgecolor": INK, "linestyle": ":", "linewidth": 1.1, "zorder": 4} if row["status"] == "unreliable" else {}
        axes.add_patch(
            PathPatch(outline, **{"facecolor": CLASSES[steps[at]], "edgecolor": "white", "linewidth": 0.6, "zorder": 3, **dotted})
        )
        x, y, wide, high = middle_of(max(rings, key=len))
        text, room = f"{100 * row['rate']:.{digits}f}", wide * inch / scale
        if named and room > 0.09 * len(label) and high * inch > 0.3:
            text = f"{label}\n{text}"
        if room > 0.27 + 0.07 * digits and high * inch > 0.14:
            axes.text(x, y, text, size=7, ha="center", va="center", zorder=5, color="white" if steps[at] >= 3 else INK, clip_on=True)
    show(figure, f"Map: {heading}.", frame)


# --- Figures of one kind of release -------------------------------------------------------------


def funnel(release: Release, by: str = "organization", heading: str = "") -> None:
    """Rates by size between the limits of the release, within which they would lie by chance alone. Needs `--funnel`."""
    frame, heading = rows_of(release), heading or title_of(release, by)
    if all_withheld(frame, release, heading):
        return
    limits, facts = frame.dropna(subset="rate").sort_values("denominator"), release.metadata["funnel"]
    withheld = (frame["status"] == "suppressed").sum()
    note = f"{withheld} of {len(frame)} rows are suppressed and have no place in the figure. " \
           f"The share of the {facts['organizations']} shown ones together: {percent(facts['target'])}."  # fmt: skip
    if facts["factor_applied"] > 1:
        note += f" They differ more than by chance ({facts['overdispersion']:.2f} times); the limits are widened for it."
    # The figure begins where something is: a dot has no length that a cut axis would falsify.
    lowest = min([*limits["rate"], *limits.loc[limits["status"] == "shown", "limit_998_low"]])
    low = max(0, math.floor(10 * lowest) * 10 - 10)
    figure, axes = canvas(release, heading, note, marks_of(limits, "rate"), right=1.05, plot_height=4)
    for name, style, text in (
        ("limit_95_low", "-", "95 % limits"), ("limit_95_high", "-", ""), ("limit_998_low", "--", "99.8 % limits"), ("limit_998_high", "--", ""),
    ):  # fmt: skip
        axes.plot(limits["denominator"], 100 * limits[name], color=GREY, linewidth=1, linestyle=style)
        aside = -9 if name == "limit_998_low" else 0
        end = limits["denominator"].max(), 100 * limits[name].iloc[-1]
        axes.annotate(text, end, (8, aside), textcoords="offset points", size=8, va="center", color=SOFT)
    axes.axhline(100 * facts["target"], color=INK, linewidth=1)
    axes.annotate(
        f"all shown: {percent(facts['target'])}", (1, 100 * facts["target"]), (2, 3), xycoords=axes.get_yaxis_transform(),
        textcoords="offset points", size=8, annotation_clip=False,
    )  # fmt: skip
    outside = (limits["rate"] < limits["limit_998_low"]) | (limits["rate"] > limits["limit_998_high"])
    for row, is_outside in zip(limits.to_dict("records"), outside):
        axes.plot(row["denominator"], 100 * row["rate"], color=BLUE, clip_on=False, zorder=3, markersize=5.5, **LOOKS[row["status"]])
        if is_outside:
            axes.annotate(row[by], (row["denominator"], 100 * row["rate"]), (6, -2), textcoords="offset points", size=8, path_effects=HALO)
    percent_axis(axes, "y", 10, "Rate", low=low)
    ends = min(10, limits["denominator"].min()), max(20, limits["denominator"].max())
    axes.set(xscale="log", xlim=(ends[0] / 1.1, ends[1] * 1.1), xlabel="Denominator (clients), on a logarithmic scale")
    ticks = [n for n in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000) if n <= ends[1]]
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axes.minorticks_off()
    show(figure, f"Funnel: {heading}, with limits.", frame)


def broken(curve: pd.DataFrame) -> pd.DataFrame:
    """The rows of a curve, with a break where months of age are told together and it rises by more than a point meanwhile."""
    apart = (curve["age_months"].diff() > 1) & (curve["rate"].diff() > 0.01)
    breaks = curve[["age_months"]].shift()[apart]
    return pd.concat([curve, breaks]).sort_values("age_months", kind="stable")


def curves(release: Release, by: str) -> None:
    """The share up to date by age, a curve for each value of `by`."""
    frame, heading = rows_of(release), f"{title_of(release)}: up to date by age"
    if all_withheld(frame, release, heading):
        return
    told = frame.dropna(subset="rate")
    groups = sorted(told[by].unique())
    note = (
        "Where a curve ends, what follows is not told. Shaded: the interval of each curve. "
        "Where months are told together, it rises somewhere between two dots, and no line is drawn."
    )
    colors = [plt.cm.viridis(0.9 * at / max(1, len(groups) - 1)) for at in range(len(groups))]
    dashes: list[Any] = ["-", "--", "-.", ":"]
    marks: list[Artist] = [
        Line2D([], [], color=color, linestyle=dashes[at % 4], label=group) for at, (group, color) in enumerate(zip(groups, colors))
    ]
    withheld = sorted(set(frame[by]) - set(groups))
    marks += [mark("suppressed", f"suppressed: {', '.join(withheld)}")] if withheld else []
    figure, axes = canvas(release, heading, note, marks, key_columns=8)
    for at, (group, color) in enumerate(zip(groups, colors)):
        curve = broken(told[told[by] == group])
        axes.step(
            curve["age_months"], 100 * curve["rate"], where="post", color=color, linestyle=dashes[at % 4], linewidth=1.5, marker="o",
            markersize=2.5,
        )  # fmt: skip
        axes.fill_between(
            curve["age_months"].astype(int),
            100 * curve["ci_low"].astype(float),
            100 * curve["ci_high"].astype(float),
            step="post",
            color=color,
            alpha=0.12,
            linewidth=0,
        )
    percent_axis(axes, "y", 20, "Up to date")
    axes.set_xticks(range(0, int(told["age_months"].max()) + 1, 3))
    axes.set(xlim=(0, None), xlabel="Age in months")
    show(figure, f"Share up to date by age, one curve for each {word(by)}.", frame)


def missing_parts(release: Release, only: Mapping[str, str], most: int = 14) -> None:
    """Which parts are missing together among the rows where each column of `only` has its value; the largest sets first."""
    frame = rows_of(release)
    frame = frame[(frame[list(only)] == pd.Series(only)).all(axis=1)]
    complete = frame[frame["missing"] == "none"].to_dict("records")
    sets = frame[frame["missing"] != "none"]
    drawn = sets.head(most)  # in a release the largest come first
    parts = list(
        dict.fromkeys(
            part
            for row in sets.sort_values("missing", key=lambda sets: -sets.str.len())["missing"]
            for part in row.split(" + ")
            if part != "other sets"
        )
    )
    chosen = ", ".join(f"{word(name)} {value}" for name, value in only.items())
    note = f"Only {chosen}. " + "".join(
        f"In time for all parts: {percent(row['rate'])} ({counts(row)})." for row in complete if row["status"] not in WITHHELD
    )
    note += f" Drawn: the first {most} of {len(sets)} sets of missing parts." if len(sets) > most else ""
    marks = marks_of(drawn, rate_and_interval(release))
    drawn = drawn.to_dict("records")
    figure, axes = canvas(
        release,
        f"{title_of(release)}: what is missing",
        note,
        marks,
        plot_height=0.26 * len(drawn),
        left=3.7,
        right=1.75,
        above=0.75,
    )
    largest = max([10 / 1.25] + [100 * row["ci_high"] for row in drawn if row["status"] not in WITHHELD])
    for position, row in enumerate(drawn):
        draw(axes, position, row, across=True)
        axes.text(1.03, position, counts(row), transform=axes.get_yaxis_transform(), verticalalignment="center_baseline", color=INK)
        missing = row["missing"].split(" + ")
        for at, part in enumerate(parts):
            place = (-0.06 - (len(parts) - 1 - at) * 0.105, position)
            filled: dict[str, Any] = {"marker": "s", "color": INK} if part in missing else {"marker": "o", "mfc": "white", "mec": "#CCCCCC"}
            if row["missing"] != "other sets":
                axes.plot(
                    *place,
                    transform=axes.get_yaxis_transform(),
                    clip_on=False,
                    linestyle="",
                    markersize=7 if part in missing else 4,
                    **filled,
                )
        if row["missing"] == "other sets":
            axes.text(
                -0.06,
                position,
                "other sets, each of few clients",
                ha="right",
                transform=axes.get_yaxis_transform(),
                verticalalignment="center_baseline",
                color=INK,
            )
    for at, part in enumerate(parts):
        axes.text(
            -0.06 - (len(parts) - 1 - at) * 0.105,
            -0.85,
            part.split(".")[-1],
            rotation=45,
            ha="left",
            va="bottom",
            size=8,
            transform=axes.get_yaxis_transform(),
            color=INK,
        )
    percent_axis(axes, "x", 5, "Share of the cohort that lacks exactly the filled parts")
    axes.set(xlim=(0, 1.25 * largest), ylim=(len(drawn) - 0.4, -0.6))
    axes.set_yticks([])
    show(figure, f"Sets of missing parts among clients of {chosen}, the largest first.", frame)


def ranks_by_rule(release: Release) -> None:
    """The ranks of organizations by several rules of whose client is whose, each organization a line."""
    rules = [rule["rule"] for rule in release.metadata["attributions"]]
    frame, heading = rows_of(release), f"{title_of(release)}: rank of organizations by {len(rules)} rules"
    if all_withheld(frame, release, heading):
        return
    told = frame.dropna(subset="rank").groupby("organization")["attribution"].count()
    drawn = frame[frame["organization"].isin(told[told >= 2].index)]
    note = f"Drawn: the {drawn['organization'].nunique()} organizations with a rank under two rules or more, of {frame['organization'].nunique()}. " \
           "A line is broken where a rule's row is suppressed."  # fmt: skip
    last = frame["rank"].max()
    figure, axes = canvas(
        release, heading, note, marks_of(drawn.dropna(subset="rank"), "rank of an organization", GREY), plot_height=4.5, right=0.9
    )
    shown = [((frame["attribution"] == rule) & frame["rank"].notna()).sum() for rule in rules]
    for _, rows in pd.DataFrame(drawn).groupby("organization"):  # nothing is added up here
        rows = rows.set_index("attribution").reindex(rules)
        ranks = rows["rank"].astype("Float64").to_numpy(dtype=float, na_value=float("nan"))
        moved = pd.Series(ranks).max() - pd.Series(ranks).min()
        color = ORANGE if moved >= 10 else GREY
        axes.plot(range(len(rules)), ranks, color=color, linewidth=1.4 if moved >= 10 else 0.8, zorder=2)
        for at, row in enumerate(rows.to_dict("records")):
            if not pd.isna(row["rank"]):
                axes.plot(at, row["rank"], markersize=5, color=color, zorder=3, **LOOKS[row["status"]])
    axes.set_xticks(range(len(rules)), [f"{rule}\n{count} shown" for rule, count in zip(rules, shown)])
    axes.set_yticks([1, *range(5, int(last) + 1, 5)])
    axes.set(
        ylim=(last + 1, 0),
        xlim=(-0.3, len(rules) - 0.7),
        ylabel="Rank (1: the highest rate)",
        xlabel="Rule of attribution; thick: moved by ten ranks or more",
    )
    axes.tick_params(axis="y", length=0)
    show(figure, "Ranks of organizations under four rules of attribution.", frame)


def rates_by_denominator(release: Release, by: str) -> None:
    """Rates with intervals of each group, one for each denominator."""
    frame, denominators = rows_of(release), release.metadata["denominators"]
    sources = [d["source"] for d in denominators]
    look = dict(zip(sources, [("o", BLUE), ("s", ORANGE), ("^", GREEN), ("D", INK), ("v", GREY)]))
    groups = sorted(frame[by].unique(), key=lambda name: (name == "Unknown", name))
    marks: list[Artist] = [
        Line2D([], [], color=color, marker=shape, linewidth=1.6, label=f"{d['source']}: {d['description']}")
        for d, (shape, color) in zip(denominators, look.values())
    ]
    marks += [mark(status, MEANINGS[status]) for status in ("unreliable", *WITHHELD) if (frame["status"] == status).any()]
    figure, axes = canvas(
        release,
        f"{title_of(release, by)} and denominator",
        "",
        marks,
        key_columns=1,
        plot_height=0.17 * len(sources) * len(groups) + 0.3 * len(groups) / 4,
        left=2,
    )
    for at, group in enumerate(groups):
        axes.axhline(at - 0.5, color="#DDDDDD", linewidth=0.6)
        for row in frame[frame[by] == group].to_dict("records"):
            among = sources.index(row["denominator_source"])
            shape, color = look[row["denominator_source"]]
            hollow = {"mfc": "white"} if row["status"] in ("unreliable", "zero") else {}
            draw(
                axes,
                at + (among - (len(sources) - 1) / 2) * 0.8 / len(sources),
                row,
                across=True,
                color=color,
                thick=0.6 / len(sources),
                marker=shape,
                **hollow,
            )
    axes.set_yticks(range(len(groups)), groups)
    percent_axis(axes, "x", 10, "Rate")
    axes.set(ylim=(len(groups) - 0.5, -0.5))
    show(figure, f"Rates by {word(by)} with {len(sources)} denominators.", frame)


def doses_over_time(release: Release, by: str, last: int = 36) -> None:
    """Doses and people vaccinated, in each of the last months."""
    frame = rows_of(release)
    if all_withheld(frame, release, "Doses administered, by month"):
        return
    frame = frame.sort_values(by).tail(last)
    marks: list[Artist] = [
        Line2D([], [], color=BLUE, marker="o", label="doses administered"),
        Line2D([], [], color=ORANGE, marker="s", label="people vaccinated in the month"),
    ]
    marks += [mark("suppressed", MEANINGS["suppressed"])] if (frame["status"] == "suppressed").any() else []
    figure, axes = canvas(
        release,
        "Doses administered, by month",
        f"Drawn: the last {len(frame)} months. People of several months are not added up: they are the same people.",
        marks,
        below=0.6,
    )
    top = 1.1 * frame["doses"].max()
    for at, status in enumerate(frame["status"]):
        if status == "suppressed":
            axes.bar(at, top, 0.9, color=PALE, edgecolor=GREY, hatch=WITHHELD[status], linewidth=0.6)
    for column, shape, color in (("doses", "o", BLUE), ("persons", "s", ORANGE)):
        axes.plot(
            range(len(frame)),
            frame[column].to_numpy(dtype=float, na_value=float("nan")),
            color=color,
            marker=shape,
            markersize=4,
            linewidth=1.2,
        )
    ticks = [at for at, name in enumerate(frame[by]) if name.endswith(("-01", "-07"))]
    axes.set_xticks(ticks, [frame[by].iloc[at] for at in ticks])
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set(ylim=(0, float(top)), ylabel="Number", xlabel="Month of vaccination")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    show(figure, f"Doses and people by month, the last {len(frame)} months.", frame)


def two_months(earlier: Release, later: Release, by: str, most: int = 25) -> None:
    """The same rates of two months beside one another. Nothing is subtracted: what two months differ by may be one family."""
    now, heading = rows_of(later), f"{title_of(later, by)}: two months"
    if earlier.metadata["measure"]["fingerprint"] != later.metadata["measure"]["fingerprint"]:
        raise ReleaseError("the two months have different measures, or versions of one\nhint: ask for both with the same measure")
    if all_withheld(now, later, heading):
        return
    both = now.merge(
        rows_of(earlier)[[by, "rate", "ci_low", "ci_high", "status"]], on=by, how="left", suffixes=("", "_before"), validate="one_to_one"
    )
    drawn = both[both["rate"].notna()].sort_values("denominator", ascending=False).head(most).sort_values("rate", ascending=False)
    dates = [release.metadata["cohort"]["as_of"] for release in (earlier, later)]
    note = f"Beside it: as of {dates[0]}. Drawn: the {len(drawn)} with the largest denominators, of {len(both)} rows; {both['rate'].isna().sum()} are withheld."
    marks: list[Artist] = [
        Line2D([], [], color=BLUE, marker="o", linewidth=1.6, label=f"as of {dates[1]}, with its interval"),
        Line2D([], [], color=ORANGE, marker="s", linewidth=1.6, label=f"as of {dates[0]}, with its interval"),
    ]
    statuses = set(drawn["status"]) | set(drawn["status_before"].dropna())
    marks += [mark(status, MEANINGS[status]) for status in ("zero", "unreliable", *WITHHELD) if status in statuses]
    figure, axes = canvas(later, heading, note, marks, plot_height=0.3 * max(3, len(drawn)), left=1.75)
    for at, row in enumerate(drawn.to_dict("records")):
        draw(axes, at - 0.18, row, across=True, thick=0.3)
        if not pd.isna(row["status_before"]):
            past = {name: row[f"{name}_before"] for name in ("rate", "ci_low", "ci_high", "status")}
            look = {"marker": "s"} if past["status"] == "shown" else {"marker": "s", "mfc": "white"}
            draw(axes, at + 0.18, past, across=True, color=ORANGE, thick=0.3, **look)
    axes.set_yticks(range(len(drawn)), drawn[by])
    percent_axis(axes, "x", 10, "Rate")
    axes.set(ylim=(len(drawn) - 0.4, -0.6))
    show(figure, f"Rates by {by} as of {dates[0]} and {dates[1]}.", now)
