# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A question, from its release
#
# Copy this notebook, name your release, keep what answers your question. A release is a table of aggregates that has
# passed disclosure control; there are no records here, and none are needed. To make one:
#
# ```sh
# mkdir -p demo/releases/mine
# phds query coverage --store demo/store --measure nis.mmr1 --by county --format csv --out demo/releases/mine/table.csv
# ```

# %%
from phds_release import read_release, releases_folder
from phds_release.figure import canvas, describe, rates_by_row, rates_on_map, rates_over_time, show

releases = releases_folder("by_county", "by_birth_year")
release = read_release(releases / "by_county")

# %% [markdown]
# ## What the numbers are, and what they do not say

# %%
describe(release)

# %% [markdown]
# ## The table
#
# `<NA>` is withheld, and `status` says why. It is not zero: what is computed of it is missing, and a sum is refused.

# %%
frame = release.to_pandas()
frame.head(8)

# %%
shown = frame[frame["status"] == "shown"]
shown.sort_values("rate").head(3)[["county", "rate", "ci_low", "ci_high"]]

# %% [markdown]
# ## Figures

# %%
rates_by_row(release, "county")

# %%
rates_on_map(release)

# %% [markdown]
# Over time: another release, asked by year of birth.

# %%
rates_over_time(read_release(releases / "by_birth_year"), "birth_year")

# %% [markdown]
# A figure of your own: `canvas` gives it marking, measure, denominator, date and caveats, and `show` its text for those
# who do not see it.

# %%
note = f"{len(shown)} of {len(frame)} counties are drawn; the others are withheld or unreliable."
figure, axes = canvas(release, "Larger counties have narrower intervals", note, plot_height=2.6)
width = 100 * (shown["ci_high"] - shown["ci_low"])
axes.scatter(shown["denominator"].astype(float), width.astype(float), color="#0072B2")
for at in shown.nlargest(3, "denominator").index.union(shown.nsmallest(2, "denominator").index):
    axes.annotate(shown.loc[at, "county"], (shown.loc[at, "denominator"], width[at]), (5, 3), textcoords="offset points", size=8)
axes.grid(color="#DDDDDD", linewidth=0.6)
axes.margins(0.1)
axes.set(xlim=(0, None), ylim=(0, None), xlabel="Denominator (clients)", ylabel="Width of the interval (percentage points)")
show(figure, "Width of the interval by size of the county.", frame)
