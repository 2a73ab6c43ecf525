//! The caller's identity on the thread that makes the backing call: file system uid and gid, umask, and the capabilities that
//! decide whether set-id bits survive. Raw system calls throughout: libc's versions would change all threads at once.
//! Knows no files. Who may do what is the kernel's decision (default_permissions); this only makes what is created the
//! caller's own.
//!
//! A thread keeps the identity it last took on until a request needs another, so a program's stream of writes costs no
//! system call here. Such a thread must therefore do nothing but serve.

use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

use super::proc;
use super::sys::{Result, check, check_long};
use crate::wire::Errno;

const CAP_SETGID: u64 = 1 << 6;
const CAP_SETUID: u64 = 1 << 7;
const CAP_FSETID: u64 = 1 << 4;
const CAP_DAC_READ_SEARCH: u64 = 1 << 2;
/// Who has it may fill a filesystem's reserved blocks and ignores quotas.
const CAP_SYS_RESOURCE: u64 = 1 << 24;

/// SECBIT_NO_SETUID_FIXUP: a change of the file system uid leaves the capabilities as they are, so that a caller whom
/// the kernel let pass by a supplementary group is not refused by the backing directory.
const SECBIT_NO_SETUID_FIXUP: libc::c_ulong = 1 << 2;

/// setfsuid and setfsgid take this as "tell me": they have no other way to report a failure.
const NO_ID: u32 = u32::MAX;

/// For whom a request is performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub uid: u32,
    pub gid: u32,
    /// The caller lacks CAP_FSETID: writes, truncations and the like clear set-id bits.
    pub kills_set_ids: bool,
}

/// What the process had at the start, before any thread took on another identity.
#[derive(Clone, Copy, Debug)]
struct Own {
    uid: u32,
    gid: u32,
    effective: u64,
    permitted: u64,
    inheritable: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Present {
    uid: u32,
    gid: u32,
    effective: u64,
    umask: u32,
    /// A change of the file system uid drops capabilities here (the securebit was refused).
    fixup: bool,
}

static OWN: OnceLock<Own> = OnceLock::new();

thread_local! {
    /// None until the thread's first request.
    static PRESENT: Cell<Option<Present>> = const { Cell::new(None) };
}

/// Notes the process's own identity. Called before any thread serves.
pub fn prepare() -> Result<()> {
    proc::prepare()?;
    let sets = capabilities()?;
    let own = Own {
        uid: set_fs_uid(NO_ID),
        gid: set_fs_gid(NO_ID),
        effective: sets.effective,
        permitted: sets.permitted,
        inheritable: sets.inheritable,
    };
    // Several mounts of one process share it: the first has noted it.
    OWN.get_or_init(|| own);
    Ok(())
}

/// Whether this process can open regular files by handle: root, in the first user namespace.
pub fn may_open_by_handle() -> bool {
    /// PROC_USER_INIT_INO of the kernel: the first user namespace's inode number, the same on every machine.
    const FIRST_USER_NAMESPACE: u64 = 0xEFFF_FFFD;
    let namespace = std::fs::metadata("/proc/self/ns/user").map(|of| std::os::unix::fs::MetadataExt::ino(&of));
    let capable = OWN.get().is_some_and(|own| own.effective & CAP_DAC_READ_SEARCH != 0);
    capable && namespace.is_ok_and(|ino| ino == FIRST_USER_NAMESPACE)
}

/// Makes the thread ready to serve: its own umask and working directory. Done once a thread, at its first request.
pub fn prepare_thread() -> Result<()> {
    if PRESENT.get().is_none() {
        PRESENT.set(Some(own_thread(own()?)?));
    }
    Ok(())
}

/// Acts as `caller` from now on. An ordinary user's recorder cannot and need not: only its own calls reach it.
pub fn assume(caller: Caller) -> Result<()> {
    let own = own()?;
    if !own.switches() {
        return Ok(());
    }
    let mut wanted = own.effective;
    if caller.kills_set_ids {
        wanted &= !CAP_FSETID;
    }
    if caller.uid != own.uid {
        wanted &= !CAP_SYS_RESOURCE;
    }
    switch(own, caller.uid, caller.gid, wanted)
}

/// Acts as `caller` without any privilege while `question` is asked: what access(2) would say.
pub fn without_privilege<T>(caller: Caller, question: impl FnOnce() -> Result<T>) -> Result<T> {
    let own = own()?;
    if !own.switches() {
        return question();
    }
    let wanted = if caller.uid == 0 { own.effective } else { 0 };
    switch(own, caller.uid, caller.gid, wanted)?;
    let answer = question();
    switch(own, own.uid, own.gid, own.effective)?;
    answer
}

/// The umask for what is created next. The kernel leaves it to us, since a default ACL overrides it (FUSE_DONT_MASK).
pub fn set_umask(umask: u32) -> Result<()> {
    let umask = umask & 0o777;
    let mut present = present()?;
    if present.umask != umask {
        // SAFETY: plain integer; the thread has its own umask since own_thread.
        unsafe { libc::umask(umask) };
        present.umask = umask;
        PRESENT.set(Some(present));
    }
    Ok(())
}

impl Own {
    fn switches(&self) -> bool {
        let needed = CAP_SETUID | CAP_SETGID;
        self.effective & needed == needed
    }
}

fn own() -> Result<&'static Own> {
    OWN.get().ok_or(Errno(libc::EPERM))
}

fn present() -> Result<Present> {
    PRESENT.get().ok_or(Errno(libc::EPERM))
}

/// A new thread has what its creator had at that moment, which may be some caller's: everything is set, nothing assumed.
fn own_thread(own: &Own) -> Result<Present> {
    // SAFETY: plain integers; affects this thread alone.
    check(unsafe { libc::unshare(libc::CLONE_FS) })?;
    // SAFETY: as above.
    unsafe { libc::umask(0) };
    // Calls that take names only (xattrs) reach a descriptor as its number in this directory.
    // SAFETY: as above; the descriptor stays open for the process's life.
    check(unsafe { libc::fchdir(proc::directory()?.as_raw_fd()) })?;
    let mut present = Present { uid: own.uid, gid: own.gid, effective: own.effective, umask: 0, fixup: false };
    if own.switches() {
        raise(own, own.effective)?;
        present.fixup = keep_capabilities_on_change().is_err();
        leave_supplementary_groups()?;
        become_user(own.uid, own.gid)?;
        raise(own, own.effective)?;
    }
    Ok(present)
}

fn switch(own: &Own, uid: u32, gid: u32, effective: u64) -> Result<()> {
    let mut present = present()?;
    let (uid, gid) = (if uid == NO_ID { own.uid } else { uid }, if gid == NO_ID { own.gid } else { gid });
    if (present.uid, present.gid, present.effective) == (uid, gid, effective) {
        return Ok(());
    }
    // Until all has worked the thread's state is unknown: the next request sets everything.
    PRESENT.set(None);
    let changes_user = (present.uid, present.gid) != (uid, gid);
    if changes_user {
        become_user(uid, gid)?;
    }
    if present.effective != effective || (changes_user && present.fixup) {
        raise(own, effective)?;
    }
    present = Present { uid, gid, effective, ..present };
    PRESENT.set(Some(present));
    Ok(())
}

fn become_user(uid: u32, gid: u32) -> Result<()> {
    set_fs_gid(gid);
    set_fs_uid(uid);
    if set_fs_gid(NO_ID) == gid && set_fs_uid(NO_ID) == uid { Ok(()) } else { Err(Errno(libc::EPERM)) }
}

/// Returns the id until now; an invalid one changes nothing.
fn set_fs_uid(uid: u32) -> u32 {
    // SAFETY: plain integer; affects this thread alone.
    unsafe { libc::syscall(libc::SYS_setfsuid, uid) as u32 }
}

fn set_fs_gid(gid: u32) -> u32 {
    // SAFETY: plain integer; affects this thread alone.
    unsafe { libc::syscall(libc::SYS_setfsgid, gid) as u32 }
}

fn keep_capabilities_on_change() -> Result<()> {
    // SAFETY: plain integers; securebits belong to the thread.
    let bits = check(unsafe { libc::prctl(libc::PR_GET_SECUREBITS, 0, 0, 0, 0) })? as libc::c_ulong;
    if bits & SECBIT_NO_SETUID_FIXUP == 0 {
        // SAFETY: as above.
        check(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP, 0, 0, 0) })?;
    }
    Ok(())
}

/// Our own groups are not the caller's: a file's group must not count as ours when set-gid bits are decided upon.
fn leave_supplementary_groups() -> Result<()> {
    // SAFETY: no groups, so no array is read; affects this thread alone.
    let result = unsafe { libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) };
    match check_long(result) {
        // A user namespace with setgroups denied: its groups stay.
        Err(Errno(libc::EPERM)) | Ok(_) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// struct __user_cap_header_struct.
#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

/// struct __user_cap_data_struct: two of them make 64 bits.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

struct CapabilitySets {
    effective: u64,
    permitted: u64,
    inheritable: u64,
}

const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;

fn capabilities() -> Result<CapabilitySets> {
    let mut header = CapHeader { version: LINUX_CAPABILITY_VERSION_3, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: both have the kernel's layout for this version.
    check_long(unsafe { libc::syscall(libc::SYS_capget, &mut header, data.as_mut_ptr()) })?;
    let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    Ok(CapabilitySets {
        effective: join(data[0].effective, data[1].effective),
        permitted: join(data[0].permitted, data[1].permitted),
        inheritable: join(data[0].inheritable, data[1].inheritable),
    })
}

/// Sets this thread's effective capabilities; permitted and inheritable stay.
fn raise(own: &Own, effective: u64) -> Result<()> {
    let mut header = CapHeader { version: LINUX_CAPABILITY_VERSION_3, pid: 0 };
    let half = |shift: u32| CapData {
        effective: (effective >> shift) as u32,
        permitted: (own.permitted >> shift) as u32,
        inheritable: (own.inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: both have the kernel's layout for this version; pid 0 is this thread.
    check_long(unsafe { libc::syscall(libc::SYS_capset, &mut header, data.as_ptr()) })?;
    Ok(())
}
