"""Figures of releases that carry what must travel with them, and the facts of a release as a table.

Each figure has its marking, measure, denominator and as-of date, so that it can be pasted elsewhere
without losing them. What is withheld is a hatched band, because nothing is said about where the value
lies. It is never drawn as zero. Marks differ in shape or hatch, not in colour alone.
"""

import html
from textwrap import fill

import matplotlib.pyplot as plt
import pandas as pd
import pyarrow as pa
from IPython.display import HTML, display
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from phds_release import WITH_NUMBERS, ReleaseError

plt.rcParams.update({"figure.dpi": 144, "font.size": 9, "hatch.linewidth": 0.6, "axes.axisbelow": True})
BLUE, ORANGE, GREEN, GREY, PALE, INK = "#0072B2", "#D55E00", "#009E73", "#8C8C8C", "#F2F2F2", "#222222"
LOOKS = {"shown": {"marker": "o"}, "zero": {"marker": "D", "mfc": "white"}, "unreliable": {"marker": "o", "mfc": "white"}}
WITHHELD = {"suppressed": "/////", "not_applicable": ""}
MEANINGS = {
    "zero": "zero (counted, not suppressed)",
    "unreliable": "unreliable (fewer than 30 clients, or a wide interval)",
    "suppressed": "suppressed (withheld to protect small groups; not zero)",
    "not_applicable": "not applicable (nobody in the denominator)",
}


# --- What the numbers are -----------------------------------------------------------------------


def describe(release, unlike=None):
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
    marking = f"<p style='border:2px solid;padding:.4em;font-weight:bold'>{html.escape(release['marking'])}</p>"
    display(HTML(f"{marking}<table>{rows}</table>"))


def facts(release):
    """The text that must travel with the numbers, as (label, text) pairs."""
    measure, cohort = release.get("measure", {}), release["cohort"]
    yield "Indicator", f"{release['indicator']}: {release['indicator_definition']}"
    if measure:
        yield "Measure", f"{measure['title']} ({measure['id']}, version {measure['version']})"
        yield "What counts", measure["definition"]
        yield "Source of the definition", measure.get("source")
    yield "From", release.get("from_measure", {}).get("title")
    yield "Cohort", f"{cohort['description']}; as of {cohort['as_of']}"
    yield "Denominator", [f"{d['source']}: {d['description']}" for d in release["denominators"]]
    yield "Organizations", [f"{rule['rule']}: {rule['description']}" for rule in release.get("attributions", [])]
    yield "Only", "; ".join(f"{where['dimension']}: {', '.join(where['values'])}" for where in release["where"])
    yield "Interval", interval(release)
    yield "Reporting period", release["reporting_period"]
    yield "Suppression", f"k = {release['disclosure']['k']}, audience {release['audience']}"
    yield "Caveats", release["caveats"]
    yield "Release", f"{release['release_id']}, by {release['tool']['name']} {release['tool']['version']}"
    for part in ("measure", "dictionary", "rules", "disclosure"):
        yield f"Fingerprint: {part}", release.get(part, {}).get("fingerprint")
    yield "SHA-256: delivery", release["delivery"]["sha256"]
    yield "SHA-256: table", release["table"]["sha256"]


def interval(release):
    made = release.get("interval")
    return made and f"{made['level'] * 100:g} % ({made['method']})"


def rate_and_interval(release):
    return f"rate and its interval, {interval(release)}"


def percent(share):
    return f"{100 * share:.1f} %"


def to_frame(table):
    """A table as pandas holds it: whole numbers stay whole, and what is missing is <NA>."""
    return table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype()}.get)


def word(status):
    return status.replace("_", " ")


# --- The frame of a figure ----------------------------------------------------------------------


def canvas(release, heading, note="", marks=(), key_columns=1, width=9, plot_height=3.6, left=0.75, right=0.25, above=0.3, below=0.5):
    """A figure and its axes, with marking, measure, denominator and as-of date around them. Lengths in inches."""
    measure, cohort = release.get("measure"), release["cohort"]
    denominators = ", ".join(d["source"] for d in release["denominators"])
    if len(release["denominators"]) == 1:
        denominators += f", {release['denominators'][0]['description']}"
    follow = "Clients of the cohort, as far as they were followed" if release["indicator"] == "curve" else "none"
    marking = fill(release["marking"], int(width * 10))
    heading = fill(heading, int(width * 8))
    note = fill(f"As of {cohort['as_of']}. {cohort['description']}. {note.strip()}", int(width * 13))
    foot = "\n".join(
        fill(line, int(width * 14))
        for line in (
            f"Measure: {measure['id']}, version {measure['version']}, fingerprint {measure['fingerprint'][:12]}"
            if measure
            else f"Measure: none. {release['indicator_definition']}",
            f"Denominator: {denominators or follow}",
            f"Suppression: k = {release['disclosure']['k']}. Release: {release['release_id']}, {release['tool']['name']} {release['tool']['version']}",
        )
    )
    heading_down = 0.35 + 0.16 * lines(marking)
    legend_down = heading_down + 0.2 + 0.22 * lines(heading) + 0.18 * lines(note)
    top = legend_down + 0.21 * -(-len(marks) // key_columns) + above
    bottom = below + 0.4 + 0.16 * lines(foot)
    height = top + plot_height + bottom

    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes([left / width, bottom / height, 1 - (left + right) / width, plot_height / height])
    axes.spines[["top", "right", "left"]].set_visible(False)

    def write(text, down, **style):
        figure.text(0.15 / width, 1 - down / height, text, verticalalignment="top", color=INK, **style)

    write(marking, 0.15, weight="bold", bbox={"boxstyle": "square,pad=0.4", "facecolor": "white", "edgecolor": INK})
    write(heading, heading_down, weight="bold", size=12)
    write(note, heading_down + 0.06 + 0.22 * lines(heading), linespacing=1.4)
    write(foot, height - 0.1 - 0.16 * lines(foot), size=8, linespacing=1.4)
    figure.legend(handles=list(marks), loc="upper left", ncols=key_columns, bbox_to_anchor=(0.15 / width, 1 - legend_down / height),
                  frameon=False, borderpad=0, borderaxespad=0, labelspacing=0.45, handlelength=2.4)  # fmt: skip
    return figure, axes


def lines(text):
    return text.count("\n") + 1


def show(figure, description, frame):
    """Show a figure with its text for those who do not see it."""
    withheld = f"{(frame['status'] == 'suppressed').sum()} of {len(frame)} rows are suppressed."
    display(figure, metadata={"image/png": {"alt": f"{description} {withheld}"}})
    plt.close(figure)


def marks_of(frame, shown, color=BLUE):
    """The key: only the marks that the figure has; `shown` says what a shown one is."""
    labels = {"shown": shown} | MEANINGS
    return [mark(status, labels[status], color) for status in (*LOOKS, *WITHHELD) if (frame["status"] == status).any()]


def mark(status, label, color=BLUE):
    """An entry of a key."""
    if status in WITHHELD:
        return Patch(facecolor=PALE, edgecolor=GREY, hatch=WITHHELD[status], linewidth=0.6, label=label)
    return Line2D([], [], color=color, markersize=5.5, linewidth=1.6, linestyle=line(status), label=label, **LOOKS[status])


def line(status):
    return ":" if status == "unreliable" else "-"


def draw(axes, position, row, across, color=BLUE, thick=0.62, **look):
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


def counts(row):
    return word(row["status"]) if row["status"] in WITHHELD else f"{row['numerator']:,} / {row['denominator']:,}"


def percent_axis(axes, along, step=20, label=None):
    """0 to 100 % along `x` or `y`."""
    ticks = range(0, 101, step)
    axes.set(**{f"{along}lim": (0, 100), f"{along}label": label})
    axes.set(**{f"{along}ticks": ticks, f"{along}ticklabels": [f"{tick} %" for tick in ticks]})
    axes.tick_params(axis="y", length=0)
    axes.grid(axis=along, color="#DDDDDD", linewidth=0.6)


def one_row_each(frame, by):
    """A figure by one dimension has one row for each of its values."""
    if frame[by].duplicated().any():
        raise ReleaseError(
            f"this figure has one row for each {by}; the table has several\nhint: choose one value of each other column first"
        )
    return frame


def all_withheld(frame, release, heading):
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


# --- Two figures that many releases need --------------------------------------------------------


def rates_by_row(frame, release, by, heading, note="", most=40, order="rate"):
    """Rates with intervals, a row for each place or group; `order` is "rate" or "name". At most `most` rows, the largest."""
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
        release, heading, note, marks_of(table, rate_and_interval(release)), plot_height=0.235 * max(len(table), 3), left=1.75, right=1.75
    )
    beside = {"transform": axes.get_yaxis_transform(), "verticalalignment": "center_baseline", "color": INK}
    for position, row in enumerate(table.to_dict("records")):
        draw(axes, position, row, across=True)
        axes.text(1.03, position, counts(row), **beside)
    axes.text(1.03, -1, "numerator / denominator", weight="bold", size=8, **beside)
    axes.set_yticks(range(len(table)), table[by])
    percent_axis(axes, "x", 10, "Rate (numerator / denominator)")
    axes.set(ylim=(len(table) - 0.4, -0.6))
    axes.tick_params(axis="y", pad=8)
    show(figure, f"{heading}, with intervals.", frame)


def rates_over_time(frame, release, by, heading, note=""):
    """Rates with intervals, along years or quarters. Unjoined: each is another cohort, and a suppressed one has no place on a line."""
    table = one_row_each(frame, by).sort_values(by, kind="stable")  # "Unknown" sorts after digits
    width = min(max(9, 0.68 * len(table) + 1), 16)
    places = max(len(table), 5)  # room for five at least: one band is not a wall
    figure, axes = canvas(release, heading, note, marks_of(table, rate_and_interval(release)), width=width, below=0.75)
    for position, row in enumerate(table.to_dict("records")):
        draw(axes, position, row, across=False)
    labels = [f"{row[by]}\n{counts(row)}".replace("-", "\n", 1).replace(" / ", " /\n") for row in table.to_dict("records")]
    axes.set_xticks(range(len(table)), labels, size=8)
    percent_axis(axes, "y", 20, "Rate")
    axes.set(xlim=(-0.5, places - 0.5))
    show(figure, f"{heading}, with intervals.", frame)
