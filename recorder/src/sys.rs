//! Safe, thin words for the system calls that std lacks. Knows nothing of mounts, traces or who calls.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// 0 or more is a result, -1 an errno.
pub fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// EINVAL for a name with a NUL inside, which no file can have.
pub fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

pub fn c_path(path: &Path) -> io::Result<CString> {
    c_string(path.as_os_str())
}

/// Opens relative to `dir` (None: the working directory); O_CLOEXEC is added.
pub fn open_at(dir: Option<BorrowedFd<'_>>, path: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let dir = dir.map_or(libc::AT_FDCWD, |fd| fd.as_raw_fd());
    // SAFETY: path is a NUL-terminated string that outlives the call; the result is checked before it is owned.
    let fd = check(unsafe { libc::openat(dir, path.as_ptr(), flags | libc::O_CLOEXEC) })?;
    // SAFETY: openat has just returned it; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub fn stat(fd: BorrowedFd<'_>) -> io::Result<libc::stat> {
    // SAFETY: an all-zero stat is a valid value that the call overwrites.
    let mut stat = unsafe { std::mem::zeroed::<libc::stat>() };
    // SAFETY: fd is open for the borrow's life, stat is ours.
    check(unsafe { libc::fstat(fd.as_raw_fd(), &mut stat) })?;
    Ok(stat)
}

/// The id of the mount that the descriptor came through, as /proc/PID/mountinfo counts them.
pub fn mount_id(fd: BorrowedFd<'_>) -> io::Result<u64> {
    // SAFETY: an all-zero statx is a valid value that the call overwrites.
    let mut statx = unsafe { std::mem::zeroed::<libc::statx>() };
    // SAFETY: the empty path is static, statx is ours, fd is open.
    check(unsafe { libc::statx(fd.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_MNT_ID, &mut statx) })?;
    Ok(statx.stx_mnt_id)
}

/// The same of a path, without asking its filesystem for anything: it may be one that waits for us.
pub fn mount_id_without_asking(path: &Path) -> io::Result<u64> {
    let path = c_path(path)?;
    // SAFETY: an all-zero statx is a valid value that the call overwrites.
    let mut statx = unsafe { std::mem::zeroed::<libc::statx>() };
    let flags = libc::AT_STATX_DONT_SYNC;
    // SAFETY: path is a NUL-terminated string, statx is ours.
    check(unsafe { libc::statx(libc::AT_FDCWD, path.as_ptr(), flags, libc::STATX_MNT_ID, &mut statx) })?;
    Ok(statx.stx_mnt_id)
}

/// Two ends of a child's life: who am I after fork.
pub enum Fork {
    Child,
    Parent(libc::pid_t),
}

/// # Safety
/// The process must have one thread only: then the child may go on as if nothing had happened.
pub unsafe fn fork() -> io::Result<Fork> {
    // SAFETY: one thread, says the caller, so no lock is held by a thread that the child lacks.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// Ends without running destructors or exit handlers: for forked children.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: no memory is touched.
    unsafe { libc::_exit(code) }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Exited(i32),
    Killed(i32),
}

fn ending(status: libc::c_int) -> Ending {
    if libc::WIFSIGNALED(status) {
        Ending::Killed(libc::WTERMSIG(status))
    } else {
        Ending::Exited(libc::WEXITSTATUS(status))
    }
}

/// Waits for one child.
pub fn wait_for(pid: libc::pid_t) -> io::Result<Ending> {
    loop {
        let mut status = 0;
        // SAFETY: status is ours.
        match check(unsafe { libc::waitpid(pid, &mut status, 0) }) {
            Ok(_) => return Ok(ending(status)),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
}

/// Takes one child that has ended, if any has.
pub fn reap() -> Option<(libc::pid_t, Ending)> {
    let mut status = 0;
    // SAFETY: status is ours; WNOHANG never blocks.
    match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
        pid if pid > 0 => Some((pid, ending(status))),
        _ => None,
    }
}

/// Which of the descriptors can be read (or have been closed at the other end), waiting at most until `deadline`.
/// A negative descriptor is never ready.
pub fn wait_readable<const N: usize>(fds: [RawFd; N], deadline: Option<Instant>) -> [bool; N] {
    let mut polled = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let timeout = deadline.map_or(-1, |at| {
        let left = at.saturating_duration_since(Instant::now());
        // Rounded up, or the last millisecond would be spent spinning.
        i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
    });
    // SAFETY: polled is an array of N pollfds that outlives the call.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), N as libc::nfds_t, timeout) };
    polled.map(|entry| ready > 0 && entry.revents != 0)
}

pub fn deadline_in(duration: Duration) -> Instant {
    Instant::now() + duration
}

/// What a terminal stops jobs with.
pub const STOPS: [libc::c_int; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// Every signal that can be blocked, except stops (they must keep stopping us) and faults.
pub fn all_signals_but_stops() -> libc::sigset_t {
    // SAFETY: sigfillset initialises the set; the others change it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&mut set);
        let faults = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];
        for signal in STOPS.into_iter().chain(faults) {
            libc::sigdelset(&mut set, signal);
        }
        set
    }
}

pub fn signals(numbers: &[libc::c_int]) -> libc::sigset_t {
    // SAFETY: sigemptyset initialises the set; the others change it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for number in numbers {
            libc::sigaddset(&mut set, *number);
        }
        set
    }
}

/// Makes `set` the blocked signals of this thread; those from before come back.
pub fn block(set: &libc::sigset_t) -> libc::sigset_t {
    // SAFETY: both sets are ours; SIG_SETMASK with a valid set cannot fail.
    unsafe {
        let mut before = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_SETMASK, set, &mut before);
        before
    }
}

pub fn add_signal(set: &mut libc::sigset_t, signal: libc::c_int) {
    // SAFETY: the set is initialised.
    unsafe { libc::sigaddset(set, signal) };
}

/// Lets one signal through, which may end the process at once.
pub fn unblock(signal: libc::c_int) {
    let set = signals(&[signal]);
    // SAFETY: the set is ours.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut()) };
}

pub fn signal_fd(set: &libc::sigset_t) -> io::Result<OwnedFd> {
    // SAFETY: set is valid; the result is checked before it is owned.
    let fd = check(unsafe { libc::signalfd(-1, set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
    // SAFETY: signalfd has just returned it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The next pending signal of a signalfd, if one is there.
pub fn next_signal(fd: BorrowedFd<'_>) -> Option<libc::signalfd_siginfo> {
    // SAFETY: all-zero is a valid value; the kernel fills whole structs only.
    unsafe {
        let mut info = std::mem::zeroed::<libc::signalfd_siginfo>();
        let size = size_of::<libc::signalfd_siginfo>();
        let got = libc::read(fd.as_raw_fd(), (&raw mut info).cast(), size);
        (got == size as isize).then_some(info)
    }
}

/// Sets what a signal does (SIG_DFL, SIG_IGN) and tells what it did before.
pub fn set_disposition(signal: libc::c_int, handler: libc::sighandler_t) -> libc::sighandler_t {
    // SAFETY: no handler function of ours is involved.
    unsafe { libc::signal(signal, handler) }
}

/// A name for a directory of ours that nobody can guess, and so nobody can take before us.
pub fn unguessable_name(parent: &Path) -> io::Result<PathBuf> {
    let mut random = [0u8; 16];
    // SAFETY: the buffer is ours; 16 bytes come whole or not at all.
    let got = unsafe { libc::getrandom(random.as_mut_ptr().cast(), random.len(), 0) };
    if got != random.len() as isize {
        return Err(io::Error::last_os_error());
    }
    Ok(parent.join(format!("glassfs-{:032x}", u128::from_ne_bytes(random))))
}

/// Makes a directory that must not be there yet, for its owner alone.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

/// As many descriptors as the hard limit allows; how many that are.
pub fn raise_descriptor_limit() -> u64 {
    // SAFETY: plain struct, ours.
    unsafe {
        let mut limit = std::mem::zeroed::<libc::rlimit>();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return 0;
        }
        let wanted = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &wanted) == 0 { limit.rlim_max } else { limit.rlim_cur }
    }
}

/// Closes every descriptor from 3 up that is not in `keep`: a daemon must not hold its caller's pipes open.
fn close_all_but(keep: &[RawFd]) {
    let mut keep: Vec<u32> = keep.iter().map(|fd| *fd as u32).filter(|fd| *fd > 2).collect();
    keep.sort_unstable();
    let mut from = 3;
    for fd in keep.into_iter().chain([u32::MAX]) {
        if from < fd {
            // SAFETY: the caller no longer uses these numbers. CLOSE_RANGE exists since Linux 5.9.
            unsafe { libc::close_range(from, fd - 1, 0) };
        }
        from = fd.saturating_add(1);
    }
}

/// A session without a terminal, in a directory that holds nothing busy, with nothing of the caller's open but `keep`.
pub fn become_daemon(keep: &[RawFd]) -> io::Result<()> {
    // SAFETY: touches no memory. It fails only for a group's leader, which a fresh fork is not.
    unsafe { libc::setsid() };
    for signal in STOPS {
        set_disposition(signal, libc::SIG_IGN);
    }
    std::env::set_current_dir("/")?;
    detach_standard_streams()?;
    close_all_but(keep);
    // A killed recorder is a dead mount: others should go first when memory is short. Only root may ask for that.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-900");
    Ok(())
}

/// stdin, stdout and stderr become /dev/null.
fn detach_standard_streams() -> io::Result<()> {
    let null = open_at(None, Path::new("/dev/null"), libc::O_RDWR)?;
    for stream in 0..3 {
        // SAFETY: dup2 onto the standard streams, which nobody owns as OwnedFd.
        check(unsafe { libc::dup2(null.as_raw_fd(), stream) })?;
    }
    Ok(())
}

/// Puts /dev/null in the place of standard streams that are closed, so that nothing of ours gets their numbers. Closed
/// on exec: a command finds them closed as its caller left them.
pub fn fill_standard_streams() {
    for stream in 0..3 {
        // SAFETY: F_GETFD has no argument and touches nothing; open takes the lowest number, which is the closed one's.
        unsafe {
            if libc::fcntl(stream, libc::F_GETFD) < 0 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
            }
        }
    }
}

/// The capabilities in effect, as bits by their numbers.
pub fn effective_capabilities() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

pub const CAP_DAC_READ_SEARCH: u32 = 2;
pub const CAP_SYS_ADMIN: u32 = 21;
pub const CAP_PERFMON: u32 = 38;
pub const CAP_BPF: u32 = 39;

pub fn has_capability(number: u32) -> bool {
    effective_capabilities() & (1 << number) != 0
}

/// Whether a setuid program that this process starts can have it: a container takes it from the bounding set.
pub fn may_regain(capability: u32) -> bool {
    // SAFETY: touches no memory.
    unsafe { libc::prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(capability), 0, 0, 0) == 1 }
}

pub fn effective_ids() -> (libc::uid_t, libc::gid_t) {
    // SAFETY: these calls cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Linux's version as it calls itself, and its first two numbers.
pub fn kernel_release() -> (String, (u32, u32)) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (release, version)
}
