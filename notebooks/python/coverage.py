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
# # Coverage, from releases
#
# First steps: two releases, coverage by county and coverage by birth year, read and drawn.
# A release is a table that has passed disclosure control. There are no records here, and none are needed.
#
# Suppressed rows are missing. They are drawn as suppressed, never as zero, and they cannot be
# added up: a total is only what a release itself states.

# %%
from phds_figure import describe, rates_by_row, rates_over_time, to_frame
from phds_release import read_release, releases_folder

releases = releases_folder("by_county", "by_birth_year")
county, county_release = read_release(releases / "by_county")
birth_year, birth_year_release = read_release(releases / "by_birth_year")

# %% [markdown]
# ## What these numbers are

# %%
describe(county_release)

# %% [markdown]
# The release by birth year is the same in all of these, except:

# %%
describe(birth_year_release, unlike=county_release)

# %% [markdown]
# The table itself, as pandas shows it. `<NA>` is withheld, and `status` says why.

# %%
to_frame(county).head(8)

# %% [markdown]
# ## Coverage by county

# %%
title = county_release["measure"]["title"]
rates_by_row(to_frame(county), county_release, "county", f"{title}, by county")

# %% [markdown]
# ## Coverage by birth year

# %%
rates_over_time(to_frame(birth_year), birth_year_release, "birth_year", f"{title}, by year of birth")
