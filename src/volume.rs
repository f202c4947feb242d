//! What can be known of the disk under a path: room, encryption, and who else is let in.

use std::fs::Metadata;
use std::path::Path;

use crate::error::{Error, Result};

/// Bytes that this user may still write on the volume of an existing folder.
pub fn free_bytes(folder: &Path) -> Result<u64> {
    fs4::available_space(folder).map_err(|error| Error::io("look for free space in", folder, &error))
}

/// The permission bits that group and others have on a path, 0 when its owner alone is let in; `None` on a system
/// without such bits.
pub fn shared_bits(path: &Path) -> Result<Option<u32>> {
    let metadata = std::fs::metadata(path).map_err(|error| Error::named_file("look at", path, &error))?;
    Ok(bits(&metadata))
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn bits(metadata: &Metadata) -> Option<u32> {
    Some(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077)
}

#[cfg(not(unix))]
fn bits(_metadata: &Metadata) -> Option<u32> {
    None
}

/// Whether the operating system encrypts what is written to a volume. What a drive does by itself, or a cloud below its
/// virtual disks, cannot be seen from here and is not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// It does, with what is named.
    Encrypted(String),
    /// It does not: at least a part of what is written lies as it is on the disk that is named.
    NotEncrypted(String),
    /// Unknown, why, and where to look instead: a sentence without its full stop.
    CannotTell(String),
}

/// Looks for encryption under an existing folder. Any doubt is [`Encryption::CannotTell`].
pub fn encryption(folder: &Path) -> Encryption {
    #[cfg(target_os = "linux")]
    return linux::encryption(folder);
    #[cfg(not(target_os = "linux"))]
    return elsewhere(folder);
}

#[cfg(not(target_os = "linux"))]
fn elsewhere(folder: &Path) -> Encryption {
    let how = if cfg!(windows) {
        "`manage-bde -status` in an administrator's window tells which drives BitLocker encrypts"
    } else if cfg!(target_os = "macos") {
        "`fdesetup status` tells whether FileVault encrypts the disk"
    } else {
        "ask whoever runs this machine"
    };
    Encryption::CannotTell(format!("phds cannot see what is under `{}` on this system: {how}", folder.display()))
}

/// Linux tells it in texts: `/proc/self/mountinfo` (proc(5)) for the mounts, sysfs for the layers of a block device.
#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::path::Path;

    use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};

    use super::Encryption::{self, CannotTell, Encrypted, NotEncrypted};

    /// Beginnings of the names of disks. Other devices (loop, nbd, rbd, drbd) have their bytes somewhere else.
    const DISKS: [&str; 8] = ["sd", "hd", "vd", "xvd", "nvme", "mmcblk", "pmem", "dasd"];

    pub(super) fn encryption(folder: &Path) -> Encryption {
        let looked = mount_id(folder).and_then(|id| Ok((id, std::fs::read("/proc/self/mountinfo")?)));
        match looked {
            Ok((id, mounts)) => judge(&String::from_utf8_lossy(&mounts), &id, encrypted_by_file_system(folder), &sysfs),
            Err(error) => CannotTell(format!("it cannot be looked at: {error}")),
        }
    }

    /// The mount that an opened folder is on. The kernel's own answer also holds where one mount covers another, which
    /// a comparison of paths would miss.
    fn mount_id(folder: &Path) -> io::Result<String> {
        let folder = File::open(folder)?;
        let facts = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", folder.as_raw_fd()))?;
        let id = facts.lines().find_map(|line| line.strip_prefix("mnt_id:"));
        id.map(|id| id.trim().to_owned()).ok_or_else(|| io::Error::other("the kernel does not tell the mount"))
    }

    /// What the file system says of a folder: fscrypt on ext4 and f2fs, and the like. `None` when it has no word for it.
    fn encrypted_by_file_system(folder: &Path) -> Option<bool> {
        let facts = statx(rustix::fs::CWD, folder, AtFlags::empty(), StatxFlags::BASIC_STATS).ok()?;
        let is_told = facts.stx_attributes_mask.contains(StatxAttributes::ENCRYPTED);
        is_told.then(|| facts.stx_attributes.contains(StatxAttributes::ENCRYPTED))
    }

    /// A place below `/sys/dev/block`: the text of a file, or the names in a folder, a line each.
    fn sysfs(place: &str) -> Option<String> {
        let path = Path::new("/sys/dev/block").join(place);
        let text = match std::fs::read_dir(&path) {
            Ok(entries) => entries
                .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
                .collect::<io::Result<Vec<_>>>()
                .map(|names| names.join("\n")),
            Err(_) => std::fs::read_to_string(path),
        };
        text.ok()
    }

    /// What lies under the mount `id`. `by_file_system` is the file system's own word, `read` is [`sysfs`].
    fn judge(
        mounts: &str,
        id: &str,
        by_file_system: Option<bool>,
        read: &dyn Fn(&str) -> Option<String>,
    ) -> Encryption {
        let Some(mount) = mounts.lines().filter_map(Mount::parse).find(|mount| mount.id == id) else {
            return CannotTell("the mount of this folder is not listed".to_owned());
        };
        let kind = mount.kind;
        match kind {
            "ecryptfs" => Encrypted("eCryptfs".to_owned()),
            "fuse.gocryptfs" | "fuse.cryfs" | "fuse.encfs" | "fuse.securefs" => {
                Encrypted(kind.trim_start_matches("fuse.").to_owned())
            }
            "tmpfs" | "ramfs" => CannotTell(format!(
                "it is in memory ({kind}), which may be written to the swap, and is gone when the machine stops"
            )),
            "overlay" | "aufs" | "fuse.fuse-overlayfs" => {
                CannotTell(format!("it is laid over other folders ({kind}), as in a container: ask what is under them"))
            }
            "zfs" => CannotTell(format!(
                "ZFS does not tell it here: `zfs get encryption '{}'` does",
                unescaped(mount.source)
            )),
            "btrfs" | "bcachefs" => CannotTell(format!(
                "{kind} may be on several disks: `lsblk -s -o NAME,TYPE,FSTYPE,MOUNTPOINTS` shows whether each is on a crypt"
            )),
            "nfs" | "nfs4" | "cifs" | "smb3" | "ceph" | "9p" | "virtiofs" | "afs" | "lustre" | "vboxsf"
            | "fuse.sshfs" | "fuse.glusterfs" => {
                CannotTell(format!("its disk is on another machine ({kind}): ask who runs that"))
            }
            // Not before this place: a server's word for what is on the server is not enough.
            _ if by_file_system == Some(true) => Encrypted(format!("{kind} itself")),
            _ if mount.device.starts_with("0:") => {
                CannotTell(format!("a file system of type {kind} does not name its disk"))
            }
            _ => match (device(mount.device, read), by_file_system) {
                (NotEncrypted(_), None) if matches!(kind, "ext4" | "f2fs") => CannotTell(format!(
                    "the disk is not encrypted, and this kernel does not tell whether {kind} encrypts the folder"
                )),
                (found, _) => found,
            },
        }
    }

    /// What is needed of a line such as `36 35 98:0 /root /mnt rw,noatime master:1 - ext4 /dev/sda1 rw`.
    struct Mount<'a> {
        id: &'a str,
        /// Major and minor number; a major of 0 is no block device.
        device: &'a str,
        kind: &'a str,
        source: &'a str,
    }

    impl<'a> Mount<'a> {
        fn parse(line: &'a str) -> Option<Self> {
            // A blank within a path is escaped, so this one separates.
            let (place, file_system) = line.split_once(" - ")?;
            let mut place = place.split(' ');
            let mut file_system = file_system.split(' ');
            Some(Self {
                id: place.next()?,
                device: place.nth(1)?,
                kind: file_system.next()?,
                source: file_system.next()?,
            })
        }
    }

    /// A text of mountinfo as it was: blank, tab, line break, `#` and backslash come as a backslash and three octal
    /// digits.
    fn unescaped(text: &str) -> String {
        [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\043", "#"), ("\\134", "\\")]
            .iter()
            .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
    }

    /// A block device, by the layers below it down to the disks.
    fn device(number: &str, read: &dyn Fn(&str) -> Option<String>) -> Encryption {
        let below = |place: &str| read(&format!("{number}/{place}"));
        // Device mapper: the kind of a layer is the beginning of its UUID, `CRYPT-<kind>-` when cryptsetup made it.
        let mapper = below("dm/uuid");
        if let Some(made) = mapper.as_deref().and_then(|uuid| uuid.strip_prefix("CRYPT-")) {
            match made.split('-').next().unwrap_or_default() {
                // Checksums alone: what is below decides.
                "VERITY" | "INTEGRITY" => {}
                kind @ ("LUKS1" | "LUKS2" | "PLAIN" | "LOOPAES" | "TCRYPT" | "BITLK" | "FVAULT2") => {
                    return Encrypted(format!("dm-crypt ({kind})"));
                }
                kind => return CannotTell(format!("cryptsetup made it, of a kind that phds does not know ({kind})")),
            }
        }
        let slaves = below("slaves").unwrap_or_default();
        if !slaves.is_empty() {
            let layers = slaves.lines().map(|name| match below(&format!("slaves/{name}/dev")) {
                Some(number) => device(number.trim(), read),
                None => CannotTell(format!("the device {name} below it cannot be looked at")),
            });
            return weakest(layers);
        }
        if below("partition").is_some() {
            return match below("../dev") {
                Some(disk) => device(disk.trim(), read),
                None => CannotTell(format!("the disk of the partition {number} cannot be looked at")),
            };
        }
        let facts = below("uevent").unwrap_or_default();
        let name = facts.lines().find_map(|line| line.strip_prefix("DEVNAME=")).unwrap_or(number);
        if mapper.is_none() && DISKS.iter().any(|disk| name.starts_with(disk)) {
            return NotEncrypted(format!("nothing in this system encrypts the disk {name}"));
        }
        CannotTell(format!("what is under the device {name} cannot be seen from here"))
    }

    /// Data that lie on several devices are encrypted when all of these are, and are not when one of these is not.
    fn weakest(layers: impl Iterator<Item = Encryption>) -> Encryption {
        let rank = |layer: &Encryption| match layer {
            NotEncrypted(_) => 0,
            CannotTell(_) => 1,
            Encrypted(_) => 2,
        };
        layers.min_by_key(rank).unwrap_or_else(|| CannotTell("nothing is known of the devices below it".to_owned()))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const MOUNTS: &str = r"
22 1 0:21 / /proc rw,nosuid shared:5 - proc proc rw
30 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
31 30 253:1 / /srv/two\040words rw shared:2 master:3 - xfs /dev/mapper/vg-data rw
32 30 0:40 / /tmp rw - tmpfs tmpfs rw,size=4k
33 30 0:41 / /pool rw - zfs pool/data\040set\134x rw,xattr
34 30 0:42 / /mnt/nas rw - nfs4 nas:/export rw
35 30 0:43 / /home/a ro - btrfs /dev/mapper/luks-1 rw
36 30 0:44 / /home/b rw - ecryptfs /home/.b rw
37 30 0:45 / /home/c rw - fuse.gocryptfs /home/.c rw
38 30 0:46 / / rw - overlay overlay rw,lowerdir=/l
39 30 0:47 / /odd rw - fuse.something something rw
40 30 7:0 / /snap/x ro - squashfs /dev/loop0 ro
a broken line
41 30 8:2 /sub /bind rw
";

        /// Invented disks: `place below /sys/dev/block = its text`, with `,` for a line break.
        const DEVICES: &str = "
8:2/partition = 2
8:2/../dev = 8:0
8:0/uevent = MAJOR=8,MINOR=0,DEVNAME=sda,DEVTYPE=disk
8:16/uevent = DEVNAME=sdb
8:32/slaves =
8:32/uevent = DEVNAME=nvme0n1
7:0/uevent = DEVNAME=loop0
43:0/uevent = DEVNAME=nbd0
253:0/dm/uuid = CRYPT-LUKS2-0123-root
253:0/slaves = sda2
253:1/dm/uuid = LVM-abcdef
253:1/slaves = dm-0
253:1/slaves/dm-0/dev = 253:0
253:2/dm/uuid = LVM-abcdef
253:2/slaves = dm-0,sdb
253:2/slaves/dm-0/dev = 253:0
253:2/slaves/sdb/dev = 8:16
253:3/dm/uuid = LVM-abcdef
253:3/slaves = dm-0,nbd0
253:3/slaves/dm-0/dev = 253:0
253:3/slaves/nbd0/dev = 43:0
253:4/dm/uuid = CRYPT-VERITY-0123-root
253:4/slaves = sda2
253:4/slaves/sda2/dev = 8:2
253:5/dm/uuid = CRYPT-NEWKIND-0123-root
253:6/dm/uuid = CRYPT-PLAIN-swap
253:7/dm/uuid = LVM-abcdef
253:7/uevent = DEVNAME=dm-7
253:8/dm/uuid = CRYPT-INTEGRITY-x
253:8/slaves = dm-0
253:8/slaves/dm-0/dev = 253:0
9:0/slaves = sda2,sdb
9:0/slaves/sda2/dev = 8:2
9:0/slaves/sdb/dev = 8:16
9:1/slaves = dm-0,dm-6
9:1/slaves/dm-0/dev = 253:0
9:1/slaves/dm-6/dev = 253:6
9:2/slaves = sdz
259:0/partition = 1
259:0/../dev = 9:1
259:1/partition = 1
";

        fn read(place: &str) -> Option<String> {
            let lines = DEVICES.lines().filter_map(|line| line.split_once(" ="));
            let mut texts = lines.filter(|(name, _)| *name == place);
            texts.next().map(|(_, text)| text.trim().replace(',', "\n"))
        }

        /// What is expected: `yes` and with what, `no` and which disk, or `?` and a word of the reason.
        fn agrees(found: &Encryption, expected: &str) -> bool {
            match (found, expected.split_once(' ').unwrap_or((expected, ""))) {
                (Encrypted(how), ("yes", expected)) => how == expected,
                (NotEncrypted(why), ("no", disk)) => why.ends_with(&format!("the disk {disk}")),
                (CannotTell(why), ("?", word)) => why.contains(word),
                _ => false,
            }
        }

        #[test]
        fn a_device_is_as_encrypted_as_what_is_below_it() {
            let table = [
                ("8:0", "no sda", "a disk"),
                ("8:2", "no sda", "its partition"),
                ("8:32", "no nvme0n1", "a disk with an empty folder of slaves"),
                ("253:0", "yes dm-crypt (LUKS2)", "LUKS on a partition"),
                ("253:1", "yes dm-crypt (LUKS2)", "LVM on LUKS"),
                ("253:2", "no sdb", "LVM on LUKS and on a plain disk"),
                ("253:3", "? nbd0", "LVM on LUKS and on something unknown"),
                ("253:4", "no sda", "checksums over a plain partition"),
                ("253:8", "yes dm-crypt (LUKS2)", "checksums over LUKS"),
                ("253:5", "? NEWKIND", "a kind of cryptsetup that is not known"),
                ("253:6", "yes dm-crypt (PLAIN)", "dm-crypt without a header"),
                ("253:7", "? dm-7", "device mapper over nothing"),
                ("9:0", "no sda", "RAID on plain disks"),
                ("9:1", "yes dm-crypt (LUKS2)", "RAID on two encrypted devices"),
                ("9:2", "? sdz", "RAID on a device that is not listed"),
                ("259:0", "yes dm-crypt (LUKS2)", "a partition of that RAID"),
                ("259:1", "? partition", "a partition without its disk"),
                ("7:0", "? loop0", "a file as a disk"),
                ("43:0", "? nbd0", "a disk of another machine"),
                ("1:2", "? 1:2", "a device of which nothing is known"),
            ];
            for (number, expected, what) in table {
                let found = device(number, &read);
                assert!(agrees(&found, expected), "{what}: {found:?}");
            }
        }

        #[test]
        fn a_mount_is_judged_by_its_kind_and_its_device() {
            let no = Some(false);
            let table = [
                ("30", no, "no sda"),
                ("30", Some(true), "yes ext4 itself"),
                ("30", None, "? does not tell whether ext4"),
                ("31", None, "yes dm-crypt (LUKS2)"),
                ("31", Some(true), "yes xfs itself"),
                ("32", None, "? memory (tmpfs)"),
                ("33", None, r"? `zfs get encryption 'pool/data set\x'`"),
                ("34", Some(true), "? another machine (nfs4)"),
                ("35", no, "? lsblk"),
                ("36", None, "yes eCryptfs"),
                ("37", None, "yes gocryptfs"),
                ("38", None, "? container"),
                ("39", None, "? fuse.something"),
                ("40", None, "? loop0"),
                ("3", None, "? not listed"),
                ("41", None, "? not listed"),
                ("", None, "? not listed"),
            ];
            for (id, by_file_system, expected) in table {
                let found = judge(MOUNTS, id, by_file_system, &read);
                assert!(agrees(&found, expected), "{id}: {found:?}");
            }
            assert!(agrees(&judge("", "30", no, &read), "? not listed"));
        }

        #[test]
        fn escapes_are_undone_once() {
            let table = [
                ("a\\040b", "a b"),
                ("\\011\\012\\043", "\t\n#"),
                ("\\134040", "\\040"),
                ("plain", "plain"),
                ("\\04", "\\04"),
            ];
            for (text, expected) in table {
                assert_eq!(unescaped(text), expected);
            }
        }

        #[test]
        fn this_machine_gives_some_answer() {
            let folder = tempfile::tempdir().unwrap();
            let id = mount_id(folder.path()).unwrap();
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
            assert!(mounts.lines().filter_map(Mount::parse).any(|mount| mount.id == id));
            // /proc is on no disk anywhere, and a folder that is not there is on none.
            for folder in [Path::new("/proc"), &folder.path().join("missing")] {
                assert!(matches!(encryption(folder), CannotTell(_)), "{}", folder.display());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_volume_has_room_and_a_missing_folder_has_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_bytes(folder.path()).unwrap() > 0);
        // Elsewhere, the volume answers on which it would be.
        if !cfg!(unix) {
            return;
        }
        let error = free_bytes(&folder.path().join("missing")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Environment);
    }

    #[cfg(unix)]
    #[test]
    fn the_bits_of_group_and_others_are_told() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        for (mode, expected) in [(0o700, 0), (0o750, 0o050), (0o705, 0o005), (0o777, 0o077), (0o1777, 0o077)] {
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(shared_bits(folder.path()).unwrap(), Some(expected), "{mode:o}");
        }
        assert_eq!(shared_bits(&folder.path().join("missing")).unwrap_err().kind(), ErrorKind::Usage);
    }
}
