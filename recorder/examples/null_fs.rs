//! The transport alone: a filesystem of one file in memory, opened with direct I/O, so that what is measured is the round trip.
//!
//!     null_fs MOUNT_POINT [RECEIVERS]     (as root; ends when it is unmounted)

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::{env, io, process};

use glassfs_recorder::wire::answers::{
    Attr, AttrOut, EntryOut, FOPEN_DIRECT_IO, FOPEN_PARALLEL_DIRECT_WRITES, OpenOut, WriteOut,
};
use glassfs_recorder::wire::{
    Answer, Device, Errno, Limits, Node, Operation, Options, Payload, ReplyBuffer, Request, Serve, Session,
};

const FILE_BYTES: usize = 256 << 20;
const FILE: Node = Node(2);

struct NullFs {
    data: RwLock<Vec<u8>>,
}

fn attr(node: Node) -> Attr {
    match node {
        Node::ROOT => Attr { ino: 1, mode: libc::S_IFDIR | 0o755, nlink: 2, blksize: 4096, ..Attr::default() },
        _ => Attr {
            ino: node.0,
            size: FILE_BYTES as u64,
            mode: libc::S_IFREG | 0o666,
            nlink: 1,
            blksize: 4096,
            ..Attr::default()
        },
    }
}

impl Serve for NullFs {
    fn serve(&self, request: &Request<'_>, reply: &mut ReplyBuffer) -> Answer {
        match &request.operation {
            Operation::Lookup { name: b"data" } => {
                reply.put(&EntryOut { nodeid: FILE.0, attr: attr(FILE), ..EntryOut::default() })
            }
            Operation::Lookup { .. } => Err(Errno(libc::ENOENT)),
            Operation::Getattr { .. } => reply.put(&AttrOut { attr: attr(request.node), ..AttrOut::default() }),
            Operation::Open { .. } => {
                reply.put(&OpenOut { open_flags: FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES, ..OpenOut::default() })
            }
            Operation::Opendir { .. } => reply.put(&OpenOut::default()),
            Operation::Read(read) => {
                let data = self.data.read().map_err(|_| Errno(libc::EIO))?;
                let start = (read.offset as usize).min(data.len());
                let end = (start + read.size as usize).min(data.len());
                reply.put_bytes_at(0, &data[start..end])
            }
            Operation::Write(write) => {
                let mut data = self.data.write().map_err(|_| Errno(libc::EIO))?;
                let start = write.offset as usize;
                let place = data.get_mut(start..start + write.data.len()).ok_or(Errno(libc::ENOSPC))?;
                place.copy_from_slice(write.data);
                reply.put(&WriteOut { size: write.data.len() as u32, ..WriteOut::default() })
            }
            Operation::Flush { .. }
            | Operation::Release { .. }
            | Operation::Releasedir { .. }
            | Operation::Fsync { .. } => Ok(Payload::Bytes(0)),
            Operation::Readdir { .. } => Ok(Payload::Bytes(0)),
            _ => Err(Errno(libc::ENOSYS)),
        }
    }
}

fn mount(at: &Path) -> io::Result<File> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
    let options =
        format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", device.as_raw_fd());
    let text = |s: &str| CString::new(s).map_err(io::Error::other);
    let (source, kind, options) = (text("null_fs")?, text("fuse.null_fs")?, text(&options)?);
    let at = text(&at.to_string_lossy())?;
    // SAFETY: four C strings that live across the call.
    let done = unsafe {
        libc::mount(
            source.as_ptr(),
            at.as_ptr(),
            kind.as_ptr(),
            libc::MS_NOSUID | libc::MS_NODEV,
            options.as_ptr().cast(),
        )
    };
    if done == 0 { Ok(device) } else { Err(io::Error::last_os_error()) }
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let Some(at) = arguments.get(1) else {
        eprintln!("usage: null_fs MOUNT_POINT [RECEIVERS]");
        process::exit(2);
    };
    let usual = Limits::default();
    let limits =
        Limits { receivers: arguments.get(2).and_then(|text| text.parse().ok()).unwrap_or(usual.receivers), ..usual };
    let device = Arc::new(Device::from_fd(mount(Path::new(at))?.into())?);
    let filesystem = Arc::new(NullFs { data: RwLock::new(vec![1; FILE_BYTES]) });
    let end = Session::serve(device, filesystem, Options { limits, ..Options::default() });
    eprintln!("null_fs: {end:?}");
    Ok(())
}
