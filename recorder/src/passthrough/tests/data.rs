//! Reading and writing: append, set-id bits, direct I/O, and what comes back.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::wire::operation::{CopyFileRange, Read, Setattr, Write};

fn write(handle: Handle, offset: u64, data: &[u8], flags: i32, kill: bool) -> Operation<'_> {
    Operation::Write(Write { handle, offset, data, flags: flags as u32, kill_suid_sgid: kill, from_page_cache: false })
}

fn read(handle: Handle, offset: u64, size: u32, flags: i32) -> Operation<'static> {
    Operation::Read(Read { handle, offset, size, flags: flags as u32, for_page_cache: false })
}

fn file(served: &Served, name: &str, contents: &[u8], mode: u32) -> Node {
    std::fs::write(served.path(name), contents).unwrap();
    std::fs::set_permissions(served.path(name), PermissionsExt::from_mode(mode)).unwrap();
    served.node(Node::ROOT, name)
}

#[test]
fn each_write_appends_or_not_by_its_own_flags() {
    let served = Served::new();
    let node = file(&served, "log", b"0123456789", 0o600);
    let handle = served.open(node, libc::O_RDWR | libc::O_APPEND);
    assert_eq!(served.ask(node, write(handle, 0, b"AA", libc::O_APPEND, false)).u32_at(0), 2);
    // fcntl(F_SETFL) has taken O_APPEND away: the kernel tells nobody but this write.
    served.ask(node, write(handle, 0, b"CC", 0, false));
    assert_eq!(std::fs::read(served.path("log")).unwrap(), b"CC23456789AA");
}

#[test]
fn set_id_bits_go_when_and_only_when_the_request_says_so() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    let truncate = |size, kill_suid_sgid| Setattr { size: Some(size), kill_suid_sgid, ..Setattr::default() };
    for (kills, left) in [(false, 0o6777), (true, 0o777)] {
        let node = file(&served, "written", b"data", 0o6777);
        let handle = served.open(node, libc::O_RDWR);
        served.ask_as(1000, 1000, node, write(handle, 0, b"x", 0, kills));
        assert_eq!(owner(&served.path("written")).0, left);

        let node = file(&served, "truncated", b"data", 0o6777);
        served.ask_as(1000, 1000, node, Operation::Setattr(truncate(1, kills)));
        assert_eq!(owner(&served.path("truncated")).0, left);

        let node = file(&served, "opened", b"data", 0o6777);
        let flags = (libc::O_WRONLY | libc::O_TRUNC) as u32;
        served.ask_as(1000, 1000, node, Operation::Open { flags, kill_suid_sgid: kills });
        assert_eq!(owner(&served.path("opened")).0, left);
    }
}

#[test]
fn one_worker_kills_set_id_bits_for_one_request_and_keeps_them_for_the_next() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    let (first, second) = (file(&served, "a", b"", 0o4755), file(&served, "b", b"", 0o4755));
    let (a, b) = (served.open(first, libc::O_RDWR), served.open(second, libc::O_RDWR));
    served.on_one_thread(|asker| {
        (asker.uid, asker.gid) = (1000, 1000);
        asker.ask(first, write(a, 0, b"x", 0, true));
        (asker.uid, asker.gid) = (0, 0);
        asker.ask(second, write(b, 0, b"x", 0, false));
    });
    assert_eq!((owner(&served.path("a")).0, owner(&served.path("b")).0), (0o755, 0o4755));
}

#[test]
fn fallocate_by_an_ordinary_user_clears_set_id_bits() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    let node = file(&served, "file", b"", 0o4755);
    let handle = served.open(node, libc::O_RDWR);
    let fallocate = Operation::Fallocate { handle, offset: 0, length: 8192, mode: 0 };
    assert_eq!(served.ask_as(1000, 1000, node, fallocate).errno(), 0);
    assert_eq!(owner(&served.path("file")).0, 0o755);
    assert_eq!(std::fs::metadata(served.path("file")).unwrap().len(), 8192);
}

#[test]
fn what_is_read_is_what_there_is_and_no_more() {
    let served = Served::new();
    let node = file(&served, "file", b"hello", 0o600);
    let handle = served.open(node, libc::O_RDONLY);
    let reply = served.ask(node, read(handle, 1, 1 << 20, 0));
    assert_eq!((reply.bytes.as_slice(), reply.facts.result), (&b"ello"[..], 4));
    assert_eq!(served.ask(node, read(handle, 99, 10, 0)).bytes, b"");
    assert_eq!(served.ask(node, read(handle, u64::MAX, 10, 0)).errno(), libc::EINVAL);
    assert_eq!(served.ask(node, write(handle, 0, b"x", 0, false)).errno(), libc::EBADF, "opened for reading");
}

#[test]
fn direct_io_follows_the_flags_of_each_request() {
    let served = Served::new();
    let node = file(&served, "file", &[7; 8192], 0o600);
    let open = Operation::Open { flags: (libc::O_RDWR | libc::O_DIRECT) as u32, kill_suid_sgid: false };
    let Some(handle) = served.ask(node, open).facts.opened else {
        eprintln!("skipped: no O_DIRECT on the filesystem of the temporary directory");
        return;
    };
    assert_eq!(served.ask(node, read(handle, 0, 4096, libc::O_DIRECT)).bytes.len(), 4096);
    assert_eq!(served.ask(node, read(handle, 1, 100, libc::O_DIRECT)).errno(), libc::EINVAL, "as below");
    assert_eq!(served.ask(node, read(handle, 1, 100, 0)).bytes.len(), 100, "switched off with fcntl");
    assert_eq!(served.ask(node, read(handle, 1, 100, libc::O_DIRECT)).errno(), libc::EINVAL, "and on again");
}

#[test]
fn a_late_request_cannot_reach_the_file_that_took_the_place_of_its_own() {
    let served = Served::new();
    let (one, two) = (file(&served, "one", b"1", 0o600), file(&served, "two", b"2", 0o600));
    let handle = served.open(one, libc::O_RDWR);
    assert_eq!(served.ask(one, Operation::Release { handle, flags: 0 }).errno(), 0);
    let next = served.open(two, libc::O_RDWR);
    assert_eq!(handle.0 as u32, next.0 as u32, "the slot is used again");
    assert_eq!(served.ask(one, write(handle, 0, b"late", 0, false)).errno(), libc::EBADF);
    assert_eq!(served.ask(one, Operation::Release { handle, flags: 0 }).errno(), libc::EBADF);
    assert_eq!(std::fs::read(served.path("two")).unwrap(), b"2");
}

#[test]
fn flush_and_fsync_are_done_and_handles_are_given_back() {
    let served = Served::new();
    let node = file(&served, "file", b"", 0o600);
    let handle = served.open(node, libc::O_WRONLY);
    for operation in [
        Operation::Flush { handle },
        Operation::Fsync { handle, data_only: true },
        Operation::Fsync { handle, data_only: false },
        Operation::Release { handle, flags: 0 },
    ] {
        assert_eq!(served.ask(node, operation).errno(), 0);
    }
    assert_eq!(served.fs.known_and_open().1, 0);
}

#[test]
fn copies_are_counted_in_the_width_that_was_asked_for() {
    let served = Served::new();
    let (from, to) = (file(&served, "from", b"0123456789", 0o600), file(&served, "to", b"", 0o600));
    let (handle_in, handle_out) = (served.open(from, libc::O_RDONLY), served.open(to, libc::O_RDWR));
    let copy = |offset_in, wide| {
        let (node_out, offset_out, len, flags) = (to, 0, 100, 0);
        Operation::CopyFileRange(CopyFileRange {
            handle_in,
            offset_in,
            node_out,
            handle_out,
            offset_out,
            len,
            flags,
            wide,
        })
    };
    assert_eq!(served.ask(from, copy(4, true)).u64_at(0), 6);
    assert_eq!(std::fs::read(served.path("to")).unwrap(), b"456789");
    let narrow = served.ask(from, copy(8, false));
    assert_eq!((narrow.u32_at(0), narrow.facts.result), (2, 2));
    // Its path is the file that is written, so its inode is too.
    let written = std::fs::metadata(served.path("to")).unwrap();
    assert_eq!(narrow.facts.ino, std::os::unix::fs::MetadataExt::ino(&written));
}

#[test]
fn holes_are_found_where_they_are() {
    let served = Served::new();
    let node = file(&served, "file", b"", 0o600);
    std::fs::File::options().write(true).open(served.path("file")).unwrap().set_len(1 << 20).unwrap();
    let handle = served.open(node, libc::O_RDWR);
    let seek = |whence| served.ask(node, Operation::Lseek { handle, offset: 0, whence: whence as u32 });
    assert_eq!(seek(libc::SEEK_HOLE).u64_at(0), 0);
    assert_eq!(seek(libc::SEEK_DATA).errno(), libc::ENXIO);
}

#[test]
fn only_the_file_attribute_ioctls_pass() {
    let served = Served::new();
    let node = file(&served, "file", b"", 0o600);
    let handle = served.open(node, libc::O_RDONLY);
    let ioctl = |command, out_size| {
        served.ask(node, Operation::Ioctl { handle, flags: 0, command, argument: 0, input: &[], out_size })
    };
    // TCGETS, FIGETBSZ's number, FS_IOC_FIEMAP.
    for unknown in [0x5401, 2, 0xc020_660b] {
        assert_eq!(ioctl(unknown, 64).errno(), libc::ENOTTY);
    }
    let flags = ioctl(0x8008_6601, 8);
    assert_eq!((flags.errno(), flags.bytes.len()), (0, 16 + 4), "four bytes, whatever the number's size says");
    let without_input = ioctl(0x4008_6602, 0);
    assert_eq!(without_input.errno(), libc::EINVAL);
}

#[test]
fn an_append_only_file_opens_as_it_would_below() {
    let served = Served::new();
    let node = file(&served, "file", b"ab", 0o600);
    let reading = served.open(node, libc::O_RDONLY);
    let set_flags = |flags: u32| {
        let input = flags.to_ne_bytes();
        let (command, out_size) = (0x4008_6602, 0);
        let set = Operation::Ioctl { handle: reading, flags: 0, command, argument: 0, input: &input, out_size };
        served.ask(node, set).errno()
    };
    const APPEND_ONLY: u32 = 0x20;
    if set_flags(APPEND_ONLY) != 0 {
        eprintln!("skipped: chattr +a needs CAP_LINUX_IMMUTABLE and a filesystem that has it");
        return;
    }
    let open = |flags: i32| Operation::Open { flags: flags as u32, kill_suid_sgid: false };
    let refused = served.ask(node, open(libc::O_WRONLY)).errno();
    let opened = served.ask(node, open(libc::O_WRONLY | libc::O_APPEND)).facts.opened;
    let written = opened.map(|handle| served.ask(node, write(handle, 0, b"c", libc::O_APPEND, false)).errno());
    assert_eq!(set_flags(0), 0);
    assert_eq!((refused, written), (libc::EPERM, Some(0)));
    assert_eq!(std::fs::read(served.path("file")).unwrap(), b"abc");
}

#[test]
fn an_open_truncates_once_and_only_when_asked() {
    let served = Served::new();
    let node = file(&served, "file", b"contents", 0o600);
    served.open(node, libc::O_RDWR);
    assert_eq!(std::fs::read(served.path("file")).unwrap(), b"contents");
    served.open(node, libc::O_WRONLY | libc::O_TRUNC);
    assert_eq!(std::fs::read(served.path("file")).unwrap(), b"");
}
