//! The device over a real mount: a file in memory, served by this process. Needs root and /dev/fuse.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::answers::{Attr, AttrOut, EntryOut, FOPEN_DIRECT_IO, FOPEN_PARALLEL_DIRECT_WRITES, OpenOut, WriteOut};
use super::*;

const DEADLINE: Duration = Duration::from_secs(30);
const FILE_BYTES: usize = 8 << 20;

struct OneFile {
    data: Mutex<Vec<u8>>,
    agreed: Mutex<Option<Negotiated>>,
    unaligned: AtomicBool,
    holds: Mutex<bool>,
    released: Condvar,
    held: AtomicUsize,
    forgotten: AtomicUsize,
}

fn attr(node: Node) -> Attr {
    let (mode, size) =
        if node == Node::ROOT { (libc::S_IFDIR | 0o755, 0) } else { (libc::S_IFREG | 0o666, FILE_BYTES as u64) };
    Attr { ino: node.0, mode, size, nlink: 1, blksize: 4096, ..Attr::default() }
}

impl Serve for OneFile {
    fn serve(&self, request: &Request<'_>, reply: &mut ReplyBuffer) -> Answer {
        match &request.operation {
            Operation::Lookup { name } if name.starts_with(b"file") => {
                let nodeid = 2 + name[4..].iter().fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
                let entry_valid = 3600;
                reply.put(&EntryOut { nodeid, entry_valid, attr: attr(Node(nodeid)), ..EntryOut::default() })
            }
            Operation::Lookup { .. } => Err(Errno(libc::ENOENT)),
            Operation::Forget { .. } => {
                self.forgotten.fetch_add(1, SeqCst);
                Ok(Payload::Silence)
            }
            Operation::BatchForget { entries } => {
                self.forgotten.fetch_add(ForgetEntries::new(entries).count(), SeqCst);
                Ok(Payload::Silence)
            }
            Operation::Getattr { .. } => reply.put(&AttrOut { attr: attr(request.node), ..AttrOut::default() }),
            Operation::Open { .. } => {
                let open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
                reply.put(&OpenOut { open_flags, ..OpenOut::default() })
            }
            Operation::Read(read) => {
                let data = self.data.lock().unwrap();
                let (start, end) = (read.offset as usize, read.offset as usize + read.size as usize);
                reply.put_bytes_at(0, &data[start..end.min(data.len())])
            }
            Operation::Write(write) => {
                if write.data.as_ptr().addr() % 4096 != 0 {
                    self.unaligned.store(true, SeqCst);
                }
                self.data.lock().unwrap()[write.offset as usize..][..write.data.len()].copy_from_slice(write.data);
                reply.put(&WriteOut { size: write.data.len() as u32, ..WriteOut::default() })
            }
            Operation::Fsync { .. } => {
                self.held.fetch_add(1, SeqCst);
                drop(self.released.wait_while(self.holds.lock().unwrap(), |holds| *holds).unwrap());
                Ok(Payload::Bytes(0))
            }
            Operation::Flush { .. } | Operation::Release { .. } => Ok(Payload::Bytes(0)),
            _ => Err(Errno(libc::ENOSYS)),
        }
    }

    fn negotiated(&self, negotiated: &Negotiated) {
        *self.agreed.lock().unwrap() = Some(*negotiated);
    }
}

/// A mount that is gone when this is.
struct Mounted {
    folder: tempfile::TempDir,
    fd: OwnedFd,
    device: Arc<Device>,
    filesystem: Arc<OneFile>,
    session: Option<(Stopper, JoinHandle<End>)>,
}

impl Mounted {
    /// None, with the reason in words, where this cannot be tested.
    fn start() -> Option<Mounted> {
        // SAFETY: always succeeds.
        if unsafe { libc::geteuid() } != 0 {
            eprintln!("skipped: mounting without fusermount3 needs root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let fd: OwnedFd = match mount(folder.path()) {
            Ok(file) => file.into(),
            Err(error) => {
                eprintln!("skipped: no FUSE mount can be made here: {error}");
                return None;
            }
        };
        let filesystem = Arc::new(OneFile {
            data: Mutex::new(vec![0; FILE_BYTES]),
            agreed: Mutex::new(None),
            unaligned: AtomicBool::new(false),
            holds: Mutex::new(false),
            released: Condvar::new(),
            held: AtomicUsize::new(0),
            forgotten: AtomicUsize::new(0),
        });
        let device = Arc::new(Device::from_fd(fd.try_clone().unwrap()).unwrap());
        let mut mounted = Mounted { folder, fd, device, filesystem, session: None };
        mounted.serve(None);
        Some(mounted)
    }

    fn serve(&mut self, initialised: Option<Negotiated>) {
        let options = Options { initialised, ..Options::default() };
        let session = Session::new(self.device.clone(), self.filesystem.clone(), options);
        let stopper = session.stopper();
        self.session = Some((stopper, thread::spawn(move || session.run())));
    }

    fn file(&self, number: u32) -> PathBuf {
        self.folder.path().join(format!("file{number}"))
    }

    fn open(&self, flags: i32) -> File {
        OpenOptions::new().read(true).write(true).custom_flags(flags).open(self.file(0)).unwrap()
    }

    fn ended(&mut self) -> End {
        self.session.take().expect("it is being served").1.join().unwrap()
    }

    fn unmount(&self) -> io::Result<()> {
        let at = CString::new(self.folder.path().to_str().unwrap()).unwrap();
        // SAFETY: a C string that lives across the call.
        if unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) } == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        *self.filesystem.holds.lock().unwrap() = false;
        self.filesystem.released.notify_all();
        let _may_be_gone = self.unmount();
    }
}

fn mount(at: &Path) -> io::Result<File> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
    let options =
        format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", device.as_raw_fd());
    let [at, options] = [at.to_str().unwrap(), &options].map(|text| CString::new(text).unwrap());
    let kind = c"fuse.glassfs-wire-test".as_ptr();
    // SAFETY: C strings that live across the call.
    let done =
        unsafe { libc::mount(kind, at.as_ptr(), kind, libc::MS_NOSUID | libc::MS_NODEV, options.as_ptr().cast()) };
    if done == 0 { Ok(device) } else { Err(io::Error::last_os_error()) }
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

#[test]
fn what_is_written_through_a_mount_is_read_back() {
    let Some(mut mounted) = Mounted::start() else { return };
    let file = mounted.open(0);
    let data: Vec<u8> = (0..3 << 20).map(|at: u32| (at / 511) as u8).collect();
    file.write_all_at(&data, 12_345).unwrap();
    let mut back = vec![0; data.len()];
    file.read_exact_at(&mut back, 12_345).unwrap();
    assert!(data == back);
    assert!(!mounted.filesystem.unaligned.load(SeqCst), "data of each write lies on a page");
    assert_eq!(fs::metadata(mounted.folder.path().join("missing")).unwrap_err().raw_os_error(), Some(libc::ENOENT));
    drop(file);
    mounted.unmount().unwrap();
    assert_eq!(mounted.ended(), End::Disconnected(Disconnect::Unmounted));
}

#[test]
fn a_stopped_session_goes_on_where_it_was_without_a_first_message() {
    let Some(mut mounted) = Mounted::start() else { return };
    let file = mounted.open(0);
    file.write_all_at(b"before", 0).unwrap();
    let agreed = *mounted.filesystem.agreed.lock().unwrap();
    assert!(agreed.unwrap().has(flag::DIRECT_IO_ALLOW_MMAP));
    mounted.session.as_ref().unwrap().0.stop();
    assert_eq!(mounted.ended(), End::Stopped);
    // Asked while nobody serves: it waits in the kernel.
    let waiting = file.try_clone().unwrap();
    let reader = thread::spawn(move || {
        let mut back = [0; 6];
        waiting.read_exact_at(&mut back, 0).map(|()| back)
    });
    mounted.device = Arc::new(Device::from_fd(mounted.fd.try_clone().unwrap()).unwrap());
    mounted.serve(agreed);
    assert_eq!(&reader.join().unwrap().unwrap(), b"before");
}

#[test]
fn an_aborted_connection_is_told_from_an_unmounted_one() {
    let Some(mut mounted) = Mounted::start() else { return };
    drop(mounted.open(0));
    let connection = fs::metadata(mounted.folder.path()).unwrap().dev() & 0xff;
    let control = tempfile::tempdir().unwrap();
    let kind = c"fusectl".as_ptr();
    let at = CString::new(control.path().to_str().unwrap()).unwrap();
    // SAFETY: C strings that live across the call.
    if unsafe { libc::mount(kind, at.as_ptr(), kind, 0, std::ptr::null()) } != 0 {
        eprintln!("skipped: fusectl cannot be mounted: {}", io::Error::last_os_error());
        return;
    }
    let aborted = fs::write(control.path().join(format!("{connection}/abort")), "1");
    // SAFETY: as above.
    unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) };
    aborted.unwrap();
    assert_eq!(mounted.ended(), End::Disconnected(Disconnect::Aborted));
}

#[test]
fn held_fsyncs_and_large_writes_leave_reads_fast_and_memory_bounded() {
    const HELD: usize = 64;
    let Some(mounted) = Mounted::start() else { return };
    large_writes(&mounted);
    *mounted.filesystem.holds.lock().unwrap() = true;
    let syncs: Vec<_> = (0..HELD as u32)
        .map(|number| {
            let file = File::open(mounted.file(number)).unwrap();
            thread::spawn(move || file.sync_all())
        })
        .collect();
    wait_until("all are held", || mounted.filesystem.held.load(SeqCst) == HELD);
    let file = File::open(mounted.file(99)).unwrap();
    let mut times: Vec<Duration> = (0..1000).map(|_| timed_read(&file)).collect();
    times.sort_unstable();
    assert!(syncs.iter().all(|sync| !sync.is_finished()), "held until the reads are done");
    eprintln!("reads beside {HELD} held fsyncs: p50 {:?}, p99 {:?}", times[500], times[990]);
    large_writes(&mounted);
    let resident_kb = resident_kb();
    eprintln!("resident: {resident_kb} kB");
    assert!(resident_kb < 250_000, "{resident_kb} kB resident");
    *mounted.filesystem.holds.lock().unwrap() = false;
    mounted.filesystem.released.notify_all();
    syncs.into_iter().for_each(|sync| sync.join().unwrap().unwrap());
}

fn timed_read(file: &File) -> Duration {
    let start = Instant::now();
    file.read_exact_at(&mut [0; 4096], 8192).unwrap();
    start.elapsed()
}

/// From as many threads at once as can be under way.
fn large_writes(mounted: &Mounted) {
    let data = vec![3; 1 << 20];
    thread::scope(|scope| {
        for number in 100..140 {
            let (data, path) = (&data, mounted.file(number));
            scope.spawn(move || {
                let file = OpenOptions::new().write(true).open(path).unwrap();
                (0..4).for_each(|at| file.write_all_at(data, at << 20).unwrap());
            });
        }
    });
}

fn resident_kb() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_kernel_forgets_what_it_is_told_to_forget() {
    let Some(mounted) = Mounted::start() else { return };
    let mut nodes = Vec::new();
    for number in 1..=20 {
        fs::metadata(mounted.file(number)).unwrap();
        nodes.push(Node(2 + u64::from(number)));
    }
    mounted.device.invalidate_entry(Node::ROOT, b"file1").unwrap();
    wait_until("one entry is forgotten", || mounted.filesystem.forgotten.load(SeqCst) == 1);
    assert_eq!(mounted.device.invalidate_entry(Node::ROOT, b"never seen"), Err(Errno(libc::ENOENT)));
    match mounted.device.prune(&nodes[1..]) {
        Ok(()) => wait_until("all are forgotten", || mounted.filesystem.forgotten.load(SeqCst) == 20),
        Err(errno) => eprintln!("skipped: this kernel does not prune ({errno:?})"),
    }
}
