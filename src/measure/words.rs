//! A measure in words that are made from what is counted, so that they cannot say anything else.

use super::opportunity::{Due, Vaccine};
use super::{Age, Basis, Cutoff, Deadline, Measures, Requirement, Rule, Schedule, Way};

impl Measures {
    /// Who is asked about, a sentence.
    pub fn cohort(&self, at: usize) -> String {
        let measure = &self.list[at];
        let under = measure
            .under_age_months
            .map(|under| format!(" and are younger than {}", months(under)))
            .unwrap_or_default();
        let history = measure
            .history_from_months
            .map(|from| format!(", if the file has all years since they were {} old", months(from)));
        match self.deadlines[at] {
            Deadline::Age(age, _) => format!(
                "Clients who have reached {}{under} on the as-of date{}.",
                months(age),
                history.unwrap_or_else(|| ", if the file has all years since they were born".to_owned())
            ),
            Deadline::Season(season) => format!(
                "Clients who have reached {}{under} on {} of the season, or on the as-of date where that is earlier{}.",
                months(season.from_age_months),
                season.aged_on,
                history.unwrap_or_default()
            ),
        }
    }

    /// What must have been given by when: a sentence, and its parts, of which it says how many are needed.
    pub fn what_counts(&self, at: usize) -> (String, Vec<String>) {
        let measure = &self.list[at];
        let by = match self.deadlines[at] {
            Deadline::Age(age, Cutoff::BeforeBirthday) => {
                format!("before the day on which the client reaches {}", months(age))
            }
            Deadline::Age(age, Cutoff::ThroughBirthday) => {
                format!("on or before the day on which the client reaches {}", months(age))
            }
            Deadline::Season(_) => "in the season of the as-of date, from July 1 to that date".to_owned(),
        };
        let named = |parts: &[usize]| {
            parts.iter().map(|part| format!("{}: {}", self.list[*part].id, self.list[*part].definition)).collect()
        };
        match &self.requirements[at] {
            Requirement::Series(rules) => {
                let one = if rules.len() == 1 { "this" } else { "one of these" };
                let ways = measure.series.iter().zip(rules).map(|(way, rule)| self.way(way, rule));
                (format!("Counted is who has {one} {by}:"), ways.collect())
            }
            Requirement::AllOf(parts) => (format!("Counted is who has the series of all of these {by}:"), named(parts)),
            Requirement::NoneOf(parts) => {
                (format!("Counted is who has the series of none of these {by}:"), named(parts))
            }
        }
    }

    /// How far the definition is to be trusted, a sentence.
    pub fn trust(&self, at: usize) -> &'static str {
        match self.list[at].basis {
            Basis::Read => "The definition was read there.",
            Basis::Derived => "The definition was put together from it.",
            Basis::Memory => "The definition is from memory: compare it with the source before you rely on it.",
        }
    }

    /// The edition of the schedule, a sentence.
    pub fn edition_of_schedule(&self, at: usize) -> Option<&'static str> {
        self.list[at].schedule.map(|schedule| match schedule {
            Schedule::Before2026 => "Follows CDC's schedule as it was until 2026-01-04.",
            Schedule::From2026 => "Follows the schedule that CDC announced on 2026-01-05.",
        })
    }

    /// Up to when the last dose is on time, a sentence.
    pub fn on_time(&self, at: usize) -> Option<String> {
        let late = self.list[at].late_after?;
        Some(format!("The schedule calls the last dose late after {late}."))
    }

    /// When the doses that a measure with a series needs could have been given at the earliest, a phrase for each; nothing
    /// where missed opportunities are not known.
    pub fn earliest_doses(&self, at: usize) -> Vec<String> {
        let needed = self.rules(at).iter().map(|way| way.doses).max().unwrap_or_default();
        self.opportunities.vaccine(at).map(|vaccine| vaccine.in_words(needed)).unwrap_or_default()
    }

    /// What the measure is not, and what must be known of it: whether it is the department's own, its own words, then those
    /// of its family.
    pub fn caveats(&self, at: usize) -> impl Iterator<Item = &str> {
        let own = self.is_own(at).then_some("A definition of the department's own: phds does not come with it.");
        own.into_iter().chain(self.list[at].caveats.iter().chain(&self.family(at).caveats).map(String::as_str))
    }

    fn way(&self, way: &Way, rule: &Rule) -> String {
        let vaccines = in_window(&sets(&way.codes), way.from, way.through);
        let mut text = match way.doses {
            1 => format!("1 dose of {vaccines}"),
            doses => format!("doses on {doses} different days of {vaccines}"),
        };
        if let Some(also) = &way.also {
            text += &format!("; or of {}", in_window(&sets(&also.codes), also.from, also.through));
        }
        if let Some((only, (_, others))) = way.only.as_ref().zip(rule.without) {
            let products =
                self.codes_of(rule.given.set).into_iter().filter(|code| !self.codes_of(others.set).contains(code));
            text += &format!(
                "; and of these vaccines only {} (CVX {}) on the first {} of the days",
                sets(&only.codes),
                products.collect::<Vec<_>>().join(", "),
                only.first
            );
        }
        let mut add = |words: &str, age: Option<Age>, after: &str| {
            text += &age.map(|age| format!("; {words}{}{after}", less(age))).unwrap_or_default();
        };
        add("the first at ", way.first_from, " or later");
        add("the first before ", way.first_before, "");
        add("one of them at ", way.last_from, " or later");
        add("each ", way.apart, " or more after the one that counted before");
        text += &match way.before_season {
            None => String::new(),
            Some(1) => "; and on a day before the season".to_owned(),
            Some(days) => format!("; and on {days} different days before the season"),
        };
        text
    }
}

impl Vaccine {
    /// Each dose of a series of no more than so many, with its earliest day.
    pub fn in_words(&self, doses: usize) -> Vec<String> {
        let numbered = self.doses.iter().enumerate().map(|(at, due)| format!("dose {}: {}", at + 1, due.in_words()));
        let last = self.last.iter().map(|due| format!("the last dose: {}", due.in_words()));
        numbered.take(doses - last.len()).chain(last).collect()
    }
}

impl Due {
    fn in_words(&self) -> String {
        let add = |age: Option<Age>, before: &str, after: &str| age.map(|age| format!("{before}{}{after}", less(age)));
        let facts = [
            add(self.from, "from ", " of age"),
            add(self.before, "before ", " of age"),
            add(self.after, "", " or more after the one before"),
            add(self.after_first, "", " or more after the first"),
        ];
        facts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// The names of code sets, without the family that they are of.
fn sets(names: &[String]) -> String {
    names.iter().map(|name| name.rsplit(':').next().unwrap_or(name)).collect::<Vec<_>>().join(" or ")
}

fn in_window(vaccines: &str, from: Option<Age>, through: Option<Age>) -> String {
    match (from, through) {
        (None, None) => vaccines.to_owned(),
        (Some(from), None) => format!("{vaccines} at {} or later", less(from)),
        (None, Some(through)) => format!("{vaccines} at {} or earlier", less(through)),
        (Some(from), Some(through)) if from == through => format!("{vaccines} on the day of {}", less(from)),
        (Some(from), Some(through)) => format!("{vaccines} from {} through {} of age", less(from), less(through)),
    }
}

fn less(age: Age) -> String {
    age.to_string().replace(" - ", " less ")
}

fn months(months: u32) -> String {
    Age::of_months(months).to_string()
}
