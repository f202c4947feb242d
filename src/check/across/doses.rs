//! The rules about clients: what the doses of each one say together.

use std::collections::BTreeSet;

use super::Outcome;
use crate::calendar;
use crate::check::fields::NO_CODE;
use crate::check::findings::RuleId;
use crate::check::ruleset::{Kind, Ruleset};
use crate::dictionary::{Dictionary, names};
use crate::period::ReportingPeriod;
use crate::spill::{each_heap, u64_at};

/// One dose as the rules about clients need it. Offset and hash of the row have 48 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dose {
    pub(super) client: u64,
    pub(super) offset: u64,
    pub(super) row: u64,
    pub(super) day: i32,
    pub(super) birth: i32,
    pub(super) cvx: u16,
    pub(super) group: u16,
    pub(super) sex: u16,
    pub(super) county: u16,
    pub(super) ordinal: u16,
}

impl Dose {
    pub(super) const WIDTH: usize = 36;
    /// What [`NO_DATE`](crate::check::fields::NO_DATE) becomes in three bytes, in which all days of four-digit years have room.
    const NO_DAY: i32 = -1 << 23;

    /// The day as a number that sorts like it: days before 1970 are negative, so that the sign bit is turned.
    fn by_day(&self) -> u64 {
        u64::from(self.day.cast_unsigned() ^ 1 << 31)
    }

    pub(super) fn bytes(&self) -> [u8; Self::WIDTH] {
        let mut bytes = [0; Self::WIDTH];
        bytes[..8].copy_from_slice(&self.client.to_le_bytes());
        for (at, number) in [self.offset, self.row].into_iter().enumerate() {
            bytes[8 + at * 6..][..6].copy_from_slice(&number.to_le_bytes()[..6]);
        }
        for (at, days) in [self.day, self.birth].into_iter().enumerate() {
            bytes[20 + at * 3..][..3].copy_from_slice(&days.max(Self::NO_DAY).to_le_bytes()[..3]);
        }
        for (at, number) in [self.cvx, self.group, self.sex, self.county, self.ordinal].into_iter().enumerate() {
            bytes[26 + at * 2..][..2].copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Self {
        // Six bytes of eight, and three of four with the sign: the bytes before them are shifted out.
        let six = |at: usize| u64_at(bytes, at - 2) >> 16;
        let days = |at: usize| i32::from_le_bytes(bytes[at - 1..].first_chunk().copied().unwrap_or_default()) >> 8;
        let short = |at: usize| u16::from_le_bytes(bytes[at..].first_chunk().copied().unwrap_or_default());
        Self {
            client: u64_at(bytes, 0),
            offset: six(8),
            row: six(14),
            day: days(20),
            birth: days(23),
            cvx: short(26),
            group: short(28),
            sex: short(30),
            county: short(32),
            ordinal: short(34),
        }
    }
}

/// A rule about clients, by what it looks at.
#[derive(Clone, Copy, Debug)]
pub(super) enum OfClients {
    RowAgain,
    DoseAgain,
    SoonAgain,
    Birth,
    Sex,
    County,
    Ordinal,
    Many,
    BirthAlone,
}

impl OfClients {
    pub(super) const COUNT: usize = Self::BirthAlone as usize + 1;
    /// Those that count clients, and not rows.
    pub(super) const OF_ONE_EACH: [Self; 2] = [Self::Many, Self::BirthAlone];
}

/// The rules about clients that can be checked.
#[derive(Debug)]
pub(super) struct ClientRules {
    pub(super) ids: [Option<RuleId>; OfClients::COUNT],
    soon_again: SoonAgain,
    /// How many doses a client may have.
    most: usize,
    birth_alone: Option<BirthAlone>,
}

impl Default for ClientRules {
    fn default() -> Self {
        let ids = [None; OfClients::COUNT];
        Self { ids, soon_again: SoonAgain::default(), most: usize::MAX, birth_alone: None }
    }
}

impl ClientRules {
    /// Takes in a rule, when it is about clients.
    pub(super) fn take(&mut self, id: RuleId, kind: &Kind, dictionary: &Dictionary, period: ReportingPeriod) {
        let of = match kind {
            Kind::RowAgain => OfClients::RowAgain,
            Kind::DoseAgain => OfClients::DoseAgain,
            Kind::OrdinalOrder => OfClients::Ordinal,
            Kind::ClientDiffers { column } if column == names::BIRTH_DATE => OfClients::Birth,
            Kind::ClientDiffers { column } if column == names::SEX => OfClients::Sex,
            Kind::ClientDiffers { column } if column == names::COUNTY => OfClients::County,
            Kind::ManyDoses { most } => {
                self.most = *most;
                OfClients::Many
            }
            Kind::DoseSoonAgain { groups, days } => {
                let groups = Ruleset::codes_of_groups(groups, dictionary).into_iter().collect();
                self.soon_again = SoonAgain { groups, days: i32::from(*days) };
                OfClients::SoonAgain
            }
            Kind::BirthDoseAlone { group, days, years } => {
                let born_by = calendar::born_by(calendar::day(period.last_day()), u32::from(*years) * 12);
                let groups = Ruleset::codes_of_groups(std::slice::from_ref(group), dictionary);
                let alone = |group: &u16| BirthAlone { group: *group, days: i32::from(*days), born_by };
                self.birth_alone = groups.first().map(alone);
                OfClients::BirthAlone
            }
            _ => return,
        };
        self.ids[of as usize] = Some(id);
    }
}

/// When a dose is too soon after another one.
#[derive(Debug, Default)]
struct SoonAgain {
    /// Of these vaccine groups.
    groups: BTreeSet<u16>,
    /// When fewer days lie between them.
    days: i32,
}

impl SoonAgain {
    fn is(&self, group: u16, days: i32) -> bool {
        days < self.days && self.groups.contains(&group)
    }
}

/// Who has been given nothing since birth.
#[derive(Debug)]
struct BirthAlone {
    /// All doses are of this vaccine group.
    group: u16,
    /// And were given at so many days of age at most.
    days: i32,
    /// The last birth of those who are old enough.
    born_by: i32,
}

impl BirthAlone {
    fn is(&self, birth: i32, doses: &[Dose]) -> bool {
        let at_birth = |dose: &Dose| (0..=self.days).contains(&dose.day.saturating_sub(birth));
        birth != Dose::NO_DAY
            && birth <= self.born_by
            && doses.iter().all(|dose| dose.group == self.group && at_birth(dose))
    }
}

/// What the rules about clients come to.
#[derive(Debug, Default)]
pub(super) struct ClientOutcomes {
    pub(super) clients: u64,
    pub(super) rows: u64,
    pub(super) outcomes: [Outcome; OfClients::COUNT],
}

impl ClientOutcomes {
    pub(super) fn of(&mut self, rule: OfClients) -> &mut Outcome {
        &mut self.outcomes[rule as usize]
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.clients += other.clients;
        self.rows += other.rows;
        for (outcome, other) in self.outcomes.iter_mut().zip(other.outcomes) {
            outcome.merge(other);
        }
    }

    /// Looks at all doses of one client, which come in the order of the file. `sorted` is room to sort them in.
    pub(super) fn look(&mut self, doses: &[Dose], rules: &ClientRules, sorted: &mut Vec<(u64, u32)>) {
        self.clients += 1;
        self.rows += doses.len() as u64;
        // The row that describes the client in the store: the latest vaccination, of equals the last in the file.
        let Some(used) = doses.iter().max_by_key(|dose| (dose.day, dose.offset)) else { return };
        for dose in doses {
            if dose.birth != used.birth {
                self.of(OfClients::Birth).failed(dose.offset, 1);
            }
            let differs = |one: u16, other: u16| one != other && one != NO_CODE && other != NO_CODE;
            if differs(dose.sex, used.sex) {
                self.of(OfClients::Sex).failed(dose.offset, 1);
            }
            if differs(dose.county, used.county) {
                self.of(OfClients::County).failed(dose.offset, 1);
            }
        }
        if rules.birth_alone.as_ref().is_some_and(|alone| alone.is(used.birth, doses)) {
            self.of(OfClients::BirthAlone).failed(doses[0].offset, 1);
        }
        if doses.len() == 1 {
            return;
        }
        sort(sorted, doses, |_, dose| Some(dose.by_day() << 32 | u64::from(dose.cvx) << 16 | u64::from(dose.group)));
        let most = rules.most;
        if doses.len() > most && sorted.chunk_by(|one, other| one.0 >> 16 == other.0 >> 16).count() > most {
            self.of(OfClients::Many).failed(doses[0].offset, 1);
        }
        // A row that is there again is that, and not a dose again.
        let (mut again, mut rows) = (Vec::new(), Vec::new());
        for same in sorted.chunk_by(|one, other| one.0 == other.0).filter(|same| same.len() > 1) {
            rows.clear();
            rows.extend(same.iter().map(|(_, at)| (doses[*at as usize].row, *at)));
            rows.sort_unstable();
            for equal in rows.chunk_by(|one, other| one.0 == other.0) {
                let first = &doses[equal[0].1 as usize];
                if equal[0].1 != same[0].1 && first.cvx != NO_CODE {
                    self.of(OfClients::DoseAgain).failed(first.offset, 1);
                }
                for (_, at) in &equal[1..] {
                    self.of(OfClients::RowAgain).failed(doses[*at as usize].offset, 1);
                    again.push(*at);
                }
            }
        }
        again.sort_unstable();
        sort(sorted, doses, |at, dose| {
            let is_of_group = dose.group != NO_CODE && again.binary_search(&at).is_err();
            is_of_group.then(|| u64::from(dose.group) << 48 | dose.by_day() << 16 | u64::from(dose.ordinal))
        });
        for group in sorted.chunk_by(|one, other| one.0 >> 48 == other.0 >> 48) {
            let dose = |(_, at): &(u64, u32)| &doses[*at as usize];
            let (mut highest, mut before) = (0, i32::MIN);
            for day in group.chunk_by(|one, other| one.0 >> 16 == other.0 >> 16) {
                for dose in day.iter().map(dose).filter(|dose| dose.ordinal < highest) {
                    self.of(OfClients::Ordinal).failed(dose.offset, 1);
                }
                let ordinals = day.iter().map(|one| dose(one).ordinal).filter(|ordinal| *ordinal != NO_CODE);
                highest = ordinals.fold(highest, u16::max);
                let Dose { day: today, group, .. } = *dose(&day[0]);
                if before > Dose::NO_DAY && rules.soon_again.is(group, today.saturating_sub(before)) {
                    for one in day {
                        self.of(OfClients::SoonAgain).failed(dose(one).offset, 1);
                    }
                }
                before = today;
            }
        }
    }
}

/// Sorts doses by a number that those have which are to be looked at, and by their order in the file.
fn sort(sorted: &mut Vec<(u64, u32)>, doses: &[Dose], by: impl Fn(u32, &Dose) -> Option<u64>) {
    sorted.clear();
    sorted.extend((0..).zip(doses).filter_map(|(at, dose)| Some((by(at, dose)?, at))));
    sorted.sort_unstable();
}

/// Gives the doses of each client of a bucket, in the order of the file.
pub(super) fn each_history(bytes: &[u8], mut look: impl FnMut(&[Dose])) {
    let mut doses: Vec<Dose> = Vec::new();
    each_heap(
        bytes,
        Dose::WIDTH,
        |entry| u64_at(entry, 0),
        |heap| {
            doses.clear();
            doses.extend(heap.iter().map(|number| Dose::read(&bytes[*number as usize * Dose::WIDTH..][..Dose::WIDTH])));
            doses.sort_unstable_by_key(|dose| (dose.client, dose.offset));
            doses.chunk_by(|one, other| one.client == other.client).for_each(&mut look);
        },
    );
}
