"""Writes county.csv and region.csv from a GeoJSON file of the counties of Texas.

    python3 make.py texas_counties.geojson ../codelists/county.csv

The shapes of a region are those of its counties without the borders between them: an edge that two counties share runs
once in each direction, and both go. So the input must have shared borders, point for point, as files that come from
TopoJSON have.
"""

import csv
import json
import sys
from collections import defaultdict

UNIT = 1000  # thousandths of a degree: about 100 m, a tenth of a pixel of a map of the state


def rings(geometry):
    """The rings of a shape as lists of whole numbers of UNIT, longitude and latitude, without the repeated last point."""
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    for polygon in polygons:
        for ring in polygon:
            points = [(round(lon * UNIT), round(lat * UNIT)) for lon, lat in ring[:-1]]
            kept = [p for p, before in zip(points, points[-1:] + points) if p != before]
            if len(kept) > 2:
                yield kept


def text(rings):
    """`lon lat` of the first point, then the steps to the next ones; rings separated by `;`."""
    parts = []
    for ring in rings:
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(ring, ring[1:])]
        parts.append(" ".join(f"{x} {y}" for x, y in [ring[0], *steps]))
    return ";".join(parts)


def dissolved(counties):
    """The rings around counties: edges that are not run in both directions, put together end to end."""
    edges = set()
    for county in counties:
        for ring in county:
            for edge in zip(ring, ring[1:] + ring[:1]):
                if edge[::-1] in edges:
                    edges.remove(edge[::-1])
                else:
                    edges.add(edge)
    following = defaultdict(list)
    for a, b in sorted(edges):
        following[a].append(b)
    around = []
    while following:
        start = min(following)
        ring, at = [], start
        while True:
            ring.append(at)
            to = following[at].pop()
            if not following[at]:
                del following[at]
            at = to
            if at == start:
                break
        if len(ring) > 2:
            around.append(ring)
    return around


def main(shapes, codelist):
    with open(codelist, encoding="utf-8") as file:
        listed = {row["code"]: row for row in csv.DictReader(file)}
    with open(shapes, encoding="utf-8") as file:
        counties = {f["properties"]["fips"]: list(rings(f["geometry"])) for f in json.load(file)["features"]}
    assert counties.keys() == listed.keys(), counties.keys() ^ listed.keys()
    regions = defaultdict(list)
    for code, shape in counties.items():
        regions[listed[code]["public_health_region"]].append(shape)
    for name, rows in [
        ("county", [(listed[code]["label"], text(shape)) for code, shape in sorted(counties.items())]),
        ("region", [(region, text(dissolved(shapes))) for region, shapes in sorted(regions.items())]),
    ]:
        with open(f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["label", "rings"])
            writer.writerows(rows)


main(*sys.argv[1:])
