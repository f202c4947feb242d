//! Randomness that nobody can guess. That of invented months, which a seed names, is in `synth`.

use rand::TryRng;

use crate::error::{Error, Result};

/// Bytes from the operating system's source of randomness.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::rngs::SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|_| Error::environment("the operating system gives no random bytes"))?;
    Ok(bytes)
}
