//! Adds a line to a file that belongs to other programs too.
//!
//! Apart from the code that talks to servers, which has no way to write at all.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::fs;

/// Adds `line` to the end of the file, synced, unless `is_wanted` says no to what stands there. What stands there is
/// never changed. A missing file gets mode 0600, its missing folder 0700. Two runs at once take turns.
pub(super) fn append_line(path: &Path, line: &str, is_wanted: impl FnOnce(&str) -> Result<bool>) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::make_folder(folder)?;
    let mut file = fs::open_kept(path)?;
    let failed = |doing: &str, error: &std::io::Error| Error::io(doing, path, error);
    file.lock().map_err(|error| failed("lock", &error))?;
    let mut there = Vec::new();
    file.read_to_end(&mut there).map_err(|error| failed("read", &error))?;
    if !is_wanted(&String::from_utf8_lossy(&there))? {
        return Ok(());
    }
    // A last line without an end must not swallow ours.
    let begin = if there.is_empty() || there.ends_with(b"\n") { "" } else { "\n" };
    let end = file.seek(SeekFrom::End(0)).map_err(|error| failed("write", &error))?;
    if let Err(error) = file.write_all(format!("{begin}{line}\n").as_bytes()).and_then(|()| file.sync_all()) {
        // Half a line, on a full disk for example, helps nobody.
        let _ = file.set_len(end);
        return Err(failed("write", &error));
    }
    fs::sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_to_the_end_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/known_hosts");
        for (before, after) in [
            (None, "line\n"),
            (Some(""), "line\n"),
            (Some("a\n"), "a\nline\n"),
            (Some("a"), "a\nline\n"),
            (Some("# a\r\n\n\nb\r\n"), "# a\r\n\n\nb\r\nline\n"),
        ] {
            if let Some(before) = before {
                std::fs::write(&path, before).unwrap();
            }
            append_line(&path, "line", |there| Ok(there == before.unwrap_or_default())).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
            append_line(&path, "other", |_| Ok(false)).unwrap();
            append_line(&path, "other", |_| Err(Error::refused("no"))).unwrap_err();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
        let bytes = b"caf\xe9";
        std::fs::write(&path, bytes).unwrap();
        append_line(&path, "line", |_| Ok(true)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [&bytes[..], b"\nline\n"].concat());
    }

    #[cfg(unix)]
    #[test]
    fn new_files_are_private_and_old_ones_keep_their_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/known_hosts");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        append_line(&path, "line", |_| Ok(true)).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        append_line(&path, "line", |_| Ok(true)).unwrap();
        assert_eq!(mode(&path), 0o644);
    }

    #[test]
    fn many_at_once_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        std::thread::scope(|scope| {
            for index in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    let line = format!("host-{index} {}", "x".repeat(1000));
                    append_line(path, &line, |_| Ok(true)).unwrap();
                    append_line(path, "once", |there| Ok(!there.contains("once"))).unwrap();
                });
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 9, "{text}");
        assert!(text.lines().all(|line| line == "once" || line.len() == 1007), "{text}");
    }
}
