//! The trace's folder on disk: made private, files written beside and renamed, numbers never reused. The only file here
//! that writes, so also where tests stall or fail the disk. Knows no columns.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::columns::Table;
use super::error::Error;

/// Called before each file is written; may stall or fail it.
pub type BeforeWrite = Arc<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// Paths are private data: for the owner alone.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Kept free so that on a full disk the last totals and the ledger of what was lost can still be written.
const RESERVE_BYTES: i64 = 512 << 10;
const RESERVE: &str = ".reserve";

pub(super) const MANIFEST: &str = "manifest";
pub(super) const ABOUT: &str = "trace.json";

pub(super) struct Folder {
    root: PathBuf,
    last_number: AtomicU64,
    before_write: Option<BeforeWrite>,
}

impl Folder {
    /// Makes `root`, or takes it if it is an empty directory.
    pub fn create(root: &Path, before_write: Option<BeforeWrite>) -> Result<Folder, Error> {
        refuse_what_is_there(root)?;
        let mut builder = DirBuilder::new();
        if let Some(parent) = root.parent() {
            fs::create_dir_all(parent).map_err(Error::folder("create the directory", parent))?;
        }
        builder
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(root)
            .map_err(Error::folder("create the trace folder", root))?;
        // The working directory may change, and the folder may have been there with another mode.
        let root = root.canonicalize().map_err(Error::folder("find the trace folder", root))?;
        fs::set_permissions(&root, Permissions::from_mode(FOLDER_MODE))
            .map_err(Error::folder("make private the trace folder", &root))?;
        for table in Table::ALL {
            let path = root.join(table.word());
            builder.create(&path).map_err(Error::folder("create", &path))?;
        }
        let folder = Folder { root, last_number: AtomicU64::new(0), before_write };
        folder.take_reserve();
        Ok(folder)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes a segment under a new number and gives its name in the trace. On failure nothing of it is left.
    pub fn write_segment(&self, table: Table, bytes: &[u8]) -> io::Result<String> {
        let number = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        let beside = format!("{}/.tmp-{number:06}", table.word());
        let name = format!("{}/{number:06}.parquet", table.word());
        self.write(&beside, &name, bytes)?;
        Ok(name)
    }

    /// Replaces a file of the folder itself as a whole.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.write(&format!(".tmp-{name}"), name, bytes)
    }

    // No fsync: the recorder's death loses nothing written, and a flush of the trace would make the very disk slow that
    // the traced program may be waiting for.
    fn write(&self, beside: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        if let Some(before_write) = &self.before_write {
            before_write(name)?;
        }
        let beside = self.path(beside);
        let written = self.open_new(&beside).and_then(|mut file| file.write_all(bytes));
        let renamed = written.and_then(|()| fs::rename(&beside, self.path(name)));
        renamed.inspect_err(|_| drop(fs::remove_file(&beside)))
    }

    fn open_new(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)
    }

    pub fn open_manifest(&self) -> io::Result<File> {
        OpenOptions::new().append(true).create_new(true).mode(FILE_MODE).open(self.path(MANIFEST))
    }

    pub fn open(&self, name: &str) -> io::Result<File> {
        File::open(self.path(name))
    }

    /// Missing is as good as removed.
    pub fn remove(&self, name: &str) {
        drop(fs::remove_file(self.path(name)));
    }

    /// Free space of the trace's disk in percent, as `df` counts it: of what an ordinary user can have at all.
    pub fn free_percent(&self) -> io::Result<u64> {
        let path = std::ffi::CString::new(self.root.as_os_str().as_bytes())?;
        // SAFETY: an all-zero statvfs is a valid value of that plain C struct.
        let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: `path` is NUL-terminated and `stat` writable, both for the duration of the call.
        if unsafe { libc::statvfs(path.as_ptr(), &mut stat) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let used = stat.f_blocks.saturating_sub(stat.f_bfree);
        Ok((stat.f_bavail * 100).checked_div(used + stat.f_bavail).unwrap_or(100))
    }

    fn take_reserve(&self) {
        use std::os::fd::AsRawFd;
        if let Ok(file) = self.open_new(&self.path(RESERVE)) {
            // SAFETY: the descriptor is open. That it may fail is the point of "if there is room for it".
            unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, RESERVE_BYTES) };
        }
    }

    pub fn release_reserve(&self) {
        self.remove(RESERVE);
    }
}

fn refuse_what_is_there(root: &Path) -> Result<(), Error> {
    match fs::read_dir(root).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(Error::NotEmpty { path: root.to_owned() }),
        Ok(false) => Ok(()),
        // Nothing is there: whether it can be made will show.
        Err(_) if root.symlink_metadata().is_err() => Ok(()),
        Err(cause) if cause.kind() == io::ErrorKind::NotADirectory => {
            Err(Error::NotADirectory { path: root.to_owned() })
        }
        Err(cause) => Err(Error::folder("read the trace folder", root)(cause)),
    }
}
