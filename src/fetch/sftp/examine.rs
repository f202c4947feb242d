//! What can be seen of a server before a login, for `phds doctor`.

use std::sync::Arc;

use russh::keys::HashAlg;
use russh::{Disconnect, MethodKind};

use super::super::outside::clean;
use super::super::{Observation, Verdict, known_hosts};
use super::algorithms::Kind;
use super::connect::{self, LEGACY_HINT};
use super::offer::{self, Offer};
use super::trust::{self, Judgement, Trust};
use super::words::Words;
use super::{SftpSettings, login, runtime};
use crate::error::{ErrorKind, Result};

/// Looks at a server without logging in, and changes nothing, here or there: `accept_new_host_key` has no effect.
///
/// Each topic is there once at most, in this order: `settings` (only if they are unfit), `server name`, `connection`,
/// `key exchange`, `host key types`, `ciphers`, `message authentication`, `handshake` (only if it fails), `host key`,
/// `login methods`. What builds on something that failed is left out. The server learns the user name only when its
/// key is the expected one.
pub fn examine(settings: &SftpSettings) -> Vec<Observation> {
    let settings = SftpSettings { accept_new_host_key: false, ..settings.clone() };
    let mut seen = Vec::new();
    let ready = || -> Result<_> {
        settings.check()?;
        Ok((Arc::new(Trust::of(&settings)?), runtime()?))
    };
    match ready() {
        Ok((trust, runtime)) => {
            runtime.block_on(look(&settings, &trust, &mut seen));
            // A name server that does not answer keeps its thread busy; nobody should wait for it.
            runtime.shutdown_background();
        }
        Err(error) => seen.push(Observation::failed("settings", &error)),
    }
    seen
}

/// The key of a server, before anybody has decided to trust it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownKey {
    /// Its type: `ssh-ed25519`.
    pub algorithm: String,
    /// Its fingerprint: `SHA256:…`.
    pub fingerprint: String,
    /// Whether it is listed in `known_hosts`, or is the one that the settings name.
    pub is_known: bool,
}

/// The key that a server shows. Nobody is named to it and nothing is recorded. A key that is not the recorded or the pinned
/// one, or is revoked, is the error that [`super::SftpSource::connect`] would give.
pub fn shown_key(settings: &SftpSettings) -> Result<ShownKey> {
    // Nothing follows the handshake, so a server that nobody knows can be heard out.
    let settings = SftpSettings { accept_new_host_key: true, ..settings.clone() };
    settings.check()?;
    let trust = Arc::new(Trust::of(&settings)?);
    let runtime = runtime()?;
    let shown = runtime.block_on(async {
        let connection = connect::shake_hands(&settings, &trust, &Words::default()).await?;
        let _ = connection.session.disconnect(Disconnect::ByApplication, "", "").await;
        Ok(ShownKey {
            algorithm: connection.key.algorithm().to_string(),
            fingerprint: connection.key.fingerprint(HashAlg::Sha256).to_string(),
            is_known: !matches!(connection.judgement, Judgement::Listed(known_hosts::Verdict::Unknown)),
        })
    });
    runtime.shutdown_background();
    shown
}

/// A fingerprint as the settings write it. The error is [`crate::error::ErrorKind::Usage`].
pub fn fingerprint(text: &str) -> Result<String> {
    Ok(trust::read_print(text)?.to_string())
}

async fn look(settings: &SftpSettings, trust: &Arc<Trust>, seen: &mut Vec<Observation>) {
    match connect::look_up(settings).await {
        Ok(found) => {
            let found: Vec<_> = found.iter().map(|address| address.ip().to_string()).collect();
            let text = format!("{} is {}", settings.host, found.join(", "));
            seen.push(Observation::new("server name", Verdict::Good, text));
        }
        Err(error) => return seen.push(Observation::failed("server name", &error)),
    }
    match connect::read_offer(settings).await {
        Ok(offer) => {
            let text = format!("{} says `{}`", settings.address(), clean(&offer.software));
            seen.push(Observation::new("connection", Verdict::Good, text));
            seen.extend(Kind::ALL.map(|kind| offered(&offer, kind, settings.legacy_ssh)));
        }
        Err(error) => return seen.push(Observation::failed("connection", &error)),
    }
    let mut connection = match connect::shake_hands(settings, trust, &Words::default()).await {
        Ok(connection) => connection,
        Err(error) => {
            let topic = if error.kind() == ErrorKind::Credentials { "host key" } else { "handshake" };
            return seen.push(Observation::failed(topic, &error));
        }
    };
    seen.push(host_key(settings, &trust::shown(&connection.key), connection.judgement));
    seen.push(login_methods(settings, &mut connection.session).await);
    let _ = connection.session.disconnect(Disconnect::ByApplication, "", "").await;
}

fn offered(offer: &Offer, kind: Kind, legacy_is_on: bool) -> Observation {
    let topic = match kind {
        Kind::KeyExchange => "key exchange",
        Kind::HostKey => "host key types",
        Kind::Cipher => "ciphers",
        Kind::Mac => "message authentication",
    };
    let names = offer.of(kind);
    let text = format!("the server offers {}", offer::listed(names));
    if offer.shares(kind, &kind.modern()) || kind == Kind::Mac && offer.needs_no_mac() {
        let weak: Vec<_> = names.iter().filter(|name| offer::is_weak(name)).cloned().collect();
        return if weak.is_empty() {
            Observation::new(topic, Verdict::Good, text)
        } else {
            let text = format!(
                "{text}; weak ones among them, not used while better ones are shared: {}",
                offer::listed(&weak)
            );
            Observation::new(topic, Verdict::Note, text)
        };
    }
    if offer.shares(kind, &kind.legacy()) {
        let shared = Observation::new(topic, Verdict::Note, format!("{text}; all that is shared is broken or near it"));
        return shared.hint(if legacy_is_on { "ask the state to update the server" } else { LEGACY_HINT });
    }
    Observation::new(topic, Verdict::Problem, format!("{text}; this program has none of these"))
        .hint("ask the state to update the server")
}

/// A key that was accepted, and why.
pub(super) fn host_key(settings: &SftpSettings, shown: &str, judgement: Judgement) -> Observation {
    let file = settings.known_hosts.display();
    match judgement {
        Judgement::Pinned => {
            Observation::new("host key", Verdict::Good, format!("{shown}, the one that the settings name"))
        }
        Judgement::Listed(known_hosts::Verdict::Known) => {
            Observation::new("host key", Verdict::Good, format!("{shown}, listed in `{file}`"))
        }
        _ => Observation::new("host key", Verdict::Note, format!("{shown}, taken on trust and recorded in `{file}`"))
            .hint("compare the fingerprint with the one that the state gives you by telephone or letter"),
    }
}

async fn login_methods(settings: &SftpSettings, session: &mut connect::Session) -> Observation {
    const TOPIC: &str = "login methods";
    let usable = [MethodKind::Password, MethodKind::KeyboardInteractive, MethodKind::PublicKey];
    match login::offered_methods(settings, session).await {
        Ok(Some(methods)) => {
            let text = format!("`{}` may log in by {}", clean(&settings.user), login::method_names(&methods));
            if methods.is_empty() {
                Observation::new(TOPIC, Verdict::Unknown, "the server names none that this program knows")
            } else if methods.iter().any(|method| usable.contains(method)) {
                Observation::new(TOPIC, Verdict::Good, text)
            } else {
                Observation::new(TOPIC, Verdict::Problem, text)
                    .hint("this program logs in with a password or a key; ask the state for such an account")
            }
        }
        Ok(None) => Observation::new(
            TOPIC,
            Verdict::Problem,
            format!("the server lets `{}` in without any proof", clean(&settings.user)),
        )
        .hint("tell the state: whoever knows the user name can read the deliveries"),
        Err(error) => Observation::failed(TOPIC, &error),
    }
}
