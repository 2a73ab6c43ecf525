//! Whether somebody executes a file of this mount: the one thing that the kernel asks too late. An open that truncates is one
//! request (ATOMIC_O_TRUNC), and with O_RDONLY the kernel looks for ETXTBSY only when that is answered (do_open() in
//! fs/namei.c: vfs_open(), then handle_truncate()), when the program that runs has lost its text. With O_WRONLY and O_RDWR it
//! looks first, so this is asked for an open that next to nobody makes, and may take its time.

use std::ffi::CString;
use std::fs;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt;

use super::sys;

/// `dev` and `ino`: as stat(2) shows the file behind the mount. What /proc hides from us counts as not executed.
pub fn is_executed(dev: u64, ino: u64) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    // Where there is no such link, it is no process.
    processes.filter_map(|entry| CString::new(entry.ok()?.path().join("exe").into_os_string().into_vec()).ok()).any(
        |link| {
            // SAFETY: AT_FDCWD names no owned descriptor; the path is absolute.
            let anywhere = unsafe { BorrowedFd::borrow_raw(libc::AT_FDCWD) };
            // DONT_SYNC: the file may be ours, and to ask for its attributes would wait for ourselves.
            let attributes = sys::statx(anywhere, &link, libc::AT_STATX_DONT_SYNC | libc::AT_NO_AUTOMOUNT);
            attributes.is_ok_and(|attributes| sys::device(&attributes) == dev && attributes.stx_ino == ino)
        },
    )
}
