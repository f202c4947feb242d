//! Proving who we are, once. A server may lock the account after a few failures, so that nothing here tries twice.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, KeyboardInteractiveAuthResponse};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{AgentAuthError, MethodKind, MethodSet};
use secrecy::zeroize::Zeroize;
use tokio::time::timeout;

use super::super::outside::clean;
use super::agent::{self, Agent};
use super::connect::{Connection, Session, silent};
use super::{Credential, SftpSettings};
use crate::error::{Error, Result};
use crate::secret::{self, Secret};

/// Rounds of keyboard-interactive questions; one is usual, and a last empty one.
const MOST_ROUNDS: usize = 5;

/// What a [`Credential`] becomes before the network is touched.
pub(super) enum Proof {
    Password(Secret),
    Key(Arc<PrivateKey>),
    Agent(Agent, PublicKey),
}

impl Proof {
    pub(super) async fn of(settings: &SftpSettings, credential: &Credential) -> Result<Self> {
        match credential {
            Credential::Password(password) => Ok(Self::Password(password.clone())),
            Credential::Key { path, passphrase } => {
                let mut text = secret::read_private(path)?;
                let decoded = russh::keys::decode_secret_key(&text, passphrase.as_ref().map(Secret::expose));
                text.zeroize();
                // The library's words about the content of a key file are not passed on.
                let fault = match decoded {
                    Ok(key) if !key.is_encrypted() => return Ok(Self::Key(Arc::new(key))),
                    Ok(_) | Err(russh::keys::Error::KeyIsEncrypted) => {
                        "is locked with a passphrase, and none was given"
                    }
                    Err(_) if passphrase.is_some() => {
                        "cannot be opened: the passphrase is wrong, or it is no private key"
                    }
                    Err(_) => {
                        "cannot be understood: it is no private key, or locked with a passphrase that was not given"
                    }
                };
                Err(Error::credentials(format!("the key file `{}` {fault}", path.display())))
            }
            Credential::Agent { key } => {
                let (agent, key) = agent::find_key(settings, key.as_deref()).await?;
                Ok(Self::Agent(agent, key))
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Password(_) => "password",
            Self::Key(_) | Self::Agent(..) => "key",
        }
    }
}

/// How the server let us in.
pub(super) struct Login {
    /// The method, as SSH names it.
    pub(super) method: &'static str,
    /// The algorithm by which a key signed.
    pub(super) signature: Option<String>,
}

impl Login {
    fn by(method: &'static str) -> Self {
        Self { method, signature: None }
    }

    /// The algorithm, if only old servers need it.
    pub(super) fn legacy(&self) -> Option<&str> {
        self.signature.as_deref().filter(|name| *name == "ssh-rsa")
    }
}

/// Logs in with the one method that fits the proof and that the server offers.
pub(super) async fn log_in(settings: &SftpSettings, connection: &mut Connection, proof: Proof) -> Result<Login> {
    let Some(offered) = offered_methods(settings, &mut connection.session).await? else { return Ok(Login::by("none")) };
    let what = proof.name();
    let login = async {
        match proof {
            Proof::Password(password) => by_password(settings, &mut connection.session, &offered, &password).await,
            Proof::Key(key) => {
                let hash = signing(settings, connection, &offered, &key.algorithm()).await?;
                let login = signed_by(&key.algorithm(), hash);
                let key = PrivateKeyWithHashAlg::new(key, hash);
                let session = &mut connection.session;
                let result = session.authenticate_publickey(&settings.user, key).await.map_err(|_| lost(settings))?;
                judge(settings, what, &result).map(|()| login)
            }
            Proof::Agent(mut agent, key) => {
                let hash = signing(settings, connection, &offered, &key.algorithm()).await?;
                let login = signed_by(&key.algorithm(), hash);
                let session = &mut connection.session;
                let result = session.authenticate_publickey_with(&settings.user, key, hash, &mut agent).await;
                let result = result.map_err(|error| match error {
                    AgentAuthError::Send(_) => lost(settings),
                    AgentAuthError::Key(_) => Error::credentials("the ssh-agent did not sign with the key")
                        .hint("it may be locked, or wait for somebody to agree; the server was given no proof"),
                })?;
                judge(settings, what, &result).map(|()| login)
            }
        }
    };
    // Several answers, and some servers think for seconds about each login on purpose.
    let patience = settings.patience() * 3;
    timeout(patience, login).await.unwrap_or_else(|_| Err(unanswered(settings, what, patience)))
}

/// The methods that the server offers, from its answer to a login without any proof; `None` when it let us in. Tells it
/// the user name.
pub(super) async fn offered_methods(settings: &SftpSettings, session: &mut Session) -> Result<Option<MethodSet>> {
    match timeout(settings.patience() * 3, session.authenticate_none(&settings.user)).await {
        Ok(Ok(AuthResult::Success)) => Ok(None),
        Ok(Ok(AuthResult::Failure { remaining_methods, .. }))
            if remaining_methods.is_empty() && session.is_closed() =>
        {
            Err(lost(settings))
        }
        Ok(Ok(AuthResult::Failure { remaining_methods, .. })) => Ok(Some(remaining_methods)),
        Ok(Err(_)) => Err(lost(settings)),
        Err(_) => Err(silent(settings, "when asked how to log in")),
    }
}

pub(super) fn method_names(methods: &MethodSet) -> String {
    let names: Vec<&str> = methods.iter().map(Into::into).collect();
    if names.is_empty() { "none that this program knows".into() } else { names.join(", ") }
}

/// The connection ended before any proof was on its way.
fn lost(settings: &SftpSettings) -> Error {
    Error::network(format!("{} closed the connection before the login", settings.address()))
        .hint("try again later; the server may limit how many connections it takes")
}

/// The proof was sent and not answered. This can be a refusal, and a second one may lock the account: not an error that
/// passes by itself.
fn unanswered(settings: &SftpSettings, what: &str, patience: Duration) -> Error {
    Error::credentials(format!(
        "{} was sent the {what} of `{}` and did not answer for {} s",
        settings.address(),
        clean(&settings.user),
        patience.as_secs()
    ))
    .hint(
        "check user name and secret, then try again by hand: some servers refuse in this way, and several failures can \
         lock the account",
    )
}

fn judge(settings: &SftpSettings, what: &str, result: &AuthResult) -> Result<()> {
    match result {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { remaining_methods, partial_success } => {
            Err(refused(settings, what, *partial_success, remaining_methods))
        }
    }
}

fn refused(settings: &SftpSettings, what: &str, partial: bool, remaining: &MethodSet) -> Error {
    let (address, user) = (settings.address(), clean(&settings.user));
    if partial {
        return Error::credentials(format!(
            "{address} accepted the {what} of `{user}` and asks for more: {}",
            method_names(remaining)
        ))
        .hint("this program can give one proof only; ask the state for an account without a second one");
    }
    // The library tells a connection that ended like a refusal after which nothing else is offered. Both are final: some
    // servers refuse by hanging up.
    let or_hung_up = if remaining.is_empty() { ", or hung up on it" } else { "" };
    Error::refused_login(format!("{address} refused the {what} of `{user}`{or_hung_up}")).hint(
        "check user name and secret, then try again by hand. It was tried once only: several failures can lock the \
         account",
    )
}

fn no_method(settings: &SftpSettings, wanted: &str, offered: &MethodSet) -> Error {
    Error::credentials(format!(
        "{} takes no {wanted} for `{}`; it offers: {}",
        settings.address(),
        clean(&settings.user),
        method_names(offered)
    ))
    .hint("use the kind of login that the server offers, or ask the state which one your account has")
}

async fn by_password(
    settings: &SftpSettings,
    session: &mut Session,
    offered: &MethodSet,
    password: &Secret,
) -> Result<Login> {
    // A server that names no method at all may still take a password.
    if offered.contains(&MethodKind::Password) || offered.is_empty() {
        let result = session.authenticate_password(&settings.user, password.expose()).await;
        judge(settings, "password", &result.map_err(|_| lost(settings))?)?;
        return Ok(Login::by("password"));
    }
    if offered.contains(&MethodKind::KeyboardInteractive) {
        answer_questions(settings, session, password).await?;
        return Ok(Login::by("keyboard-interactive"));
    }
    Err(no_method(settings, "password", offered))
}

/// Keyboard-interactive: the password answers one hidden question, and nothing answers any other.
async fn answer_questions(settings: &SftpSettings, session: &mut Session, password: &Secret) -> Result<()> {
    let mut reply = session.authenticate_keyboard_interactive_start(&settings.user, None).await;
    let mut answered = false;
    for _ in 0..MOST_ROUNDS {
        let gone = |_| {
            if answered { refused(settings, "password", false, &MethodSet::empty()) } else { lost(settings) }
        };
        let answers = match reply.map_err(gone)? {
            KeyboardInteractiveAuthResponse::Success => return Ok(()),
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                return Err(refused(settings, "password", partial_success, &remaining_methods));
            }
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => match prompts.as_slice() {
                [] => Vec::new(),
                [question] if !question.echo && !answered => {
                    answered = true;
                    vec![password.expose().to_owned()]
                }
                // The password went out once already: asking again is how some servers say that it was wrong.
                [question] if !question.echo => {
                    return Err(refused(settings, "password", false, &MethodSet::empty()));
                }
                _ => break,
            },
        };
        reply = session.authenticate_keyboard_interactive_respond(answers).await;
    }
    Err(Error::credentials(format!(
        "{} asks `{}` questions that a program cannot answer; it was sent {}",
        settings.address(),
        clean(&settings.user),
        if answered { "the password and nothing else" } else { "no password" }
    ))
    .hint("ask the state for an account that logs in with a password alone, or with a key"))
}

/// The hash by which a key signs: that of its kind (`None`), or for RSA the best that the server takes, where `None` is
/// SHA-1.
async fn signing(
    settings: &SftpSettings,
    connection: &Connection,
    offered: &MethodSet,
    key: &Algorithm,
) -> Result<Option<HashAlg>> {
    if !offered.contains(&MethodKind::PublicKey) && !offered.is_empty() {
        return Err(no_method(settings, "key", offered));
    }
    if !matches!(key, Algorithm::Rsa { .. }) {
        return Ok(None);
    }
    match connection.session.best_supported_rsa_hash().await {
        // Says that it takes RSA keys with SHA-1 only.
        Ok(Some(None)) if !settings.legacy_ssh => Err(no_method(settings, "RSA key with SHA-2", offered).hint(
            "log in with a key of another type, or ask the state to update the server. Until then `--legacy-ssh` (in \
             the settings: legacy_ssh = true) lets this program sign with SHA-1",
        )),
        Ok(Some(hash)) => Ok(hash),
        // Says nothing, as servers did before there was SHA-2 for RSA keys.
        Ok(None) if settings.legacy_ssh && !connection.agreed.legacy().is_empty() => Ok(None),
        Ok(None) => Ok(Some(HashAlg::Sha512)),
        Err(_) => Err(lost(settings)),
    }
}

fn signed_by(key: &Algorithm, hash: Option<HashAlg>) -> Login {
    let algorithm = if let Algorithm::Rsa { .. } = key { Algorithm::Rsa { hash } } else { key.clone() };
    Login { signature: Some(algorithm.to_string()), ..Login::by("publickey") }
}
