//! What several tables of a month tell together, and with what others have published.

use super::known::is_hidden_well;
use super::{
    Attack, COVERAGE, FIVE_LATE, FOUR_MORE, MOSTLY_GIRLS, SMALL_COUNTY, THREE_BOYS, UNKNOWN, know, none_works, publish,
    store_of,
};

/// Of Bell, Comal and Hays, four are of Comal; any two of the counties are many.
const OVERLAP: Attack = Attack {
    what: "5. A and B, B and C, all three",
    months: &[FOUR_MORE],
    asks: &[
        "coverage --measure nis.mmr1 --by birth_year --where county=Bell,Comal",
        "coverage --measure nis.mmr1 --by birth_year --where county=Comal,Hays",
        "coverage --measure nis.mmr1 --by birth_year --where county=Bell,Comal,Hays",
    ],
    plus: &["0 2021 denominator", "1 2021 denominator"],
    minus: &["2 2021 denominator"],
    people: 4,
};

const SUM_OF_TABLES: Attack = Attack {
    what: "2. all, girls, boys: Unknown is what is left",
    months: &[UNKNOWN],
    asks: &[
        "coverage --measure nis.mmr1 --by county",
        "coverage --measure nis.mmr1 --by county --where sex=F",
        "coverage --measure nis.mmr1 --by county --where sex=M",
    ],
    plus: &["0 Travis denominator"],
    minus: &["1 Travis denominator", "2 Travis denominator"],
    people: 6,
};

/// Of twenty-five clients of Travis, five are counted.
const SUM_OF_ROWS: Attack = Attack {
    what: "1. girls and boys, less the other counties",
    months: &["
        clients | CLIENT COUNTY | SEX CODE | mmr
        40 a    | Bell          | F        | yes
        40 b    | Bell          | F        | no
        40 c    | Bell          | M        | yes
        40 d    | Bell          | M        | no
        30 e    | Hays          | F        | yes
        30 f    | Hays          | F        | no
        30 g    | Hays          | M        | yes
        30 h    | Hays          | M        | no
        3 i     | Travis        | F        | yes
        10 j    | Travis        | F        | no
        2 k     | Travis        | M        | yes
        10 l    | Travis        | M        | no"],
    asks: &["coverage --measure nis.mmr1 --by sex", "coverage --measure nis.mmr1 --by county --where county=Bell,Hays"],
    plus: &["0 Female numerator", "0 Male numerator"],
    minus: &["1 Bell numerator", "1 Hays numerator"],
    people: 5,
};

const OTHER_ROWS: Attack = Attack {
    what: "3. two measures, of which one needs the other, in tables of other rows",
    months: &[FIVE_LATE],
    asks: &["coverage --measure nis.mmr1 --by county", "coverage --measure nis35.mmr1 --by county,sex"],
    plus: &["1 Travis/Female numerator", "1 Travis/Male numerator"],
    minus: &["0 Travis numerator"],
    people: 5,
};

/// Of twenty clients of Travis who came of age in December, two are counted.
const OLDER: Attack = Attack {
    what: "3. as of one month earlier: who came of age since then",
    months: &["
        clients | CLIENT COUNTY | BIRTH DATE | VACCINATION DATE | CVX CODE
        50 a    | Hays          | 2021-06-15 | 2022-07-01       | 03
        50 b    | Hays          | 2021-06-15 | 2022-07-01       | 20
        40 c    | Travis        | 2021-06-15 | 2022-07-01       | 03
        40 d    | Travis        | 2021-06-15 | 2022-07-01       | 20
        2 e     | Travis        | 2022-12-10 | 2024-01-01       | 03
        18 f    | Travis        | 2022-12-10 | 2024-01-01       | 20"],
    asks: &["coverage --measure nis.mmr1 --by county", "coverage --measure nis.mmr1 --by county --as-of 2024-11-30"],
    plus: &["0 Travis numerator"],
    minus: &["1 Travis numerator"],
    people: 2,
};

/// Four of Travis had varicella and not MMR.
const DROPOUT: Attack = Attack {
    what: "3. coverage, and dropout of those with another vaccine",
    months: &["
        clients | CLIENT COUNTY | VACCINATION DATE | CVX CODE
        60 a    | Hays          | 2022-07-01       | 03
        60 b    | Hays          | 2022-07-01       | 20
        60 c    | Hays          | 2022-07-01       | 03
        60 c    | Hays          | 2022-07-01       | 21
        60 d    | Hays          | 2022-07-01       | 21
        60 e    | Travis        | 2022-07-01       | 03
        40 f    | Travis        | 2022-07-01       | 03
        40 f    | Travis        | 2022-07-01       | 21
        40 g    | Travis        | 2022-07-01       | 20
        4 h     | Travis        | 2022-07-01       | 21"],
    asks: &["coverage --measure nis.var1 --by county", "dropout --measure nis.mmr1 --to nis.var1 --by county"],
    plus: &["0 Travis numerator", "1 Travis numerator"],
    minus: &["1 Travis denominator"],
    people: 4,
};

#[test]
fn filters_that_overlap() {
    none_works([&OVERLAP], Attack::in_public);
}

#[test]
fn filters_that_overlap_in_one_run() {
    none_works([&OVERLAP], Attack::in_one_run);
}

#[test]
fn two_tables_within_a_third() {
    none_works([&SUM_OF_TABLES], Attack::in_public);
}

#[test]
fn two_tables_within_a_third_in_one_run() {
    none_works([&SUM_OF_TABLES], Attack::in_one_run);
}

#[test]
fn two_sums() {
    none_works([&SUM_OF_ROWS], Attack::in_public);
}

#[test]
fn two_sums_in_one_run() {
    none_works([&SUM_OF_ROWS], Attack::in_one_run);
}

#[test]
fn indicators_by_other_rows() {
    none_works([&OTHER_ROWS], Attack::in_public);
}

#[test]
fn indicators_by_other_rows_in_one_run() {
    none_works([&OTHER_ROWS], Attack::in_one_run);
}

#[test]
fn two_days() {
    none_works([&OLDER], Attack::in_public);
}

#[test]
fn two_days_in_one_run() {
    none_works([&OLDER], Attack::in_one_run);
}

#[test]
fn dropout_and_coverage() {
    none_works([&DROPOUT], Attack::in_public);
}

#[test]
fn dropout_and_coverage_in_one_run() {
    none_works([&DROPOUT], Attack::in_one_run);
}

#[test]
fn a_difference_in_which_nobody_is_counted() {
    // None of the forty boys of Travis is counted.
    let month = "
        clients | CLIENT COUNTY | SEX CODE | mmr
        50 a    | Hays          | F        | yes
        50 b    | Hays          | F        | no
        50 c    | Hays          | M        | yes
        50 d    | Hays          | M        | no
        30 e    | Travis        | F        | yes
        30 f    | Travis        | F        | no
        40 g    | Travis        | M        | no";
    let context = store_of(&[month]);
    let all = publish(&context, "coverage --measure nis.mmr1 --by county").unwrap();
    let girls = publish(&context, "coverage --measure nis.mmr1 --by county --where sex=F");
    let girls = girls.as_ref().and_then(|girls| girls["Travis"].as_ref());
    let boys = all["Travis"].as_ref().zip(girls).map(|(all, girls)| all["numerator"] - girls["numerator"]);
    assert_ne!(boys, Some(0), "of all less the girls");
}

#[test]
fn counties_that_others_have_published() {
    let context = store_of(&[MOSTLY_GIRLS]);
    // Everybody knows that Travis has 103 clients.
    know(&context, "coverage --measure nis.mmr1 --by county").done();
    let table = publish(&context, "coverage --measure nis.mmr1 --by county,sex");
    let girls = table.as_ref().and_then(|table| table["Travis/Female"].as_ref());
    let boys = girls.map(|girls| 103 - girls["denominator"]);
    assert_ne!(boys, Some(3));
    // Where nobody was told of it, nothing is held to it.
    let table = publish(&store_of(&[MOSTLY_GIRLS]), "coverage --measure nis.mmr1 --by county,sex").unwrap();
    assert!(table["Travis/Female"].is_some());
}

#[test]
fn what_others_have_published_leaves_rows_of_others() {
    let context = store_of(&[THREE_BOYS]);
    know(&context, "coverage --measure nis.mmr1 --by county").done();
    let table = publish(&context, "coverage --measure nis.mmr1 --by county,sex").unwrap();
    let shown: Vec<&str> = table.iter().filter(|(_, counts)| counts.is_some()).map(|(row, _)| row.as_str()).collect();
    assert_eq!(shown, ["Bell/Female", "Bell/Male", "Hays/Female", "Hays/Male"]);
}

#[test]
fn counties_that_become_known_when_girls_have_been_published() {
    let context = store_of(&[MOSTLY_GIRLS]);
    let table = publish(&context, "coverage --measure nis.mmr1 --by county,sex").unwrap();
    assert!(table["Travis/Female"].is_some());
    let outcome = know(&context, "coverage --measure nis.mmr1 --by county").ended(1);
    let release = context.json("store/ledger/000001.json")["release_id"].as_str().unwrap().to_owned();
    let said = format!("it is noted; but what was published before tells of few clients beside it: release {release}");
    assert!(outcome.stderr.contains(&said), "{}", outcome.stderr);
}

#[test]
fn a_county_of_few_that_everybody_knows() {
    // Comal has seven, five of whom are counted, and everybody knows it. No other table suffers from that, and none says it again.
    let context = store_of(&[SMALL_COUNTY]);
    know(&context, "coverage --measure nis.mmr1 --by county").done();
    let table = publish(&context, "coverage --measure nis.mmr1 --by county").unwrap();
    assert!(table["Comal"].is_none());
    assert!(["Bell", "Hays", "Travis"].iter().all(|county| table[*county].is_some()));
    let evidence = context.phds("evidence --store store").done().text();
    assert!(
        evidence.contains("Of 1 withheld row, the tables that are known from elsewhere alone tell too much."),
        "{evidence}"
    );
}

/// By county, race and quarter of birth: each pair of them is many or nobody, and the three pairs fix all triples. One triple,
/// Hispanic of Bell born in summer, is four clients.
const TRIPLES: &str = "
    clients | CLIENT COUNTY | RACE AND ETHNICITY | BIRTH DATE | mmr
    15 a    | Bell          | Hispanic           | 2021-02-15 | yes
    15 b    | Bell          | Hispanic           | 2021-02-15 | no
    20 c    | Bell          | Hispanic           | 2021-05-15 | yes
    20 d    | Bell          | Hispanic           | 2021-05-15 | no
    2 e     | Bell          | Hispanic           | 2021-08-15 | yes
    2 f     | Bell          | Hispanic           | 2021-08-15 | no
    12 g    | Bell          | Asian              | 2021-02-15 | yes
    12 h    | Bell          | Asian              | 2021-02-15 | no
    20 i    | Bell          | Asian              | 2021-08-15 | yes
    20 j    | Bell          | Asian              | 2021-08-15 | no
    12 k    | Hays          | Hispanic           | 2021-02-15 | yes
    12 l    | Hays          | Hispanic           | 2021-02-15 | no
    20 m    | Hays          | Hispanic           | 2021-08-15 | yes
    20 n    | Hays          | Hispanic           | 2021-08-15 | no
    15 o    | Hays          | White              | 2021-05-15 | yes
    15 p    | Hays          | White              | 2021-05-15 | no
    12 q    | Hays          | White              | 2021-08-15 | yes
    12 r    | Hays          | White              | 2021-08-15 | no
    12 s    | Travis        | Asian              | 2021-05-15 | yes
    12 t    | Travis        | Asian              | 2021-05-15 | no
    20 u    | Travis        | Asian              | 2021-08-15 | yes
    20 v    | Travis        | Asian              | 2021-08-15 | no
    15 w    | Travis        | White              | 2021-05-15 | yes
    15 x    | Travis        | White              | 2021-05-15 | no";

#[test]
fn three_pairs() {
    let pairs = ["county,race_ethnicity", "county,birth_quarter", "race_ethnicity,birth_quarter"];
    let asks = pairs.map(|by| format!("{COVERAGE} {by}"));
    is_hidden_well("7. three pairs", TRIPLES, &asks.each_ref().map(String::as_str), 0);
}

/// Three of Travis, at one organization, are boys.
const ONE_CLINIC: &str = "
    clients | CLIENT COUNTY | SEX CODE | GIVEN BY ORG ID | mmr
    50 a    | Hays          | F        | 1000000001      | yes
    50 b    | Hays          | F        | 1000000001      | no
    50 c    | Hays          | M        | 1000000001      | yes
    50 d    | Hays          | M        | 1000000001      | no
    40 e    | Travis        | F        | 1000000002      | yes
    40 f    | Travis        | F        | 1000000002      | no
    2 g     | Travis        | M        | 1000000002      | yes
    1 h     | Travis        | M        | 1000000002      | no";

/// Sets of those of [`ONE_CLINIC`] who had an MMR dose, and who had none.
pub const WITH_MMR: &str = "nis.dtap4 + nis.polio3 + nis.hib_full + nis.hepb3 + nis.var1 + nis.pcv4";

/// Tables that are not shares of clients each in one row.
const OTHER_KINDS: [Attack; 11] = [
    Attack {
        what: "2. doses",
        months: &[ONE_CLINIC],
        asks: &["doses --by county", "doses --by county --where sex=F"],
        plus: &["0 Travis persons"],
        minus: &["1 Travis persons"],
        people: 3,
    },
    Attack {
        what: "2. curves",
        months: &[ONE_CLINIC],
        asks: &["curve --measure nis.mmr1 --by county", "curve --measure nis.mmr1 --by county --where sex=F"],
        plus: &["0 Travis/1 at_risk"],
        minus: &["1 Travis/1 at_risk"],
        people: 3,
    },
    Attack {
        what: "2. sets of missing parts",
        months: &[ONE_CLINIC],
        asks: &["missing --measure nis.4313314 --by county", "missing --measure nis.4313314 --by county --where sex=F"],
        plus: &["0 Travis/{WITH_MMR} denominator"],
        minus: &["1 Travis/{WITH_MMR} denominator"],
        people: 3,
    },
    Attack {
        what: "2. every organization with a visit",
        months: &[ONE_CLINIC],
        asks: &[
            "coverage --measure nis.mmr1 --by organization --attribution any",
            "coverage --measure nis.mmr1 --by organization --attribution any --where sex=F",
        ],
        plus: &["0 1000000002 denominator"],
        minus: &["1 1000000002 denominator"],
        people: 3,
    },
    Attack {
        what: "2. every organization with a visit, and the last one",
        months: &[ONE_CLINIC],
        asks: &[
            "coverage --measure nis.mmr1 --by organization --attribution any",
            "coverage --measure nis.mmr1 --by organization --where sex=F",
        ],
        plus: &["0 1000000002 denominator"],
        minus: &["1 1000000002 denominator"],
        people: 3,
    },
    Attack {
        what: "2. coverage, and doses",
        months: &[ONE_CLINIC],
        asks: &["coverage --measure nis.mmr1 --by county", "doses --by county --where sex=F"],
        plus: &["0 Travis denominator"],
        minus: &["1 Travis persons"],
        people: 3,
    },
    Attack {
        what: "2. doses, and sets of missing parts",
        months: &[ONE_CLINIC],
        asks: &["doses --by county", "missing --measure nis.4313314 --by county --where sex=F"],
        plus: &["0 Travis persons"],
        minus: &["1 Travis/{WITH_MMR} denominator"],
        people: 3,
    },
    Attack {
        what: "2. who has no other part, and who is covered",
        months: &[ONE_CLINIC],
        asks: &["missing --measure nis.4313314 --by county", "coverage --measure nis.mmr1 --by county --where sex=F"],
        plus: &["0 Travis/{WITH_MMR} numerator"],
        minus: &["1 Travis numerator"],
        people: 2,
    },
    Attack {
        what: "2. who is still at risk, and who is not covered",
        months: &[ONE_CLINIC],
        asks: &["curve --measure nis.mmr1 --by county", "coverage --measure nis.mmr1 --by county --where sex=F"],
        plus: &["0 Travis/14 at_risk", "1 Travis numerator"],
        minus: &["1 Travis denominator"],
        people: 1,
    },
    Attack {
        what: "2. events of a curve, and sets of missing parts",
        months: &[ONE_CLINIC],
        asks: &["curve --measure nis.mmr1 --by county", "missing --measure nis.4313314 --by county --where sex=F"],
        plus: &["0 Travis/13 events"],
        minus: &["1 Travis/{WITH_MMR} numerator"],
        people: 2,
    },
    Attack {
        what: "2. all, less all girls, less the boys of Hays",
        months: &[ONE_CLINIC],
        asks: &[
            "doses --by county",
            "coverage --measure nis.mmr1 --by sex --where sex=F",
            "missing --measure nis.4313314 --by county --where sex=M --where county=Hays",
        ],
        plus: &["0 Travis persons", "0 Hays persons"],
        minus: &["1 Female denominator", "2 Hays/{WITH_MMR} denominator"],
        people: 3,
    },
];

#[test]
fn tables_of_other_kinds() {
    none_works(&OTHER_KINDS, Attack::in_one_run);
}
