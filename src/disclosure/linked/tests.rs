//! Small registries, in which a reader can follow who is where. k = 5, w = 3.

use std::collections::BTreeSet;

use super::{Follows, Linked};
use crate::disclosure::table::Rule;
use crate::query::{Members, Trait};

const RULE: Rule = Rule { k: 5, w: 3 };

/// A client: county, sex, and whether two series are complete, the second of which needs the first.
#[derive(Clone, Copy)]
struct Client {
    county: &'static str,
    sex: &'static str,
    first: bool,
    second: bool,
}

/// So many clients of a county and sex, of whom so many have the first series and, of these, both.
fn people(groups: &[(&'static str, &'static str, usize, usize, usize)]) -> Vec<Client> {
    let each = groups.iter().flat_map(|(county, sex, all, first, second)| {
        (0..*all).map(move |at| Client { county, sex, first: at < *first, second: at < *second })
    });
    each.collect()
}

/// The rows of a table of those clients who are wanted, by some labels.
fn table(
    people: &[Client],
    wanted: impl Fn(&Client) -> bool,
    by: impl Fn(&Client) -> Vec<&'static str>,
    counted: impl Fn(&Client) -> bool,
) -> Members {
    let mut rows = std::collections::BTreeMap::<Vec<String>, Vec<(i64, bool)>>::new();
    for (key, client) in (0..).zip(people).filter(|(_, client)| wanted(client)) {
        let labels = by(client).into_iter().map(str::to_owned).collect();
        rows.entry(labels).or_default().push((key, counted(client)));
    }
    let told = |name: &str| Trait { name: name.to_owned(), family: Some(name.to_owned()) };
    let by = rows.keys().next().map_or(0, Vec::len);
    let by = ["county", "sex"][..by].iter().map(|name| told(name)).collect();
    Members { of_people: false, by, chosen_by: vec![told("sex")], rows: rows.into_iter().collect() }
}

/// Which rows may be shown by themselves.
fn alone(members: &Members) -> Vec<bool> {
    let few = |count: usize| (1..5).contains(&count);
    let may = members.rows.iter().map(|(_, clients)| {
        let yes = clients.iter().filter(|(_, yes)| *yes).count();
        !(few(yes) || few(clients.len()) || few(clients.len() - yes))
    });
    may.collect()
}

/// The labels of the rows that are shown, and what would follow from the others.
fn admit(linked: &mut Linked, name: &str, outcome: &str, members: &Members) -> (String, Vec<Follows>) {
    let (shown, reasons) = linked.admit(name, outcome, members, alone(members));
    let rows = members.rows.iter().zip(shown).filter(|(_, shown)| *shown);
    let rules: BTreeSet<_> = reasons.iter().map(|reason| reason.rule).collect();
    (rows.map(|((labels, _), _)| labels.join("/")).collect::<Vec<_>>().join(" "), rules.into_iter().collect())
}

fn by_county(people: &[Client]) -> Members {
    table(people, |_| true, |client| vec![client.county], |client| client.first)
}

#[test]
fn of_all_less_a_part_few_are_left() {
    // In Hays, 3 of 60 are boys: all, and then the girls alone, would tell of them.
    let people =
        people(&[("Bell", "F", 40, 20, 0), ("Bell", "M", 40, 20, 0), ("Hays", "F", 57, 30, 0), ("Hays", "M", 3, 0, 0)]);
    let girls = table(&people, |client| client.sex == "F", |client| vec![client.county], |client| client.first);
    for totals in [false, true] {
        let mut linked = Linked::new(RULE, totals);
        assert_eq!(admit(&mut linked, "all", "x", &by_county(&people)).0, "Bell Hays");
        let (shown, why) = admit(&mut linked, "girls", "x", &girls);
        assert_eq!((shown.as_str(), why.contains(&Follows::Difference)), (if totals { "" } else { "Bell" }, true));
    }
    // The other way round, the county is what gives way.
    let mut linked = Linked::new(RULE, false);
    assert_eq!(admit(&mut linked, "girls", "x", &girls).0, "Bell Hays");
    assert_eq!(admit(&mut linked, "all", "x", &by_county(&people)), ("Bell".to_owned(), vec![Follows::Difference]));
    // By another indicator, the number of clients follows all the same.
    let mut linked = Linked::new(RULE, false);
    admit(&mut linked, "all", "x", &by_county(&people));
    assert_eq!(admit(&mut linked, "girls", "y", &girls).0, "Bell");
}

#[test]
fn the_numerators_of_a_difference_are_counts_too() {
    // Of the 20 boys of Hays, 2 are complete; of the 20 of Bell 8.
    let people =
        people(&[("Bell", "F", 40, 20, 0), ("Bell", "M", 20, 8, 0), ("Hays", "F", 40, 20, 0), ("Hays", "M", 20, 2, 0)]);
    let girls = table(&people, |client| client.sex == "F", |client| vec![client.county], |client| client.first);
    let mut linked = Linked::new(RULE, false);
    admit(&mut linked, "all", "x", &by_county(&people));
    assert_eq!(admit(&mut linked, "girls", "x", &girls), ("Bell".to_owned(), vec![Follows::Difference]));
    // Another name for the same tells the same.
    let mut linked = Linked::new(RULE, false);
    admit(&mut linked, "all", "x", &by_county(&people));
    assert_eq!(admit(&mut linked, "girls", "y", &girls).0, "Bell");
}

#[test]
fn where_all_are_known_a_withheld_row_is_not_alone() {
    let people = people(&[
        ("Bell", "F", 40, 20, 0),
        ("Hays", "F", 30, 15, 0),
        ("Ward", "F", 60, 30, 0),
        ("Loving", "F", 4, 2, 0),
    ]);
    let mut linked = Linked::new(RULE, false);
    assert_eq!(admit(&mut linked, "counties", "x", &by_county(&people)).0, "Bell Hays Ward");
    // With the total, Loving would follow; the smallest other one goes with it.
    let mut linked = Linked::new(RULE, true);
    assert_eq!(admit(&mut linked, "counties", "x", &by_county(&people)).0, "Bell Ward");
}

#[test]
fn a_withheld_row_of_an_earlier_table_stays_withheld() {
    // Counties by sex first: of Loving, only the girls are few. Then counties: Loving less its boys would be its girls.
    let people = people(&[
        ("Bell", "F", 40, 20, 0),
        ("Bell", "M", 40, 20, 0),
        ("Loving", "F", 10, 2, 0),
        ("Loving", "M", 30, 15, 0),
        ("Ward", "F", 60, 30, 0),
        ("Ward", "M", 60, 30, 0),
    ]);
    let cross = table(&people, |_| true, |client| vec![client.county, client.sex], |client| client.first);
    let mut linked = Linked::new(RULE, false);
    assert_eq!(admit(&mut linked, "cross", "x", &cross).0, "Bell/F Bell/M Loving/M Ward/F Ward/M");
    assert_eq!(admit(&mut linked, "counties", "x", &by_county(&people)).0, "Bell Ward");
    // Counties first: then two rows of Loving are withheld.
    let mut linked = Linked::new(RULE, false);
    assert_eq!(admit(&mut linked, "counties", "x", &by_county(&people)).0, "Bell Loving Ward");
    assert_eq!(admit(&mut linked, "cross", "x", &cross).0, "Bell/F Bell/M Ward/F Ward/M");
}

#[test]
fn two_indicators_of_which_one_needs_the_other_tell_of_those_between() {
    // In Hays, 3 clients have the first series and not the second.
    let people = people(&[("Bell", "F", 60, 40, 20), ("Hays", "F", 60, 40, 37), ("Ward", "F", 60, 40, 40)]);
    let second = table(&people, |_| true, |client| vec![client.county], |client| client.second);
    let mut linked = Linked::new(RULE, false);
    admit(&mut linked, "first", "x", &by_county(&people));
    assert_eq!(admit(&mut linked, "second", "y", &second), ("Bell Ward".to_owned(), vec![Follows::Indicators]));
}

#[test]
fn the_same_rows_are_withheld_when_asked_again() {
    let people = people(&[
        ("Bell", "F", 40, 20, 0),
        ("Hays", "F", 30, 15, 0),
        ("Ward", "F", 60, 30, 0),
        ("Loving", "F", 4, 2, 0),
    ]);
    let mut linked = Linked::new(RULE, true);
    let first = admit(&mut linked, "a", "x", &by_county(&people));
    assert_eq!(admit(&mut linked, "b", "x", &by_county(&people)).0, first.0);
}

/// Counties by sex; in Hays, 3 of 60 are boys.
fn three_boys() -> Vec<Client> {
    people(&[("Bell", "F", 40, 20, 0), ("Bell", "M", 40, 20, 0), ("Hays", "F", 57, 30, 0), ("Hays", "M", 3, 1, 0)])
}

fn by_county_and_sex(people: &[Client]) -> Members {
    table(people, |_| true, |client| vec![client.county, client.sex], |client| client.first)
}

#[test]
fn a_table_that_is_known_from_elsewhere_is_held_to() {
    // Without it, the girls of Hays can be shown: nobody knows how many clients Hays has.
    let people = three_boys();
    let cross = by_county_and_sex(&people);
    let mut linked = Linked::new(RULE, false);
    assert_eq!(admit(&mut linked, "cross", "x", &cross).0, "Bell/F Bell/M Hays/F");
    let mut linked = Linked::new(RULE, false);
    linked.add_known("known", "x", &by_county(&people));
    assert_eq!(admit(&mut linked, "cross", "x", &cross), ("Bell/F Bell/M".to_owned(), vec![Follows::Difference]));
}

#[test]
fn what_is_known_from_elsewhere_alone_is_no_fault_of_a_new_table() {
    // Everybody knows that 3 clients of Hays are boys. A new table does not show them, and shows all others.
    let people = three_boys();
    let cross = by_county_and_sex(&people);
    for totals in [false, true] {
        let mut linked = Linked::new(RULE, totals);
        linked.add_known("known", "x", &cross);
        assert_eq!(admit(&mut linked, "again", "x", &cross), ("Bell/F Bell/M Hays/F".to_owned(), vec![]));
        assert_eq!(admit(&mut linked, "county", "x", &by_county(&people)), ("Bell Hays".to_owned(), vec![]));
        assert_eq!(linked.known_too_well(), 1);
    }
}

#[test]
fn what_is_known_from_elsewhere_gives_no_leave_for_more() {
    // The clients of Ward are known, 4 of Loving with them; who of them has the second series is not, and stays unknown.
    let people = people(&[
        ("Bell", "F", 40, 20, 10),
        ("Hays", "F", 30, 15, 8),
        ("Ward", "F", 60, 30, 20),
        ("Loving", "F", 4, 2, 1),
    ]);
    let second = table(&people, |_| true, |client| vec![client.county], |client| client.second);
    let mut linked = Linked::new(RULE, true);
    linked.add_known("known", "x", &by_county(&people));
    assert_eq!(admit(&mut linked, "second", "y", &second).0, "Bell Ward");
}

#[test]
fn a_release_is_looked_at_beside_what_is_known_since() {
    let people = three_boys();
    let cross = by_county_and_sex(&people);
    let mut linked = Linked::new(RULE, false);
    let (shown, _) = linked.admit("cross", "x", &cross, alone(&cross));
    for (known, tells) in [(true, true), (false, false)] {
        let mut linked = Linked::new(RULE, false);
        if known {
            linked.add_known("known", "x", &by_county(&people));
        }
        let found = linked.add_and_look("cross", "x", &cross, shown.clone());
        assert_eq!(found.contains(&Follows::Difference), tells, "{found:?}");
    }
}

#[test]
fn what_totals_tell_of_few_costs_tables_of_others_nothing() {
    // The second table lacks two clients of Cass: 1,802 and 1,800 in all, and nobody can help it.
    let people = people(&[
        ("Bell", "F", 500, 250, 100),
        ("Bell", "M", 500, 250, 100),
        ("Cass", "F", 202, 100, 2),
        ("Dale", "F", 300, 160, 60),
        ("Dale", "M", 300, 140, 50),
        ("Hays", "F", 300, 150, 60),
        ("Hays", "M", 350, 170, 70),
        ("Ward", "F", 400, 200, 80),
        ("Ward", "M", 420, 210, 90),
    ]);
    let by_county = |client: &Client| vec![client.county];
    let by_sex = |client: &Client| vec![client.sex];
    let is_first = |client: &Client| ["Bell", "Cass", "Dale"].contains(&client.county);
    let mut linked = Linked::new(RULE, true);
    let first = table(&people, is_first, by_sex, |client| client.first);
    assert_eq!(admit(&mut linked, "a", "x", &first).0, "F M");
    let is_second = |client: &Client| is_first(client) && !(client.county == "Cass" && client.second);
    let second = table(&people, is_second, by_county, |client| client.first);
    assert_eq!(admit(&mut linked, "b", "y", &second).0, "Bell");
    for (name, by, rows) in [("c", by_county as fn(&Client) -> _, "Hays Ward"), ("d", by_sex, "F M")] {
        let others = table(&people, |client| !is_first(client), by, |client| client.first);
        assert_eq!(admit(&mut linked, name, "z", &others), (rows.to_owned(), vec![]));
    }
}
