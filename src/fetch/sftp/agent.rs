//! Keys that an ssh-agent keeps. It signs; the keys do not come here.

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::{AgentClient, AgentStream};
use russh::keys::{HashAlg, PublicKey};
use tokio::time::timeout;

use super::super::outside::clean;
use super::SftpSettings;
use super::trust::read_print;
use crate::error::{Error, Result};

/// A running agent that can be asked to sign.
pub(super) type Agent = AgentClient<Box<dyn AgentStream + Send + Unpin>>;

const HOW_TO_ADD: &str =
    "add the key with `ssh-add FILE`; a job that runs by itself does not see the agent of your desktop";

/// Connects to the agent and finds the one key to use: `wanted` by its `SHA256:…`, or the only one there.
///
/// Servers count each refused key as a failed login, so that trying one key after another can lock an account.
pub(super) async fn find_key(settings: &SftpSettings, wanted: Option<&str>) -> Result<(Agent, PublicKey)> {
    let wanted = wanted.map(read_print).transpose()?;
    let asked = timeout(settings.patience(), async {
        let mut agent = connect().await?;
        let keys = agent.request_identities().await.map_err(|error| unavailable(&error))?;
        Ok::<_, Error>((agent, keys))
    });
    let (agent, keys) = asked.await.map_err(|_| unavailable(&"it does not answer"))??;
    // A certificate needs a server that trusts its authority; nothing is known of such a server here.
    let mut keys: Vec<(PublicKey, String)> = keys
        .into_iter()
        .filter_map(|identity| match identity {
            AgentIdentity::PublicKey { key, comment } => Some((key, comment)),
            AgentIdentity::Certificate { .. } => None,
        })
        .collect();
    let listed = keys
        .iter()
        .map(|(key, comment)| format!("  {} {}", key.fingerprint(HashAlg::Sha256), clean(comment)))
        .collect::<Vec<_>>()
        .join("\n");
    if keys.is_empty() {
        return Err(Error::credentials("the ssh-agent has no keys").hint(HOW_TO_ADD));
    }
    let Some(wanted) = wanted else {
        let (key, _) = keys.swap_remove(0);
        return if keys.is_empty() {
            Ok((agent, key))
        } else {
            Err(Error::usage(format!("the ssh-agent has several keys:\n{listed}"))
                .hint("name one in the settings: agent_key = \"SHA256:…\". Trying them all could lock the account"))
        };
    };
    match keys.into_iter().find(|(key, _)| key.fingerprint(HashAlg::Sha256) == wanted) {
        Some((key, _)) => Ok((agent, key)),
        None => Err(Error::credentials(format!("the ssh-agent does not have the key {wanted}, but:\n{listed}"))
            .hint(HOW_TO_ADD)),
    }
}

fn unavailable(reason: &dyn std::fmt::Display) -> Error {
    Error::credentials(format!("cannot ask the ssh-agent for its keys: {}", clean(&reason.to_string())))
        .hint("start one, and add the key with `ssh-add FILE`; SSH_AUTH_SOCK names the place where it listens")
}

#[cfg(unix)]
async fn connect() -> Result<Agent> {
    let socket = std::env::var_os("SSH_AUTH_SOCK").ok_or_else(|| unavailable(&"SSH_AUTH_SOCK is not set"))?;
    let agent = AgentClient::connect_uds(socket).await.map_err(|error| unavailable(&error))?;
    Ok(agent.dynamic())
}

#[cfg(windows)]
async fn connect() -> Result<Agent> {
    // Where the agent of Windows itself listens.
    let pipe = std::env::var_os("SSH_AUTH_SOCK").unwrap_or_else(|| r"\\.\pipe\openssh-ssh-agent".into());
    let agent = AgentClient::connect_named_pipe(pipe).await.map_err(|error| unavailable(&error))?;
    Ok(agent.dynamic())
}
