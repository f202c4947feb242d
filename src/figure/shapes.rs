//! Borders of places: built-in ones and those of a GeoJSON file, and how they come onto paper.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::knowledge;

/// A place: what it is called, and closed lines around it, as longitudes and latitudes in degrees.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The label that a release has for it.
    pub label: String,
    /// Closed lines, without the repeated last point.
    pub rings: Vec<Vec<(f64, f64)>>,
}

/// A row of a built-in file: `dictionaries/phds/shapes/README.md` explains it.
#[derive(serde::Deserialize)]
struct Row {
    label: String,
    rings: String,
}

/// The built-in shapes of a dimension, if there are any.
pub fn built_in(dimension: &str) -> Result<Option<Vec<Shape>>> {
    let name = format!("{dimension}.csv");
    let Some((_, text)) = knowledge::folder("shapes").find(|(file, _)| *file == name) else { return Ok(None) };
    let wrong = || Error::internal(format!("the built-in shapes of {dimension} cannot be read"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let shapes = reader.deserialize().map(|row: Result<Row, _>| {
        let row = row.map_err(|_| wrong())?;
        let rings: Option<Vec<_>> = row.rings.split(';').map(ring).collect();
        Ok(Shape { label: row.label, rings: rings.ok_or_else(wrong)? })
    });
    shapes.collect::<Result<Vec<_>>>().map(Some)
}

/// A first point and steps, in thousandths of a degree.
fn ring(text: &str) -> Option<Vec<(f64, f64)>> {
    let numbers: Vec<i32> = text.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
    let (pairs, []) = numbers.as_chunks::<2>() else { return None };
    let points = pairs.iter().scan((0, 0), |at, [x, y]| {
        *at = (at.0 + x, at.1 + y);
        Some((f64::from(at.0) / 1000.0, f64::from(at.1) / 1000.0))
    });
    Some(points.collect())
}

/// The shapes of a GeoJSON file (RFC 7946), called by one of its properties. Features without an area are left out.
pub fn from_geojson(text: &[u8], property: &str) -> Result<Vec<Shape>> {
    let no = || Error::usage("the shapes are no GeoJSON with a list of features");
    let file: Value = serde_json::from_slice(text).map_err(|_| no())?;
    let features = file["features"].as_array().ok_or_else(no)?;
    let names = |feature: &Value| {
        feature["properties"]
            .as_object()
            .into_iter()
            .flat_map(|properties| properties.keys().cloned())
            .collect::<Vec<_>>()
    };
    let mut shapes = Vec::new();
    for feature in features {
        let label = match &feature["properties"][property] {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        let coordinates = &feature["geometry"]["coordinates"];
        let polygons = match feature["geometry"]["type"].as_str() {
            Some("Polygon") => vec![coordinates],
            Some("MultiPolygon") => coordinates.as_array().into_iter().flatten().collect(),
            _ => continue,
        };
        let rings = polygons.into_iter().flat_map(|polygon| polygon.as_array().into_iter().flatten().map(points));
        let rings: Option<Vec<_>> = rings.collect();
        // A line or a place that is written as a ring has no area, and no picture.
        let rings = rings.map(|mut rings| {
            rings.retain(|ring| centre(ring).1 > 0.0);
            rings
        });
        let rings = rings.filter(|rings| !rings.is_empty()).ok_or_else(|| {
            Error::usage("the shapes have no area, or places that are no longitude and latitude in degrees (WGS 84)")
                .hint("GeoJSON is in degrees; a program such as ogr2ogr turns other maps into it: -t_srs EPSG:4326")
        })?;
        shapes.push(Shape { label, rings });
    }
    if shapes.is_empty() {
        let known = features.first().map(names).unwrap_or_default().join(", ");
        return Err(Error::usage(format!("no shape has a property `{property}`"))
            .hint(format!("the properties of the first shape are: {known}")));
    }
    Ok(shapes)
}

fn points(ring: &Value) -> Option<Vec<(f64, f64)>> {
    let point = |point: &Value| {
        let (longitude, latitude) = (point[0].as_f64()?, point[1].as_f64()?);
        (longitude.abs() <= 180.0 && latitude.abs() <= 90.0).then_some((longitude, latitude))
    };
    let mut points = ring.as_array()?.iter().map(point).collect::<Option<Vec<_>>>()?;
    if points.first() == points.last() {
        points.pop();
    }
    (points.len() > 2).then_some(points)
}

/// From the globe to paper, areas true: the conic projection of Albers for a sphere. Snyder JP (1987), Map projections: a
/// working manual, USGS professional paper 1395, equations 14-1 to 14-6. The true parallels lie a sixth of the height
/// from both ends, as he advises on page 99.
#[derive(Clone, Copy, Debug)]
pub struct Albers {
    n: f64,
    c: f64,
    middle: f64,
}

impl Albers {
    /// For a region from the south-western to the north-eastern corner, in degrees.
    pub fn over(south_west: (f64, f64), north_east: (f64, f64)) -> Self {
        let height = north_east.1 - south_west.1;
        let parallel = |share: f64| (south_west.1 + height * share).to_radians();
        let (first, second) = (parallel(1.0 / 6.0), parallel(5.0 / 6.0));
        let n = f64::midpoint(first.sin(), second.sin());
        // A region that is halved by the equator would be a cone without a tip.
        let n = if n.abs() < 1e-6 { 1e-6 } else { n };
        let middle = f64::midpoint(south_west.0, north_east.0);
        Self { n, c: first.cos().powi(2) + 2.0 * n * first.sin(), middle }
    }

    /// A longitude and latitude in degrees → a place in radii of the globe, `y` growing to the south.
    pub fn place(&self, (longitude, latitude): (f64, f64)) -> (f64, f64) {
        let radius = (self.c - 2.0 * self.n * latitude.to_radians().sin()).max(0.0).sqrt() / self.n;
        let angle = self.n * (longitude - self.middle).to_radians();
        (radius * angle.sin(), radius * angle.cos())
    }
}

/// The smallest box around points: its corners with the smallest and the largest numbers.
pub fn bounds(points: impl Iterator<Item = (f64, f64)>) -> ((f64, f64), (f64, f64)) {
    let none = ((f64::INFINITY, f64::INFINITY), (f64::NEG_INFINITY, f64::NEG_INFINITY));
    points.fold(none, |(low, high), (x, y)| ((low.0.min(x), low.1.min(y)), (high.0.max(x), high.1.max(y))))
}

/// The centre of gravity of a ring, and its area.
pub fn centre(ring: &[(f64, f64)]) -> ((f64, f64), f64) {
    let next = ring.iter().cycle().skip(1);
    let (mut area, mut x, mut y) = (0.0, 0.0, 0.0);
    for (a, b) in ring.iter().zip(next) {
        let cross = a.0 * b.1 - b.0 * a.1;
        area += cross / 2.0;
        x += (a.0 + b.0) * cross;
        y += (a.1 + b.1) * cross;
    }
    if area == 0.0 {
        return (ring.first().copied().unwrap_or_default(), 0.0);
    }
    ((x / (6.0 * area), y / (6.0 * area)), area.abs())
}

/// How far a ring reaches to both sides of a point, on the horizontal line through it.
pub fn reach(ring: &[(f64, f64)], (x, y): (f64, f64)) -> (f64, f64) {
    let next = ring.iter().cycle().skip(1);
    let crossings = ring.iter().zip(next).filter(|(a, b)| (a.1 > y) != (b.1 > y));
    let at: Vec<f64> = crossings.map(|(a, b)| a.0 + (y - a.1) / (b.1 - a.1) * (b.0 - a.0)).collect();
    let inside = at.iter().filter(|at| **at < x).count() % 2 == 1;
    if !inside {
        return (0.0, 0.0);
    }
    let left = at.iter().copied().filter(|at| *at < x).fold(f64::NEG_INFINITY, f64::max);
    let right = at.iter().copied().filter(|at| *at >= x).fold(f64::INFINITY, f64::min);
    (x - left, right - x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_shapes_have_the_labels_of_their_codelist() {
        let file = knowledge::text("codelists/county.csv").unwrap();
        let rows = || file.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
        let mut counties: Vec<&str> = rows().map(|row| row[1]).collect();
        let mut regions: Vec<&str> = rows().map(|row| row[3]).collect();
        regions.sort_unstable();
        regions.dedup();
        counties.sort_unstable();
        for (dimension, expected) in [("county", counties), ("region", regions)] {
            let shapes = built_in(dimension).unwrap().unwrap();
            let mut labels: Vec<&str> = shapes.iter().map(|shape| shape.label.as_str()).collect();
            labels.sort_unstable();
            assert_eq!(labels, expected);
            let all = || shapes.iter().flat_map(|shape| shape.rings.iter().flatten().copied());
            let ((west, south), (east, north)) = bounds(all());
            assert!((-106.7..-106.6).contains(&west) && (25.8..25.9).contains(&south), "{west} {south}");
            assert!((-93.6..-93.5).contains(&east) && (36.4..36.6).contains(&north), "{east} {north}");
        }
        assert_eq!(built_in("sex").unwrap(), None);
    }

    #[test]
    fn albers_agrees_with_the_example_of_its_source() {
        // Snyder, page 291: parallels 29.5° and 45.5°, centre 23° N 96° W, point 35° N 75° W: x = 0.2952720, y = 0.2416774.
        let n = f64::midpoint(29.5_f64.to_radians().sin(), 45.5_f64.to_radians().sin());
        let c = 29.5_f64.to_radians().cos().powi(2) + 2.0 * n * 29.5_f64.to_radians().sin();
        let albers = Albers { n, c, middle: -96.0 };
        let (x, y) = albers.place((-75.0, 35.0));
        let origin = albers.place((-96.0, 23.0));
        assert!((x - 0.295_272_0).abs() < 1e-6, "{x}");
        assert!((origin.1 - y - 0.241_677_4).abs() < 1e-6, "{}", origin.1 - y);
    }

    #[test]
    fn a_square_has_its_centre_and_its_reach() {
        let square = [(0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (0.0, 2.0)];
        assert_eq!(centre(&square), ((2.0, 1.0), 8.0));
        assert_eq!(reach(&square, (1.0, 1.0)), (1.0, 3.0));
        assert_eq!(reach(&square, (5.0, 1.0)), (0.0, 0.0));
    }

    #[test]
    fn shapes_of_others_are_read_or_refused_by_name() {
        let square = "[[[-98,30],[-97,30],[-97,31],[-98,30]]]";
        let file = |geometry: &str, property: &str| {
            let feature = format!("{{\"properties\":{{\"ZIP\":{property}}},\"geometry\":{geometry}}}");
            let text = format!("{{\"features\":[{feature}]}}");
            from_geojson(text.as_bytes(), "ZIP").map_err(|error| error.to_string())
        };
        let polygon = format!("{{\"type\":\"Polygon\",\"coordinates\":{square}}}");
        let many = format!("{{\"type\":\"MultiPolygon\",\"coordinates\":[{square},{square}]}}");
        let ring = vec![(-98.0, 30.0), (-97.0, 30.0), (-97.0, 31.0)];
        let shape = |count: usize| vec![Shape { label: "78701".to_owned(), rings: vec![ring.clone(); count] }];
        assert_eq!(file(&polygon, "\"78701\"").unwrap(), shape(1));
        assert_eq!(file(&many, "78701").unwrap(), shape(2));
        let metres = "{\"type\":\"Polygon\",\"coordinates\":[[[500000,3300000],[1,1],[2,2]]]}";
        let line = "{\"type\":\"Polygon\",\"coordinates\":[[[1,1],[2,2],[3,3],[1,1]]]}";
        let place = "{\"type\":\"Polygon\",\"coordinates\":[[[1,1],[1,1],[1,1],[1,1]]]}";
        for wrong in [metres, line, place] {
            assert!(file(wrong, "\"78701\"").unwrap_err().contains("degrees"), "{wrong}");
        }
        assert!(file(&polygon, "null").unwrap_err().contains("are: ZIP"));
        assert!(from_geojson(b"[]", "ZIP").is_err());
    }
}
