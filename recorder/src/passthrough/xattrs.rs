//! Extended attributes, ACLs among them. The calls take names only, so the inode is named by its descriptor's number:
//! a worker's current directory is /proc/self/fd.

use std::ffi::CString;
use std::os::fd::AsFd;

use super::Call;
use super::names::DONE;
use super::proc::Link;
use super::sys::{Result, c_string, check, check_len};
use crate::wire::answers::GetxattrOut;
use crate::wire::{Answer, Errno, Name, Payload, now_ns};

/// XATTR_SIZE_MAX and XATTR_LIST_MAX of the kernel.
const VALUE_MAX_BYTES: usize = 64 << 10;

const ACL_NAMES: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

impl Call<'_> {
    pub fn getxattr(&mut self, name: Name<'_>, size: u32) -> Answer {
        let name = attribute_name(name)?;
        self.fill(size, |link, into| {
            let (name, into, len) = (name.as_ptr(), into.as_mut_ptr().cast(), into.len());
            // SAFETY: both names are NUL-terminated; the value is writable for its length (0: only the length is told).
            check_len(unsafe { libc::getxattr(link.as_c_str().as_ptr(), name, into, len) })
        })
    }

    pub fn listxattr(&mut self, size: u32) -> Answer {
        let hides_trusted = self.request.uid != 0;
        self.fill(size, |link, into| if hides_trusted { list_without_trusted(link, into) } else { list(link, into) })
    }

    /// With size 0 the length alone is answered, else what `read` put into the buffer of that size.
    fn fill(&mut self, size: u32, read: impl FnOnce(&Link, &mut [u8]) -> Result<usize>) -> Answer {
        let inode = self.inode()?;
        let fd = self.fs.inodes.descriptor(&inode)?;
        let link = Link::to(fd.as_fd());
        let start_ns = now_ns();
        let len = read(&link, &mut self.reply.bytes_mut()[..VALUE_MAX_BYTES.min(size as usize)]);
        self.facts.backing_ns += now_ns() - start_ns;
        match (len?, size) {
            (len, 0) => self.reply.put(&GetxattrOut { size: len as u32, padding: 0 }),
            (len, _) => Ok(Payload::Bytes(len)),
        }
    }

    /// `acl_kill_sgid`: the caller is not in the file's group, so the new mode must lose its set-gid bit. The backing
    /// filesystem sees to that when the thread has neither CAP_FSETID nor that group.
    pub fn setxattr(&mut self, name: Name<'_>, value: &[u8], flags: u32, acl_kill_sgid: bool) -> Answer {
        let inode = self.inode()?;
        let name = attribute_name(name)?;
        self.assume(acl_kill_sgid)?;
        let fd = self.fs.inodes.descriptor(&inode)?;
        let link = Link::to(fd.as_fd());
        self.backing(|| {
            let (link, name, value, len) =
                (link.as_c_str().as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len());
            // SAFETY: both names are NUL-terminated; the value is readable for its length.
            check(unsafe { libc::setxattr(link, name, value, len, flags as libc::c_int) })
        })?;
        Ok(DONE)
    }

    pub fn removexattr(&mut self, name: Name<'_>) -> Answer {
        let inode = self.inode()?;
        let name = attribute_name(name)?;
        self.assume_caller()?;
        let fd = self.fs.inodes.descriptor(&inode)?;
        let link = Link::to(fd.as_fd());
        // SAFETY: both names are NUL-terminated and outlive the call.
        self.backing(|| check(unsafe { libc::removexattr(link.as_c_str().as_ptr(), name.as_ptr()) }))?;
        Ok(DONE)
    }
}

/// EOPNOTSUPP for the system's own attributes other than ACLs: their contents mean something to one filesystem only.
fn attribute_name(name: Name<'_>) -> Result<CString> {
    if name.starts_with(b"system.") && !ACL_NAMES.contains(&name) {
        return Err(Errno(libc::EOPNOTSUPP));
    }
    c_string(name)
}

fn list(link: &Link, into: &mut [u8]) -> Result<usize> {
    // SAFETY: the name is NUL-terminated; the list is writable for its length (0: only the length is told).
    check_len(unsafe { libc::listxattr(link.as_c_str().as_ptr(), into.as_mut_ptr().cast(), into.len()) })
}

/// Filesystems list trusted.* to those with CAP_SYS_ADMIN only; we have it, an ordinary caller has not.
fn list_without_trusted(link: &Link, into: &mut [u8]) -> Result<usize> {
    let mut all = vec![0; list(link, &mut [])?];
    let len = if all.is_empty() { 0 } else { list(link, &mut all)? };
    let mut end = 0;
    for name in all[..len].split_inclusive(|byte| *byte == 0).filter(|name| !name.starts_with(b"trusted.")) {
        if !into.is_empty() {
            into.get_mut(end..end + name.len()).ok_or(Errno(libc::ERANGE))?.copy_from_slice(name);
        }
        end += name.len();
    }
    Ok(end)
}
