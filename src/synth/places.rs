//! Counties and ZIP codes of Texas, from the codelists.

use serde::Deserialize;

use super::knowledge::broken;
use super::random::Weighted;
use crate::error::Result;

pub(super) const COUNTY_CSV: &str = include_str!("../../dictionaries/phds/codelists/county.csv");
pub(super) const ZIP_CSV: &str = include_str!("../../dictionaries/phds/codelists/zip_county.csv");

/// The counties in which synthetic people live.
pub(super) struct Places {
    pub(super) counties: Vec<County>,
    /// Indexes of counties, by population.
    pub(super) by_population: Weighted<usize>,
    /// The public health regions; [`County::region`] is an index.
    pub(super) regions: Vec<String>,
}

/// A county with at least one ZIP code.
pub(super) struct County {
    pub(super) label: String,
    pub(super) region: usize,
    pub(super) zips: Weighted<Zip>,
}

/// A ZIP code that lies in the county, in whole or in part.
#[derive(Clone)]
pub(super) struct Zip {
    pub(super) code: String,
    pub(super) city: String,
}

#[derive(Deserialize)]
struct CountyRow {
    code: String,
    label: String,
    public_health_region: String,
    population_2020: f64,
}

#[derive(Deserialize)]
struct ZipRow {
    zip: String,
    county: String,
    residential_ratio: f64,
    city: String,
}

impl Places {
    /// Reads the built-in codelists.
    pub(super) fn new() -> Result<Self> {
        let zips: Vec<ZipRow> = rows(ZIP_CSV, "zip_county.csv")?;
        let mut places = Self { counties: Vec::new(), by_population: Weighted::new(), regions: Vec::new() };
        for row in rows::<CountyRow>(COUNTY_CSV, "county.csv")? {
            let here = || zips.iter().filter(|zip| zip.county == row.code);
            let lived_in = here().any(|zip| zip.residential_ratio > 0.0);
            // The ratio is the share of the ZIP's homes that lie in the county. Two tiny counties have post-office boxes only.
            let weight = |zip: &ZipRow| if lived_in { zip.residential_ratio } else { 1.0 };
            let zips: Weighted<Zip> =
                here().map(|zip| (Zip { code: zip.zip.clone(), city: zip.city.clone() }, weight(zip))).collect();
            if zips.things().is_empty() {
                continue;
            }
            let known = places.regions.iter().position(|region| *region == row.public_health_region);
            let region = known.unwrap_or_else(|| {
                places.regions.push(row.public_health_region);
                places.regions.len() - 1
            });
            places.by_population.push(places.counties.len(), row.population_2020);
            places.counties.push(County { label: row.label, region, zips });
        }
        if places.by_population.things().is_empty() { Err(broken("county.csv")) } else { Ok(places) }
    }
}

/// The rows of a built-in codelist.
pub(super) fn rows<T: serde::de::DeserializeOwned>(text: &str, name: &str) -> Result<Vec<T>> {
    csv::Reader::from_reader(text.as_bytes()).deserialize().collect::<Result<_, _>>().map_err(|_| broken(name))
}
