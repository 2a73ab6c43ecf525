//! What each operation becomes as a record.

use super::*;
use crate::event::FileType;
use crate::wire::operation::{Read, Time, Write};
use crate::wire::{Errno, ReplyBuffer};

const DIRECTORY: Node = Node(5);
const DONE: Answer = Ok(Payload::Bytes(0));

fn request(operation: Operation<'_>) -> Request<'_> {
    Request { unique: 8, opcode: 0, node: DIRECTORY, uid: 1000, gid: 100, tid: 4711, arrived_ns: 50, operation }
}

fn facts() -> Facts {
    Facts {
        backing_ns: 30,
        ino: 77,
        dev: 0xfe01,
        file_type: Some(FileType::Regular),
        child: Some(Node(9)),
        opened: Some(Handle(3)),
        result: 0,
    }
}

fn observed(operation: Operation<'_>) -> Record {
    observe(&request(operation), &facts(), &DONE, 90, 6).expect("an event")
}

/// (offset, size, flags, mode, fh), None where the column stays empty.
type Columns = (Option<u64>, Option<u64>, Option<u32>, Option<u32>, Option<u64>);

fn columns(record: &Record) -> Columns {
    let held = |bit, value| record.has(bit).then_some(value);
    (
        held(present::OFFSET, record.offset),
        held(present::SIZE, record.size),
        record.has(present::FLAGS).then_some(record.flags),
        record.has(present::MODE).then_some(record.mode),
        held(present::FH, record.fh),
    )
}

fn setattr(set: Setattr) -> Operation<'static> {
    Operation::Setattr(set)
}

#[test]
fn what_every_record_has_comes_from_the_request_and_the_facts() {
    let record = observed(Operation::Readlink);
    assert_eq!((record.start_ns, record.duration_ns, record.backing_ns), (50, 40, 30));
    assert_eq!((record.node, record.uid, record.gid, record.tid, record.task), (5, 1000, 100, 4711, 6));
    assert_eq!((record.ino, record.dev, record.file_type), (77, 0xfe01, Some(FileType::Regular)));
    assert_eq!((record.errno, record.result, record.origin), (0, 0, Origin::Program));
    assert!(record.has(present::INO) && record.has(present::BACKING) && record.names.is_none());
    let unknown = observe(&request(Operation::Statfs), &Facts::default(), &DONE, 90, 6).expect("an event");
    assert!(!unknown.has(present::INO) && !unknown.has(present::BACKING));
}

#[test]
fn calls_on_an_open_file_fill_their_columns() {
    let handle = Handle(3);
    let read = Read { handle, offset: 4096, size: 512, flags: 0o40000, for_page_cache: false };
    let write = Write { handle, offset: 8, data: b"four", flags: 1, kill_suid_sgid: false, from_page_cache: false };
    let cases: [(Operation<'_>, Op, Columns); 10] = [
        (Operation::Read(read), Op::Read, (Some(4096), Some(512), Some(0o40000), None, Some(3))),
        (Operation::Write(write), Op::Write, (Some(8), Some(4), Some(1), None, Some(3))),
        (
            Operation::Fallocate { handle, offset: 1, length: 2, mode: 3 },
            Op::Fallocate,
            (Some(1), Some(2), None, Some(3), Some(3)),
        ),
        (Operation::Fsync { handle, data_only: false }, Op::Fsync, (None, None, None, None, Some(3))),
        (Operation::Fsync { handle, data_only: true }, Op::Fdatasync, (None, None, None, None, Some(3))),
        (Operation::Fsyncdir { handle, data_only: true }, Op::Fsyncdir, (None, None, None, None, Some(3))),
        (Operation::Flush { handle }, Op::Flush, (None, None, None, None, Some(3))),
        (Operation::Release { handle, flags: 2 }, Op::Release, (None, None, Some(2), None, Some(3))),
        (Operation::Lseek { handle, offset: 9, whence: 3 }, Op::Lseek, (Some(9), None, Some(3), None, Some(3))),
        (Operation::Readdir { handle, offset: 7, size: 4096 }, Op::Readdir, (Some(7), Some(4096), None, None, Some(3))),
    ];
    for (operation, op, expected) in cases {
        let record = observed(operation);
        assert_eq!((record.op, columns(&record)), (op, expected));
    }
}

#[test]
fn opening_keeps_flags_and_mode_and_the_handle_that_was_answered() {
    let open = observed(Operation::Open { flags: 0o2, kill_suid_sgid: false });
    assert_eq!((open.op, columns(&open)), (Op::Open, (None, None, Some(0o2), None, Some(3))));
    let create = Operation::Create { name: b"f", flags: 0o102, mode: 0o644, umask: 0o22, kill_suid_sgid: false };
    assert!(opens(&create));
    let create = observed(create);
    assert_eq!((create.op, columns(&create)), (Op::Create, (None, None, Some(0o102), Some(0o644), Some(3))));
    let names = create.names.expect("a name");
    assert_eq!((&*names.name, names.child), (&b"f"[..], Some(9)));
}

#[test]
fn setattr_is_named_after_the_one_thing_it_changes() {
    let none = Setattr::default;
    let cases = [
        (Setattr { mode: Some(0o600), ..none() }, Op::Chmod),
        (Setattr { uid: Some(1), ..none() }, Op::Chown),
        (Setattr { gid: Some(1), kill_suid_sgid: true, ..none() }, Op::Chown),
        (Setattr { size: Some(10), handle: Some(Handle(3)), ..none() }, Op::Truncate),
        (Setattr { mtime: Some(Time::Now), ..none() }, Op::Utimens),
        (Setattr { atime: Some(Time::Now), mtime: Some(Time::Now), ..none() }, Op::Utimens),
        (Setattr { mode: Some(0o600), uid: Some(1), ..none() }, Op::Setattr),
        (Setattr { size: Some(1), mtime: Some(Time::Now), ..none() }, Op::Setattr),
        (none(), Op::Setattr),
    ];
    for (set, op) in cases {
        assert_eq!(observed(setattr(set)).op, op, "{set:?}");
    }
    let truncate = observed(setattr(Setattr { size: Some(10), handle: Some(Handle(3)), ..none() }));
    assert_eq!(columns(&truncate), (None, Some(10), None, None, Some(3)));
}

#[test]
fn requests_on_two_names_carry_both() {
    let rename = Rename { name: b"a", new_parent: Node(6), new_name: b"b", flags: libc::RENAME_EXCHANGE };
    let names = observed(Operation::Rename(rename)).names.expect("names");
    assert_eq!((&*names.name, names.new_parent, names.new_name.as_deref()), (&b"a"[..], Some(6), Some(&b"b"[..])));
    assert!(names.exchange);
    let names = observed(Operation::Symlink { name: b"s", target: b"../t" }).names.expect("names");
    assert_eq!((&*names.name, names.child, names.new_name.as_deref()), (&b"s"[..], Some(9), Some(&b"../t"[..])));
    let names = observed(Operation::Link { existing: Node(9), name: b"l" }).names.expect("names");
    assert_eq!((&*names.name, names.child, names.new_parent), (&b"l"[..], Some(9), Some(9)));
}

#[test]
fn a_copy_is_about_the_file_written() {
    let copy = CopyFileRange {
        handle_in: Handle(1),
        offset_in: 10,
        node_out: Node(6),
        handle_out: Handle(2),
        offset_out: 20,
        len: 30,
        flags: 0,
        wide: true,
    };
    let record = observed(Operation::CopyFileRange(copy));
    assert_eq!((record.node, columns(&record)), (6, (Some(20), Some(30), None, None, Some(2))));
    assert_eq!(record.names.expect("the file read").new_parent, Some(DIRECTORY.0));
}

#[test]
fn a_refusal_keeps_its_errno_and_has_no_result() {
    let refused = Facts { result: 4096, ..facts() };
    let answer = Err(Errno(libc::ENOSPC));
    let record = observe(&request(Operation::Readlink), &refused, &answer, 90, 6).expect("an event");
    assert_eq!((record.errno, record.result, record.ino), (libc::ENOSPC as u16, 0, 77));
    let missing = observe(&request(Operation::Unlink { name: b"n" }), &refused, &answer, 90, 6).expect("an event");
    assert!(!missing.has(present::INO) && missing.file_type.is_none(), "only its directory is known");
}

#[test]
fn what_the_kernel_does_on_its_own_says_so() {
    let write =
        Write { handle: Handle(3), offset: 0, data: b"", flags: 0, kill_suid_sgid: false, from_page_cache: true };
    assert_eq!(observed(Operation::Write(write)).origin, Origin::Kernel);
    let nobody = Request { tid: 0, ..request(Operation::Readlink) };
    assert_eq!(observe(&nobody, &facts(), &DONE, 90, 0).expect("an event").origin, Origin::Kernel);
}

/// One of each operation that is not an event and of each that is.
#[test]
fn what_is_no_event_leaves_no_record() {
    let silent = [
        Operation::Init { major: 7, minor: 45, max_readahead: 0, flags: 0 },
        Operation::Destroy,
        Operation::Forget { lookups: 1 },
        Operation::BatchForget { entries: &[] },
        Operation::Interrupt { unique: 2 },
        Operation::Refused { opcode: 31 },
    ];
    for operation in silent {
        assert!(!is_event(&operation));
        assert!(observe(&request(operation), &facts(), &DONE, 90, 6).is_none());
    }
    let name = b"n";
    let events = [
        (Operation::Lookup { name }, Op::Lookup),
        (Operation::Getattr { handle: None }, Op::Getattr),
        (Operation::Statx { handle: None, sx_flags: 0, sx_mask: 0 }, Op::Statx),
        (Operation::Mknod { name, mode: 0, rdev: 0, umask: 0 }, Op::Mknod),
        (Operation::Mkdir { name, mode: 0, umask: 0 }, Op::Mkdir),
        (Operation::Unlink { name }, Op::Unlink),
        (Operation::Rmdir { name }, Op::Rmdir),
        (Operation::Tmpfile { name, flags: 0, mode: 0, umask: 0 }, Op::Tmpfile),
        (Operation::Opendir { flags: 0 }, Op::Opendir),
        (Operation::Readdirplus { handle: Handle(3), offset: 0, size: 0 }, Op::Readdirplus),
        (Operation::Releasedir { handle: Handle(3) }, Op::Releasedir),
        (Operation::Statfs, Op::Statfs),
        (Operation::Syncfs, Op::Syncfs),
        (Operation::Setxattr { name, value: b"v", flags: 0, acl_kill_sgid: false }, Op::Setxattr),
        (Operation::Getxattr { name, size: 0 }, Op::Getxattr),
        (Operation::Listxattr { size: 0 }, Op::Listxattr),
        (Operation::Removexattr { name }, Op::Removexattr),
        (Operation::Access { mask: 0 }, Op::Access),
        (Operation::Bmap { block: 0, block_size: 0 }, Op::Bmap),
        (Operation::Ioctl { handle: Handle(3), flags: 0, command: 7, argument: 0, input: &[], out_size: 0 }, Op::Ioctl),
        (Operation::Poll { handle: Handle(3), events: 1 }, Op::Poll),
    ];
    for (operation, op) in events {
        assert!(is_event(&operation));
        assert_eq!(observed(operation).op, op);
    }
}

fn entry(reply: &mut ReplyBuffer, at: usize, node: u64, kind: u8, name: &[u8]) -> usize {
    let head = EntryOut { nodeid: node, ..EntryOut::default() };
    reply.put_at(at, &head).expect("room");
    let dirent = Dirent { namelen: name.len() as u32, kind: kind.into(), ..Dirent::default() };
    reply.put_at(at + size_of::<EntryOut>(), &dirent).expect("room");
    reply.put_bytes_at(at + NAME_AT, name).expect("room");
    at + (NAME_AT + name.len()).next_multiple_of(8)
}

#[test]
fn the_entries_of_a_readdirplus_are_read_from_its_reply() {
    let mut reply = ReplyBuffer::new();
    let mut end = 0;
    for (node, kind, name) in [
        (0, libc::DT_DIR, &b"."[..]),
        (11, libc::DT_DIR, b"directory"),
        (12, libc::DT_REG, b"file"),
        (0, libc::DT_REG, b"not looked up"),
    ] {
        end = entry(&mut reply, end, node, kind, name);
    }
    let request = request(Operation::Readdirplus { handle: Handle(3), offset: 0, size: 4096 });
    let listed = listed(&request, &Ok(Payload::Bytes(end)), reply.bytes()).expect("two names");
    assert_eq!(listed.parent, DIRECTORY.0);
    let entries: Vec<_> = listed.entries.iter().collect();
    assert_eq!(entries, [(11, true, &b"directory"[..]), (12, false, b"file")]);
}

#[test]
fn a_cut_off_listing_is_read_as_far_as_it_goes() {
    let mut reply = ReplyBuffer::new();
    let first = entry(&mut reply, 0, 11, libc::DT_REG, b"one");
    let end = entry(&mut reply, first, 12, libc::DT_REG, b"two");
    let request = request(Operation::Readdirplus { handle: Handle(3), offset: 0, size: 4096 });
    for length in 0..end {
        let entries =
            super::listed(&request, &Ok(Payload::Bytes(length)), reply.bytes()).map(|it| it.entries.iter().count());
        assert_eq!(
            entries.unwrap_or(0),
            usize::from(length >= NAME_AT + 3) + usize::from(length >= first + NAME_AT + 3)
        );
    }
}
