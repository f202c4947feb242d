//! Which release stands where, and how it is read.

use super::exhibit::Exhibit;
use super::html::escaped;
use super::{Contents, HEADLINE, Named, quality};
use crate::error::Result;
use crate::figure::release::{Release, Status};
use crate::figure::{self, Kind, Options};
use crate::words::{grouped, percent};

/// A part of the page.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its id.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What is below the heading.
    pub body: String,
}

/// What releases of one form stand under.
struct Place {
    id: &'static str,
    title: &'static str,
    /// How its figures are read.
    lead: &'static str,
    /// The figures that suit, the best first.
    kinds: &'static [Kind],
    /// Whether a release belongs here.
    holds: fn(&Named) -> bool,
}

/// The places of releases, in the order of the page. The first one that holds a release has it; the last holds all.
const PLACES: [Place; 10] = [
    Place {
        id: "season",
        title: "In the season",
        lead: "A season begins on July 1, and is counted up to the as-of date. Compare it with earlier seasons as of the same \
               day of the year.",
        kinds: &[Kind::Bar, Kind::Map],
        holds: |named| is_share(named) && is_of_season(named) && !is_by(named, "organization"),
    },
    Place {
        id: "cohorts",
        title: "By year of birth",
        lead: "Each point is those born in one year, all seen at the same age. A later point is not the same clients \
               grown older, but younger ones.",
        kinds: &[Kind::Trend, Kind::Bar],
        holds: |named| is_share(named) && (is_by(named, "birth_year") || is_by(named, "birth_quarter")),
    },
    Place {
        id: "places",
        title: "By county",
        lead: "A place is striped where its number is withheld, so that no small count can be told: that is not zero. \
               Small places may differ by chance; the table has the interval of each.",
        kinds: &[Kind::Map, Kind::Bar],
        holds: |named| is_share(named) && (is_by(named, "county") || is_by(named, "region")),
    },
    Place {
        id: "zips",
        title: "By ZIP code",
        lead: "Of few clients, a rate is uncertain: the table has the interval of each.",
        kinds: &[Kind::Map, Kind::Bar],
        holds: |named| is_share(named) && is_by(named, "zip"),
    },
    Place {
        id: "race",
        title: "By race and ethnicity",
        lead: "As the registry records it; clients without an entry are Unknown. The line across a bar is the confidence \
               interval.",
        kinds: &[Kind::Bar],
        holds: |named| is_share(named) && is_by(named, "race_ethnicity"),
    },
    Place {
        id: "organizations",
        title: "By organization",
        lead: "Each mark is an organization: the further right, the more clients; the higher, the more of them are up to \
               date. Between the lines, organizations may differ by chance alone. This is no ranking.",
        kinds: &[Kind::Funnel, Kind::Bar],
        holds: |named| is_share(named) && is_by(named, "organization"),
    },
    Place {
        id: "ages",
        title: "Age when up to date",
        lead: "The line climbs as clients become up to date. Further left is earlier, and a line that ends higher is more \
               clients.",
        kinds: &[Kind::Curve],
        holds: |named| named.release.description.indicator == "curve",
    },
    Place {
        id: "missing",
        title: "What is missing",
        lead: "Each row is one set of vaccines: so many clients lacked exactly these, and had the others in time. A \
               long bar with a single dot is a gap that one vaccine would close.",
        kinds: &[Kind::Upset],
        holds: |named| named.release.description.indicator == "missing",
    },
    Place {
        id: "doses",
        title: "Doses administered",
        lead: "Doses in the file by when they were given. The last months grow for some time, because doses are reported late.",
        kinds: &[Kind::Trend, Kind::Bar],
        holds: |named| named.release.description.indicator == "doses",
    },
    Place {
        id: "further",
        title: "Further tables",
        lead: "What else was asked of this month.",
        kinds: &[Kind::Bar, Kind::Trend, Kind::Map, Kind::Curve, Kind::Upset],
        holds: |_| true,
    },
];

fn is_by(named: &Named, dimension: &str) -> bool {
    let dimensions = &named.release.description.dimensions;
    matches!(dimensions.as_slice(), [only] if only.id == dimension)
}

fn is_share(named: &Named) -> bool {
    !["curve", "missing", "doses"].contains(&named.release.description.indicator.as_str())
}

fn is_of_season(named: &Named) -> bool {
    named.release.description.cohort.season.is_some()
}

/// The coverage of a vaccine by year of birth, which stands beside that of others.
fn is_vaccine(named: &Named) -> bool {
    let is_coverage = named.release.description.indicator == "coverage" && !is_of_season(named);
    named.name != HEADLINE && is_coverage && is_by(named, "birth_year")
}

/// All sections that have something to show.
pub fn all(contents: &Contents) -> Result<Vec<Section>> {
    let headline = contents.releases.iter().find(|named| named.name == HEADLINE);
    let mut vaccines: Vec<&Named> = contents.releases.iter().filter(|named| is_vaccine(named)).collect();
    // One alone is no comparison, and stands by year of birth.
    if vaccines.len() < 2 {
        vaccines.clear();
    }
    let year = headline.into_iter().chain(vaccines.first().copied()).find_map(newest);
    let mut sections = Vec::new();
    if let Some(named) = headline {
        let body = self::headline(named, contents);
        sections.push(Section { id: "headline", title: "At a glance", body });
    }
    let releases: Vec<&Release> = vaccines.iter().map(|named| &named.release).collect();
    if let Some(side_by_side) = Release::side_by_side(&releases) {
        let body = by_vaccine(vaccines.clone(), &side_by_side, year.as_deref(), contents)?;
        sections.push(Section { id: "vaccines", title: "By vaccine", body });
    } else {
        vaccines.clear();
    }
    let beside = headline.and_then(|headline| together(headline, contents)).map(|(named, _)| named);
    let is_done = |named: &Named| vaccines.iter().copied().chain(beside).any(|done| done.name == named.name);
    let mut left: Vec<&Named> = contents.releases.iter().filter(|named| !is_done(named)).collect();
    for place in PLACES {
        let (here, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|named| (place.holds)(named));
        left = others;
        if here.is_empty() {
            continue;
        }
        let mut body = format!("<p>{}</p>\n", escaped(place.lead));
        for named in here {
            let mut exhibit = Exhibit::of(named, place.kinds);
            if place.id == "missing" {
                exhibit.drawn = gaps(&named.release, year.as_deref())?;
                exhibit.note += "<p>Further sets are in the table.</p>\n";
                exhibit.title = year.as_ref().map(|year| {
                    let title = figure::title(Kind::Upset, &exhibit.drawn, &Options::default());
                    format!("{title}, born in {year}")
                });
            }
            body += &exhibit.html(contents)?;
        }
        sections.push(Section { id: place.id, title: place.title, body });
    }
    if let Some(document) = &contents.quality {
        let body = quality::html(document);
        sections.push(Section { id: "quality", title: "Quality of the data", body });
    }
    Ok(sections)
}

/// The newest year of birth of a release whose children have all reached the age of the measure, and that is told.
fn newest(named: &Named) -> Option<String> {
    let release = &named.release;
    let years = (0..release.table.len()).filter_map(|row| {
        let year = release.table.cell(row, "birth_year")?;
        let is_whole = release.cut(row, "birth_year").is_none();
        let is_told = release.value(row).is_ok_and(|value| value.rate.is_some());
        (is_whole && is_told && year.bytes().all(|byte| byte.is_ascii_digit())).then(|| year.to_owned())
    });
    years.max()
}

/// The rows of a label.
fn rows(release: &Release, column: &str, label: &str) -> Vec<usize> {
    (0..release.table.len()).filter(|row| release.table.cell(*row, column) == Some(label)).collect()
}

/// The one number, its interval, and what changed. A table of one row tells of that; one by year of birth, of the newest
/// whole year.
fn headline(named: &Named, contents: &Contents) -> String {
    let release = &named.release;
    let year = newest(named);
    let row = match &year {
        Some(year) => rows(release, "birth_year", year).into_iter().next(),
        None => Some(0).filter(|_| release.table.len() == 1),
    };
    let description = &release.description;
    let measure = description.measure.as_ref();
    let of = measure.map_or("the measure", |measure| measure.title.as_str());
    let value = row.and_then(|row| release.value(row).ok());
    let Some((rate, value)) = value.and_then(|value| Some((value.rate?, value))) else {
        return format!("<p>{}: no number is told for a whole year of birth.</p>\n", escaped(of));
    };
    let who = year.as_ref().map_or_else(String::new, |year| format!(" born in {}", escaped(year)));
    let mut text = format!(
        "<p class=\"headline\"><strong>{}</strong> <span>of clients{who} were up to date: {}</span></p>\n<ul class=\"beside\">\n",
        percent(rate),
        escaped(of),
    );
    if let Some(((low, high), interval)) = value.interval.zip(description.interval.as_ref()) {
        let level = figure::svg::number(interval.level * 100.0);
        text += &format!("<li>{level}% confidence interval: {} to {}\n", percent(low), percent(high));
    }
    if let Some((numerator, denominator)) = value.numerator.zip(value.denominator) {
        text += &format!("<li>{} of {} clients\n", grouped(numerator), grouped(denominator));
    }
    if value.status == Status::Unreliable {
        text += "<li>Too few clients, or too wide an interval, to rely on\n";
    }
    if let Some((_, together)) = together(named, contents) {
        text += &format!("<li>{together}\n");
    }
    text += &format!("<li>{}\n", since(release, year.as_deref(), contents));
    if let Some(measure) = measure {
        text += &format!("<li>{}\n", escaped(&measure.definition));
    }
    text += "</ul>\n";
    let exhibit = Exhibit { table: Err("figure-headline-table".to_owned()), ..Exhibit::of(named, &[]) };
    text + &exhibit.facts()
}

/// The release of the headline's measure without a dimension, and what it says.
fn together<'a>(headline: &Named, contents: &'a Contents) -> Option<(&'a Named, String)> {
    let id = |named: &Named| named.release.description.measure.as_ref().map(|measure| measure.id.clone());
    let named = contents.releases.iter().find(|named| is_whole(named) && id(named) == id(headline))?;
    let value = named.release.value(0).ok()?;
    let (numerator, denominator) = value.numerator.zip(value.denominator)?;
    let (numerator, denominator, rate) = (grouped(numerator), grouped(denominator), percent(value.rate?));
    let clients = format!("{numerator} of {denominator} clients");
    let clients = match named.link.as_deref().map(escaped) {
        Some(link) => format!("<a href=\"{link}\">{clients}</a>"),
        None => clients,
    };
    Some((named, format!("All years of birth together: {rate} ({clients})")))
}

/// Coverage of the whole cohort, in one row.
fn is_whole(named: &Named) -> bool {
    let description = &named.release.description;
    let has_filter = description.filters.as_array().is_some_and(|filters| !filters.is_empty());
    description.indicator == "coverage"
        && description.labels.is_empty()
        && !has_filter
        && named.release.table.len() == 1
}

/// What changed since the release of the month before.
fn since(release: &Release, year: Option<&str>, contents: &Contents) -> String {
    let Some(comparison) = contents.change(release) else {
        let before = figure::month(release.description.reporting_period.previous());
        return format!("No release of {before} to compare with");
    };
    let [earlier, _] = comparison.months();
    let month = figure::month(earlier);
    let is_it = |labels: &[String]| year.is_none_or(|year| labels.iter().any(|label| label == year));
    if year.is_some_and(|year| comparison.is_cut(year)) {
        return format!("The release of {month} has only a part of this year of birth");
    }
    let change = comparison.changes.iter().find(|change| is_it(&change.labels));
    match change.and_then(|change| change.earlier.zip(change.change)) {
        None => format!("The release of {month} does not tell this number"),
        Some((earlier, change)) => {
            let points = format!("{:.1}", change.abs() * 100.0);
            let earlier = percent(earlier);
            let so_much = if points == "1.0" { "percentage point" } else { "percentage points" };
            match points.as_str() {
                "0.0" => format!("As in the release of {month} ({earlier})"),
                _ if change > 0.0 => format!("▲ {points} {so_much} more than in the release of {month} ({earlier})"),
                _ => format!("▼ {points} {so_much} less than in the release of {month} ({earlier})"),
            }
        }
    }
}

/// The vaccines of the newest whole year of birth, and each over the years.
fn by_vaccine(sources: Vec<&Named>, all: &Release, year: Option<&str>, contents: &Contents) -> Result<String> {
    let mut text = String::new();
    let month = figure::month(all.description.reporting_period);
    let trend = Exhibit {
        id: "figure-vaccines".to_owned(),
        sources,
        drawn: all.clone(),
        table: Ok(all.clone()),
        kinds: &[Kind::Trend],
        title: Some(format!("Coverage by vaccine and year of birth, {month}")),
        note: String::new(),
    };
    if let Some(year) = year {
        let bars = Exhibit {
            id: "figure-vaccines-now".to_owned(),
            drawn: all.only(&rows(all, "birth_year", year)),
            table: Err("figure-vaccines-table".to_owned()),
            kinds: &[Kind::Bar],
            title: Some(format!("Coverage by vaccine, born in {year}, {month}")),
            ..trend.clone()
        };
        text += "<p>Those of the newest year of birth who have all reached the age of the measures. The line across a bar is \
                 the confidence interval.</p>\n";
        text += &bars.html(contents)?;
    }
    text += "<p>The same by year of birth. The grey lines are the other vaccines.</p>\n";
    Ok(text + &trend.html(contents)?)
}

/// What those born in one year lacked most often; of all rows where no year is named. Who lacked nothing, and rare sets,
/// are in the table alone.
fn gaps(release: &Release, year: Option<&str>) -> Result<Release> {
    const DRAWN: usize = 15;
    let is_it = |row: &usize| {
        let label = release.table.cell(*row, "birth_year");
        year.is_none_or(|year| label.is_none_or(|label| label == year)) && !release.is_complete(*row)
    };
    let sizes = (0..release.table.len()).filter(is_it).map(|row| Ok((row, release.value(row)?.numerator)));
    let mut sizes = sizes.collect::<Result<Vec<_>>>()?;
    sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    sizes.truncate(DRAWN);
    Ok(release.only(&sizes.into_iter().map(|(row, _)| row).collect::<Vec<_>>()))
}
