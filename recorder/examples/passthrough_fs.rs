//! The filesystem alone, without a trace: for comparing a mount with the bare directory, and for measuring.
//!
//!     passthrough_fs SOURCE MOUNT_POINT [exact] [over] [handles|descriptors] [no-prune] [user=UID] [quiet]
//!
//! To be started as root; `user` serves as that ordinary user. Ends when unmounted, and says how many nodes were left.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::{env, io, process};

use glassfs_recorder::collect::record::Facts;
use glassfs_recorder::passthrough::{self, Passthrough, Way};
use glassfs_recorder::wire::{
    Answer, Device, Errno, Node, Notify, Options, ReplyBuffer, Request, Serve, Session, Wishes,
};

struct Served(Passthrough);

impl Serve for Served {
    fn serve(&self, request: &Request<'_>, reply: &mut ReplyBuffer) -> Answer {
        self.0.serve(request, reply, &mut Facts::default())
    }
}

/// A kernel before 6.18.
struct WithoutPrune(Arc<Device>);

impl Notify for WithoutPrune {
    fn prune(&self, _: &[Node]) -> Result<(), Errno> {
        Err(Errno(libc::EINVAL))
    }

    fn invalidate_entry(&self, parent: Node, name: &[u8]) -> Result<(), Errno> {
        self.0.invalidate_entry(parent, name)
    }
}

fn mount(source: &OwnedFd, at: &Path, user: u32) -> io::Result<File> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
    let fd = device.as_raw_fd();
    let options = format!("fd={fd},rootmode=40000,user_id={user},group_id={user},allow_other,default_permissions");
    let text = |s: &str| CString::new(s).map_err(io::Error::other);
    let (name, kind, options) = (text("passthrough_fs")?, text("fuse.passthrough_fs")?, text(&options)?);
    let at = text(&at.to_string_lossy())?;
    let flags = passthrough::inherited_mount_flags(source)?;
    // SAFETY: four C strings that live across the call.
    let done = unsafe { libc::mount(name.as_ptr(), at.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast()) };
    if done == 0 { Ok(device) } else { Err(io::Error::last_os_error()) }
}

fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is writable, then only read.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
}

fn become_user(user: u32) {
    // SAFETY: plain integers; no other thread runs yet.
    let done = unsafe {
        libc::setgroups(0, std::ptr::null()) == 0
            && libc::setresgid(user, user, user) == 0
            && libc::setresuid(user, user, user) == 0
    };
    assert!(done, "cannot become user {user}");
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [source, at, words @ ..] = arguments.as_slice() else {
        eprintln!(
            "usage: passthrough_fs SOURCE MOUNT_POINT [exact] [over] [handles|descriptors] [no-prune] [user=UID] [quiet]"
        );
        process::exit(2);
    };
    let has = |word: &str| words.iter().any(|given| given == word);
    let user = words.iter().find_map(|word| word.strip_prefix("user=")?.parse().ok()).unwrap_or(0);
    raise_descriptor_limit();
    let source = passthrough::open_source(Path::new(source))?;
    let posix_acl = passthrough::supports_acl(&source);
    let device = Arc::new(Device::from_fd(mount(&source, Path::new(at), user)?.into())?);
    if user != 0 {
        become_user(user);
    }
    let way = match (has("handles"), has("descriptors")) {
        (true, _) => Some(Way::Handles),
        (_, true) => Some(Way::Descriptors),
        _ => None,
    };
    let options = passthrough::Options { exact: has("exact"), over_source: has("over"), way };
    let passthrough = Passthrough::new(source, options, Box::new(|_| ()))?;
    let notify: Arc<dyn Notify> = match has("no-prune") {
        true => Arc::new(WithoutPrune(device.clone())),
        false => device.clone(),
    };
    passthrough.set_notify(notify)?;
    if !has("quiet") {
        eprintln!("passthrough_fs: inodes held by {:?}, ACLs {posix_acl}", passthrough.way());
    }
    let served = Arc::new(Served(passthrough));
    let options = Options { wishes: Wishes { posix_acl, ..Wishes::default() }, ..Options::default() };
    let end = Session::serve(device, served.clone(), options);
    eprintln!("passthrough_fs: {end:?}, {:?} nodes and handles left", served.0.known_and_open());
    Ok(())
}
