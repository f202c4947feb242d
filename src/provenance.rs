//! Who made a file, and from what: the small types that every manifest shares.

use serde::{Deserialize, Serialize};

use crate::knowledge::Fingerprint;

/// A file, a version and a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Edition {
    /// Name.
    pub id: String,
    /// Version.
    pub version: String,
    /// Changes with the content.
    pub fingerprint: Fingerprint,
}

/// The program that made a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Tool {
    /// `phds`
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Tool {
    /// This program.
    pub fn this() -> Self {
        Self { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_untold(bytes: &u64) -> bool {
    *bytes == 0
}

/// The delivery that a file was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DeliveryId {
    /// File name, without a folder.
    pub file_name: String,
    /// Size; not told in what is published, because it changes with every row.
    #[serde(default, skip_serializing_if = "is_untold")]
    pub bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}
