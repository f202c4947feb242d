//! A small file system of its own, where this user may make one.

use std::path::Path;
use std::process::Command;

/// A file system in memory, for a few hundred files. It goes when it is dropped.
pub struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// Mounts one on a new folder; `None` where this user may not.
    pub fn mount(place: &'a Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir(place).unwrap();
        let options = format!("size={megabytes}m,nr_inodes=400,mode=700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(place).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(place))
    }

    /// Makes a folder full of empty files, which leaves room for so many other files.
    pub fn crowd(&self, name: &str, free: usize) {
        let folder = self.0.join(name);
        std::fs::create_dir(&folder).unwrap();
        let fillers: Vec<_> = (0..)
            .map(|number| folder.join(format!("{number}")))
            .map_while(|path| std::fs::File::create(&path).ok().map(|_| path))
            .collect();
        for path in &fillers[..free] {
            std::fs::remove_file(path).unwrap();
        }
    }

    /// Writes a file that leaves so many bytes free, or nearly.
    pub fn fill(&self, name: &str, free: u64) {
        let taken = phds::volume::free_bytes(self.0).unwrap().saturating_sub(free);
        let mut file = std::fs::File::create(self.0.join(name)).unwrap();
        std::io::copy(&mut std::io::Read::take(std::io::repeat(0), taken), &mut file).unwrap();
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}
