//! What `phds doctor` learns of an FTPS server: before a login, and of a session.
//!
//! Topics before the login: `settings`, `name`, `greeting`, `encryption`, `certificate`, `authority`, `trust`,
//! `features before login`, and `connection` where it came to none. Of a session: `session certificate`,
//! `session encryption`, `data encryption`, `features`, `listing`, `file sizes`, `file times`, `resuming`,
//! `passive mode`, `session reuse`, and `end of TLS` where that is missing.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::certificate::{Certificate, Fields};
use super::connect::{addresses, features, greeted, open, secure};
use super::talk::{ANSWER, Talk};
use super::trust::Trust;
use super::{Control, FAREWELL, FtpsSettings, FtpsSource, Tls};
use crate::error::{ErrorKind, Result};
use crate::fetch::outside::clean;
use crate::fetch::{Observation, Verdict};

/// A certificate that ends sooner than this many days from now is worth a note.
const SOON: i64 = 30;

/// More certificates than any server needs.
const MOST_AUTHORITIES: usize = 10;

/// More features than any server has.
const MOST_FEATURES: usize = 100;

/// Everything that a server shows to somebody who does not log in. Nothing about the account is sent. What fails is the
/// last observation, with the words of [`FtpsSource::connect`]; nothing is tried twice.
pub fn examine(settings: &FtpsSettings) -> Vec<Observation> {
    let mut seen = Vec::new();
    let trust = match settings.check().and_then(|()| Trust::new(settings)) {
        Ok(trust) => trust,
        Err(error) => return vec![Observation::failed("settings", &error)],
    };
    let talk = Talk::new(settings, None);
    let opened = approach(&talk, &trust, &mut seen);
    if let Some(facts) = trust.facts() {
        seen.push(Observation::new("encryption", Verdict::Good, format!("{}, {}", facts.version, facts.cipher)));
    }
    let now = Utc::now();
    let chain = trust.chain();
    if let Some((own, authorities)) = chain.split_first() {
        seen.push(certificate(own, now));
        seen.extend(authorities.iter().take(MOST_AUTHORITIES).map(|above| authority(above, now)));
    }
    if trust.is_proved() {
        seen.push(Observation::new("trust", Verdict::Good, trusted(settings)));
    }
    match opened {
        Ok(mut control) => {
            let topic = "features before login";
            talk.begin(ANSWER);
            seen.push(match features(&mut control) {
                Ok(Some(features)) => named(&talk, topic, &features),
                Ok(None) => Observation::new(topic, Verdict::Unknown, "not told"),
                Err(error) => Observation::new(topic, Verdict::Unknown, talk.words(&error)),
            });
            talk.allow(FAREWELL);
            let _ = control.quit();
        }
        Err(error) => {
            // A certificate that was seen and refused is a matter of trust; all else is one of the connection.
            let is_trust = error.kind() == ErrorKind::Credentials && !chain.is_empty() && !trust.is_proved();
            seen.push(Observation::failed(if is_trust { "trust" } else { "connection" }, &error));
        }
    }
    seen
}

/// Goes as far as the server proves who it is, and says what it saw on the way.
fn approach(talk: &Arc<Talk>, trust: &Arc<Trust>, seen: &mut Vec<Observation>) -> Result<Control> {
    let settings = &talk.settings;
    let addresses = addresses(settings)?;
    let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let text = format!("{} is {}", clean(&settings.host), shown.join(", "));
    seen.push(Observation::new("name", Verdict::Good, text));
    match settings.tls {
        Tls::Explicit => {
            let plain = greeted(talk, addresses)?;
            seen.extend(greeting(talk, &plain));
            secure(talk, plain, trust)
        }
        Tls::Implicit => {
            let control = open(talk, addresses, trust)?;
            seen.extend(greeting(talk, &control));
            Ok(control)
        }
    }
}

fn greeting(talk: &Talk, control: &Control) -> Option<Observation> {
    let said = talk.shown(control.get_welcome_msg()?);
    Some(Observation::new("greeting", Verdict::Good, clean(&said.split_whitespace().collect::<Vec<_>>().join(" "))))
}

/// The server's own certificate, and how long it lasts.
fn certificate(shown: &Certificate, now: DateTime<Utc>) -> Observation {
    let Some(fields) = &shown.fields else {
        return Observation::new("certificate", Verdict::Problem, shown.to_string());
    };
    let verdict = match remaining(fields, now) {
        None => Verdict::Problem,
        Some(days) if days < SOON => Verdict::Note,
        Some(_) => Verdict::Good,
    };
    let seen = Observation::new("certificate", verdict, format!("{shown}; {}", lasts(fields, now)));
    match verdict {
        Verdict::Problem => seen.hint("check the clock of this machine; if it is right, tell the server's owner"),
        Verdict::Note => {
            seen.hint("ask the server's owner when it is renewed; a pinned SHA-256 has to be changed on that day")
        }
        _ => seen,
    }
}

/// A certificate above the server's own. Some servers send one that is no longer needed and has expired; whether it
/// matters is said by `trust`.
fn authority(shown: &Certificate, now: DateTime<Utc>) -> Observation {
    match &shown.fields {
        None => Observation::new("authority", Verdict::Unknown, shown.to_string()),
        Some(fields) => {
            let soon = remaining(fields, now).is_none_or(|days| days < SOON);
            let verdict = if soon { Verdict::Note } else { Verdict::Good };
            Observation::new("authority", verdict, format!("{shown}; {}", lasts(fields, now)))
        }
    }
}

/// Whole days until a certificate ends; `None` outside of its time.
fn remaining(fields: &Fields, now: DateTime<Utc>) -> Option<i64> {
    (fields.not_before <= now && now <= fields.not_after).then(|| (fields.not_after - now).num_days())
}

fn lasts(fields: &Fields, now: DateTime<Utc>) -> String {
    match remaining(fields, now) {
        Some(days) => format!("{days} days left"),
        None if now < fields.not_before => "it is not valid yet".to_owned(),
        None => "it has expired".to_owned(),
    }
}

fn trusted(settings: &FtpsSettings) -> String {
    match (&settings.cert_sha256, &settings.ca_file) {
        (Some(_), _) => "its certificate is the pinned one".to_owned(),
        (None, Some(path)) => {
            format!("an authority in `{}` vouches for it, as `{}`", path.display(), clean(&settings.host))
        }
        (None, None) => format!("a public authority vouches for it, as `{}`", clean(&settings.host)),
    }
}

/// What the server names, each feature cut short where it is long.
fn named(talk: &Talk, topic: &str, features: &[String]) -> Observation {
    let mut shown: Vec<_> = features.iter().take(MOST_FEATURES).map(|feature| clean(&talk.shown(feature))).collect();
    shown.retain(|feature| !feature.is_empty());
    Observation::new(topic, Verdict::Good, if shown.is_empty() { "none to show".to_owned() } else { shown.join(", ") })
}

impl FtpsSource {
    /// What was agreed on with the server, and what it turned out to be able to do.
    pub(super) fn learnt(&self) -> Vec<Observation> {
        use Verdict::{Good, Note, Unknown};
        let tls = self.tls();
        let known = |topic, knows: Option<bool>, command: &str, otherwise: &str| match knows {
            Some(true) => Observation::new(topic, Good, format!("{command} is known")),
            Some(false) => Observation::new(topic, Note, format!("{command} is refused: {otherwise}")),
            None => Observation::new(topic, Unknown, format!("{command} is not named, and was not tried")),
        };
        let mut learnt = vec![
            Observation::new("session certificate", Good, self.identity.clone()),
            Observation::new("session encryption", Good, format!("{}, {}", tls.version, tls.cipher)),
            Observation::new("data encryption", Good, "PROT P was accepted: data travels inside TLS"),
            match &self.features {
                Some(features) => named(&self.talk, "features", features),
                None => Observation::new("features", Unknown, "FEAT is refused"),
            },
            match self.listed {
                Some(form) => Observation::new("listing", Good, form),
                None => Observation::new("listing", Unknown, "the folder was not listed"),
            },
            known("file sizes", self.size, "SIZE", "sizes are those of the listing"),
            known("file times", self.time, "MDTM", "times are those of MLSD, or unknown"),
            known("resuming", self.rest, "REST", "a download that broke begins again at the first byte"),
            match (self.plain_pasv, tls.data_resumed) {
                (true, _) => Observation::new("passive mode", Good, "PASV; EPSV is refused"),
                (false, Some(_)) => Observation::new("passive mode", Good, "EPSV"),
                (false, None) => Observation::new("passive mode", Unknown, "no data connection stood"),
            },
            match tls.data_resumed {
                Some(true) => Observation::new("session reuse", Good, "data connections resume the TLS session"),
                Some(false) => {
                    Observation::new("session reuse", Note, "the last data connection did not resume the TLS session")
                }
                None => Observation::new("session reuse", Unknown, "no data connection stood"),
            },
        ];
        if self.unended {
            let text = "data connections are closed without the proper end of TLS; sizes are compared";
            learnt.push(Observation::new("end of TLS", Note, text));
        }
        learnt
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn how_long_a_certificate_lasts() {
        use Verdict::{Good, Note, Problem, Unknown};
        let unreadable = Certificate::read(b"x");
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(certificate(&unreadable, now).verdict, Problem);
        assert_eq!(authority(&unreadable, now).verdict, Unknown);
        let (subject, issuer) = ("a".to_owned(), "b".to_owned());
        let not_after = now + TimeDelta::days(100);
        let fields = Fields { subject, issuer, issued_by_itself: false, not_before: now, not_after };
        let shown = Certificate { fields: Some(fields), ..unreadable };
        for (day, own, above, words) in [
            (-1, Problem, Note, "not valid yet"),
            (0, Good, Good, "100 days left"),
            (70, Good, Good, "30 days left"),
            (71, Note, Note, "29 days left"),
            (100, Note, Note, "0 days left"),
            (101, Problem, Note, "has expired"),
        ] {
            let day = now + TimeDelta::days(day);
            for (seen, verdict) in [(certificate(&shown, day), own), (authority(&shown, day), above)] {
                assert!(seen.verdict == verdict && seen.text.ends_with(words), "{seen:?}");
            }
        }
    }
}
