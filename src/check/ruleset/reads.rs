//! Which columns a rule reads, and so whether it can be checked.

use super::{Kind, Rule, Ruleset};
use crate::dictionary::{Dictionary, Field, Unlisted, names};
use crate::period::ReportingPeriod;

impl Ruleset {
    /// The fields that a rule about whole rows reads, by name; a finding points at the last one.
    fn reads(rule: &Rule) -> Vec<&str> {
        match &rule.kind {
            Kind::DateOrder { earlier, later } => vec![earlier, later],
            Kind::DateRange { column, .. }
            | Kind::CodeIs { column, unless_item: None, .. }
            | Kind::IdAgain { column } => vec![column],
            Kind::CodeIs { column, unless_item: Some(_), .. } => vec![names::VACCINE_GROUP, column],
            Kind::AgeOver { .. } => vec![names::VACCINATION_DATE, names::BIRTH_DATE],
            Kind::AgeInMonths { .. } => vec![names::BIRTH_DATE, names::VACCINATION_DATE, names::AGE_IN_MONTHS],
            Kind::ZipCounty { .. } => vec![names::ZIP, names::COUNTY],
            Kind::StateCounty { .. } => vec![names::COUNTY, names::STATE],
            Kind::VaccineGroup { .. } | Kind::DisasterRetention { .. } => vec![names::CVX, names::VACCINE_GROUP],
            Kind::CodeDate { column, .. } => vec![names::VACCINATION_DATE, column],
            Kind::CodeAge { column, .. } => vec![names::BIRTH_DATE, names::VACCINATION_DATE, column],
            Kind::ConsentAge { .. } => vec![names::BIRTH_DATE, names::CONSENT_TYPE],
            Kind::DisasterItemTooNew { .. } => vec![names::VACCINATION_DATE, names::CVX],
            Kind::DisasterWindow { .. } | Kind::DisasterItemDate { .. } => {
                vec![names::VACCINE_GROUP, names::CVX, names::VACCINATION_DATE]
            }
            Kind::ConsentClass => vec![
                names::VACCINE_GROUP,
                names::CVX,
                names::VACCINATION_DATE,
                names::DISASTER_CONSENT,
                names::CONSENT_TYPE,
            ],
            Kind::ConsentActive { .. } => vec![names::CONSENT_DATE],
            Kind::ConsentRecorded => vec![names::CONSENT_TYPE],
            Kind::RoundedClientId | Kind::RowAgain | Kind::ManyDoses { .. } => vec![names::CLIENT],
            Kind::DoseAgain => vec![names::CLIENT, names::CVX, names::VACCINE_GROUP, names::VACCINATION_DATE],
            Kind::DoseSoonAgain { .. } => vec![names::CLIENT, names::VACCINE_GROUP, names::VACCINATION_DATE],
            Kind::BirthDoseAlone { .. } => {
                vec![names::BIRTH_DATE, names::VACCINE_GROUP, names::VACCINATION_DATE, names::CLIENT]
            }
            Kind::IdDiffers { column, by } => by.iter().chain([column]).map(String::as_str).collect(),
            Kind::ClientDiffers { column } => vec![names::CLIENT, column],
            Kind::OrganizationsMoved { .. } => vec![names::ORGANIZATION],
            Kind::ManyOrganizations { .. } => vec![names::CLIENT, names::ORGANIZATION],
            Kind::OtherJurisdiction { .. } => vec![names::RESPONSIBLE_ENTITY],
            Kind::OrdinalOrder => vec![names::VACCINATION_DATE, names::VACCINE_GROUP, names::ORDINAL],
            _ => Vec::new(),
        }
    }

    /// The headers of the columns that a rule about whole rows reads.
    pub(in crate::check) fn columns(rule: &Rule, dictionary: &Dictionary) -> Vec<String> {
        Self::reads(rule).iter().filter_map(|name| Some(dictionary.field(name)?.header.clone())).collect()
    }

    /// The header of the column at which a finding about a whole row points.
    pub(in crate::check) fn points_at<'a>(rule: &Rule, dictionary: &'a Dictionary) -> Option<&'a str> {
        Self::reads(rule).last().and_then(|name| dictionary.field(name)).map(|field| field.header.as_str())
    }

    /// Why a rule cannot be checked on a period with this dictionary, when that is so.
    pub(in crate::check) fn not_checkable(
        rule: &Rule,
        dictionary: &Dictionary,
        period: ReportingPeriod,
    ) -> Option<String> {
        let gone = Self::reads(rule).into_iter().filter(|name| dictionary.field(name).is_none());
        let gone: Vec<_> = gone.map(|name| format!("`{name}`")).collect();
        if !gone.is_empty() {
            return Some(format!("the dictionary maps no column of the file to {}", gone.join(" and ")));
        }
        match &rule.kind {
            Kind::DateRange { range, .. } | Kind::DisasterItemDate { range, .. }
                if range.limits().any(|limit| limit.day(period, dictionary).is_none()) =>
            {
                Some("the dictionary names no last inclusion year".to_owned())
            }
            Kind::Code { unlisted } => {
                let is_of = |field: &Field| field.codelist.is_some() && field.unlisted == *unlisted;
                let word = match unlisted {
                    Unlisted::Reject => "reject",
                    Unlisted::Review => "review",
                };
                let is_none = !dictionary.fields().iter().any(is_of);
                is_none.then(|| format!("no field of the dictionary has `unlisted = {word}`"))
            }
            Kind::DisasterRetention { until, .. } if period.last_day() <= *until => {
                Some(format!("it applies to periods that end after {until}"))
            }
            _ if Self::groups(rule).is_some_and(|groups| Self::codes_of_groups(groups, dictionary).is_empty()) => {
                Some(format!("the codelist of `{}` has none of the groups", names::VACCINE_GROUP))
            }
            _ => Self::columns_of_codelist(rule).into_iter().find_map(|(field, column)| {
                let codelist = dictionary.field(field).and_then(|field| dictionary.codelist(field));
                (!codelist.is_some_and(|codelist| codelist.has_column(column)))
                    .then(|| format!("the codelist of `{field}` has no column `{column}`"))
            }),
        }
    }

    /// The vaccine groups that a rule names.
    fn groups(rule: &Rule) -> Option<&[String]> {
        match &rule.kind {
            Kind::DoseSoonAgain { groups, .. } => Some(groups),
            Kind::BirthDoseAlone { group, .. } => Some(std::slice::from_ref(group)),
            _ => None,
        }
    }

    /// The codes of vaccine groups as values have them. A department's codelist may lack some.
    pub(in crate::check) fn codes_of_groups(groups: &[String], dictionary: &Dictionary) -> Vec<u16> {
        let codelist = dictionary.field(names::VACCINE_GROUP).and_then(|field| dictionary.codelist(field));
        let find = |group: &String| codelist?.find(group.as_bytes(), true);
        groups.iter().filter_map(find).collect()
    }

    /// The columns of codelists that a rule reads, each with the field of the codelist.
    fn columns_of_codelist(rule: &Rule) -> Vec<(&str, &str)> {
        match &rule.kind {
            Kind::VaccineGroup { groups } => vec![(names::CVX, groups)],
            Kind::CodeIs { column, set, .. } => {
                set.marked.iter().map(|marked| (column.as_str(), marked.as_str())).collect()
            }
            Kind::CodeDate { column, in_use_from, in_use_to, .. } => {
                in_use_from.iter().chain(in_use_to).map(|name| (column.as_str(), name.as_str())).collect()
            }
            Kind::CodeAge { column, min_months, max_months, .. } => vec![(column, min_months), (column, max_months)],
            _ => Vec::new(),
        }
    }
}
