//! Secrets in files: a person's own, and those that systemd hands to a service.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use super::{MOST_BYTES, without_final_newline};
use crate::error::{Error, Result};

/// Permission bits that nobody may have on a person's own file.
const GROUP_AND_OTHERS: u32 = 0o077;

/// The same for a file of systemd. It lets the user of a service in by an access control list, whose mask then stands
/// where the group's bits are (mode 0440, systemd issue 29435); the folder around it is closed to everybody else.
const OTHERS: u32 = 0o007;

/// The text of a file that nobody but its owner may reach, less one final newline.
pub(super) fn one_line(path: &Path) -> Result<String> {
    let bytes = read(path, GROUP_AND_OTHERS)?;
    without_final_newline(&bytes).ok_or_else(|| not_text(path))
}

/// The text of a file that nobody but its owner may reach (permission bits of group and others all 0; not checked where
/// there are no such bits). The caller wipes it.
pub(crate) fn read_private(path: &Path) -> Result<String> {
    let bytes = read(path, GROUP_AND_OTHERS)?;
    std::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| not_text(path))
}

/// Whether systemd hands a credential of this name to this process.
pub fn credential_exists(name: &str) -> bool {
    is_credential_name(name) && credentials_folder().is_some_and(|folder| folder.join(name).is_file())
}

/// The credential that systemd hands over under a name, less one final newline.
pub(super) fn credential(name: &str) -> Result<String> {
    credential_in(credentials_folder().as_deref(), name)
}

fn credential_in(folder: Option<&Path>, name: &str) -> Result<String> {
    // Somebody who types the password where the name belongs must not read it back in a log.
    if !is_credential_name(name) {
        return Err(Error::credentials("the setting for the systemd credential is not a credential's name")
            .hint("give the name that stands in LoadCredential=, not a path and not the password itself"));
    }
    let Some(path) = folder.map(|folder| folder.join(name)).filter(|path| path.exists()) else {
        return Err(Error::credentials(format!("systemd hands over no credential `{name}`")).hint(format!(
            "the unit of this service needs LoadCredential={name}:/path/to/the/file; see `man systemd.exec`"
        )));
    };
    let bytes = read(&path, OTHERS)?;
    without_final_newline(&bytes).ok_or_else(|| not_text(&path))
}

fn credentials_folder() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).filter(|folder| folder.is_absolute())
}

/// systemd's own rule, and no backslash, which separates folders elsewhere.
pub(super) fn is_credential_name(name: &str) -> bool {
    let is_fit = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'/' | b'\\' | b':');
    (1..=255).contains(&name.len()) && !matches!(name, "." | "..") && name.bytes().all(is_fit)
}

/// Whether a file is there that nobody but its owner may reach. It is not opened: of a pipe, that would take the secret.
pub(super) fn look(path: &Path) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|error| failed(path, &error))?;
    is_private(path, &metadata, GROUP_AND_OTHERS)
}

fn failed(path: &Path, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::credentials(format!("there is no file `{}`", path.display()))
            .hint("it is named in the settings: make it, with mode 0600, or correct the name"),
        _ => Error::io("read", path, error),
    }
}

fn is_private(path: &Path, metadata: &Metadata, forbidden: u32) -> Result<()> {
    if metadata.is_dir() {
        return Err(Error::credentials(format!("`{}` is a folder, not a file", path.display())));
    }
    refuse_shared(path, metadata, forbidden)
}

/// All bytes of a file on which the bits `forbidden` are not set.
fn read(path: &Path, forbidden: u32) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |error: io::Error| failed(path, &error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    is_private(path, &metadata, forbidden)?;
    read_bounded(file).map_err(failed)?.ok_or_else(|| {
        Error::credentials(format!("`{}` has more than {MOST_BYTES} bytes: is this the right file?", path.display()))
    })
}

/// Reads to the end; `None` when there are more than [`MOST_BYTES`].
pub(super) fn read_bounded(source: impl Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    // One allocation of more than the final size, so that growing leaves no copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST_BYTES + 1024));
    source.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= MOST_BYTES).then_some(bytes))
}

fn not_text(path: &Path) -> Error {
    Error::credentials(format!("`{}` is not UTF-8 text", path.display()))
}

#[cfg(unix)]
fn refuse_shared(path: &Path, metadata: &Metadata, forbidden: u32) -> Result<()> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    if mode & forbidden == 0 {
        return Ok(());
    }
    Err(Error::credentials(format!("`{}` can be reached by other users (mode {mode:04o})", path.display()))
        .hint(format!("chmod 600 '{}', and change the password if others may have read it", path.display())))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the Unix form can fail")]
fn refuse_shared(_path: &Path, _metadata: &Metadata, _forbidden: u32) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::tests::refusal;

    #[test]
    fn a_credential_has_a_plain_name() {
        for name in ["clinic", "phds.password", "user@host", "a b", "-", &"x".repeat(255)] {
            assert!(is_credential_name(name), "{name}");
        }
        let refused =
            ["", ".", "..", "../hunter2", "/hunter2", "hunter2/", "a\\b", "a:b", "a\nb", "ä", &"x".repeat(256)];
        for name in refused {
            assert!(!is_credential_name(name), "{name}");
            assert!(!credential_exists(name), "{name}");
            assert!(refusal(credential_in(Some(Path::new("/")), name)).message().contains("not a credential's name"));
        }
    }

    #[test]
    fn a_credential_that_is_not_handed_over_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for folder in [None, Some(folder.path())] {
            let error = refusal(credential_in(folder, "clinic"));
            assert_eq!(error.message(), "systemd hands over no credential `clinic`");
            assert!(error.what_to_do().unwrap().contains("LoadCredential=clinic:"));
        }
        assert!(!credential_exists("phds-test-no-such-credential"));
    }

    #[cfg(unix)]
    mod on_unix {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt;

        use super::*;
        use crate::secret::SecretSource;

        fn put(path: &Path, content: &[u8], mode: u32) {
            let _ = std::fs::remove_file(path);
            std::fs::write(path, content).unwrap();
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }

        #[test]
        fn reads_a_file_of_its_owner_only() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("password");
            let read = |content: &[u8], mode: u32| {
                put(&path, content, mode);
                SecretSource::File(path.clone()).read()
            };
            let accepted: [(&[u8], &str); 5] = [
                (b"hunter2", "hunter2"),
                (b"hunter2\n", "hunter2"),
                (b"hunter2\r\n", "hunter2"),
                (b" h: @/#%2 \n", " h: @/#%2 "),
                ("pä55\n".as_bytes(), "pä55"),
            ];
            for (content, value) in accepted {
                for mode in [0o600, 0o400] {
                    assert_eq!(read(content, mode).unwrap().expose(), value);
                }
            }
            let refused: [&[u8]; 6] = [b"", b"\n", b"hunter2\n\n", b"hun\rter2hunter2", b"hunter2\0", b"hunter2\xff"];
            for content in refused {
                refusal(read(content, 0o600));
            }
            for mode in [0o640, 0o604, 0o660, 0o644, 0o610, 0o601] {
                assert!(refusal(read(b"hunter2", mode)).message().contains("other users"));
            }
            assert_eq!(read(&vec![b'x'; MOST_BYTES], 0o600).unwrap().expose().len(), MOST_BYTES);
            refusal(read(&vec![b'x'; MOST_BYTES + 1], 0o600));
            refusal(SecretSource::File(folder.path().join("missing")).read());
            refusal(SecretSource::File(folder.path().to_owned()).read());
        }

        #[test]
        fn reads_a_credential_that_only_others_are_kept_from() {
            let folder = tempfile::tempdir().unwrap();
            let read = |content: &[u8], mode: u32| {
                put(&folder.path().join("clinic"), content, mode);
                credential_in(Some(folder.path()), "clinic")
            };
            // 0440 is what an access control list looks like.
            for mode in [0o400, 0o600, 0o440] {
                assert_eq!(read(b"hunter2\n", mode).unwrap(), "hunter2");
            }
            for mode in [0o404, 0o444, 0o604, 0o402, 0o401] {
                assert!(refusal(read(b"hunter2", mode)).message().contains("other users"));
            }
            refusal(read(b"hunter2\xff", 0o400));
            refusal(read(&vec![b'x'; MOST_BYTES + 1], 0o400));
            std::fs::create_dir(folder.path().join("folder")).unwrap();
            refusal(credential_in(Some(folder.path()), "folder"));
        }
    }
}
