//! fusermount3, the set-uid helper that mounts for ordinary users. Knows how it is asked and how it answers.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::fuse;
use crate::error::Error;
use crate::sys;

/// Where it lies when PATH does not say.
const USUAL_PLACES: &[&str] = &["/usr/bin", "/bin", "/usr/local/bin"];

pub fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(USUAL_PLACES.iter().map(PathBuf::from));
    places.map(|place| place.join("fusermount3")).find(|candidate| candidate.is_file())
}

/// Mounts at `target`, a directory of the caller's own, and hands over the open device.
pub fn mount(name: &Path, target: &Path, flags: libc::c_ulong) -> Result<OwnedFd, Error> {
    let helper = find().ok_or(Error::NoFusermount)?;
    let refused = |cause: String| Error::MountRefused { target: target.to_owned(), cause };
    let (ours, theirs) = UnixStream::pair().map_err(|cause| refused(cause.to_string()))?;
    // SAFETY: the descriptor is ours; clearing close-on-exec lets the helper inherit it.
    unsafe { libc::fcntl(theirs.as_raw_fd(), libc::F_SETFD, 0) };
    let child = Command::new(helper)
        .env("_FUSE_COMMFD", theirs.as_raw_fd().to_string())
        .arg("-o")
        .arg(options(name, flags))
        .arg("--")
        .arg(target)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|cause| refused(format!("fusermount3: {cause}")))?;
    drop(theirs);
    let device = receive_descriptor(&ours);
    let output = child.wait_with_output().map_err(|cause| refused(cause.to_string()))?;
    device.map_err(|_| refused(said(&output.stderr)))
}

/// Unmounts what this user mounted.
pub fn unmount(target: &Path, lazily: bool) -> Result<(), String> {
    let helper = find().ok_or("fusermount3: not found")?;
    let mut command = Command::new(helper);
    command.arg("-u").args(lazily.then_some("-z")).arg("--").arg(target);
    let output = command.stdin(Stdio::null()).output().map_err(|cause| cause.to_string())?;
    if output.status.success() { Ok(()) } else { Err(said(&output.stderr)) }
}

/// The same, unless what is there is no mount of ours (any more): a user may have others at that place.
pub fn unmount_ours(target: &Path, lazily: bool) -> Result<(), String> {
    if fuse::seen_by("self", target).is_err() {
        return Ok(());
    }
    unmount(target, lazily)
}

/// The helper's last line, without its name.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().last().unwrap_or("it gave no reason").trim();
    format!("fusermount3 says: {}", line.trim_start_matches("fusermount3: "))
}

/// nosuid and nodev it adds itself. Commas and backslashes in the name would end the option.
fn options(name: &Path, flags: libc::c_ulong) -> OsString {
    let mut options = b"default_permissions,subtype=glassfs,noatime,max_read=1048576".to_vec();
    for (flag, word) in [(libc::MS_RDONLY, ",ro"), (libc::MS_NOEXEC, ",noexec")] {
        if flags & flag != 0 {
            options.extend_from_slice(word.as_bytes());
        }
    }
    options.extend_from_slice(b",fsname=");
    for byte in name.as_os_str().as_bytes() {
        if matches!(byte, b',' | b'\\') {
            options.push(b'\\');
        }
        options.push(*byte);
    }
    OsString::from_vec(options)
}

/// One descriptor sent with one byte.
fn receive_descriptor(socket: &UnixStream) -> io::Result<OwnedFd> {
    const SPACE: usize = unsafe { libc::CMSG_SPACE(size_of::<i32>() as u32) } as usize;
    let mut byte = 0u8;
    // u64s, because a cmsghdr wants their alignment.
    let mut control = [0u64; SPACE.div_ceil(8)];
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: all-zero is a valid msghdr; its pointers are set to buffers that outlive the call.
    let mut message = unsafe { std::mem::zeroed::<libc::msghdr>() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = SPACE;
    // SAFETY: message describes valid buffers; the headers are walked by the macros' own bounds.
    unsafe {
        let got = libc::recvmsg(socket.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC);
        let header = libc::CMSG_FIRSTHDR(&message);
        if got <= 0 || header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
            return Err(io::Error::from_raw_os_error(libc::EPROTO));
        }
        let fd = libc::CMSG_DATA(header).cast::<i32>().read_unaligned();
        Ok(OwnedFd::from_raw_fd(sys::check(fd)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_a_name_do_not_become_options() {
        let options = options(Path::new("/a,allow_other\\b"), libc::MS_RDONLY);
        assert!(options.as_bytes().ends_with(b",ro,fsname=/a\\,allow_other\\\\b"));
    }
}
