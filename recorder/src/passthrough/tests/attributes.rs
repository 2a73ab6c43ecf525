//! Attributes and their changes.

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::wire::operation::{Setattr, Time};

/// Where an Attr begins in an entry answer and in an attribute answer.
const IN_ENTRY: usize = 40;
const IN_ATTR: usize = 16;

fn set(served: &Served, node: Node, change: Setattr) -> Reply {
    served.ask(node, Operation::Setattr(change))
}

#[test]
fn times_before_1970_and_after_2106_arrive_to_the_nanosecond() {
    let served = Served::new();
    std::fs::write(served.path("file"), b"").unwrap();
    let node = served.node(Node::ROOT, "file");
    for (seconds, nanoseconds) in [(-5, 999_999_999), (1 << 32, 7), (0, 0)] {
        let mtime = Some(Time::At { seconds, nanoseconds });
        assert_eq!(set(&served, node, Setattr { mtime, ..Setattr::default() }).errno(), 0);
        let metadata = std::fs::metadata(served.path("file")).unwrap();
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (seconds, i64::from(nanoseconds)));
        let seen = served.ask(node, Operation::Getattr { handle: None });
        assert_eq!((seen.u64_at(IN_ATTR + 32) as i64, seen.u32_at(IN_ATTR + 52)), (seconds, nanoseconds));
    }
}

#[test]
fn a_symlinks_own_times_and_owner_change_not_its_targets() {
    let served = Served::new();
    std::fs::write(served.path("target"), b"").unwrap();
    std::os::unix::fs::symlink("target", served.path("link")).unwrap();
    let node = served.node(Node::ROOT, "link");
    let mtime = Some(Time::At { seconds: 5, nanoseconds: 6 });
    set(&served, node, Setattr { mtime, ..Setattr::default() });
    assert_eq!(std::fs::symlink_metadata(served.path("link")).unwrap().mtime(), 5);
    assert_ne!(std::fs::metadata(served.path("target")).unwrap().mtime(), 5);
}

#[test]
fn one_request_may_change_owner_mode_and_size_together() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    std::fs::write(served.path("file"), b"0123456789").unwrap();
    let node = served.node(Node::ROOT, "file");
    let change = Setattr { uid: Some(5), gid: Some(6), mode: Some(0o6755), size: Some(3), ..Setattr::default() };
    let reply = set(&served, node, change);
    assert_eq!(owner(&served.path("file")), (0o6755, 5, 6), "the new mode outlives the change of owner");
    assert_eq!((reply.u64_at(IN_ATTR + 8), reply.u32_at(IN_ATTR + 68)), (3, 5));
}

#[test]
fn a_change_of_owner_clears_set_id_bits_by_whomever() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    std::fs::write(served.path("file"), b"").unwrap();
    std::fs::set_permissions(served.path("file"), std::os::unix::fs::PermissionsExt::from_mode(0o6755)).unwrap();
    let node = served.node(Node::ROOT, "file");
    set(&served, node, Setattr { uid: Some(5), ..Setattr::default() });
    assert_eq!(owner(&served.path("file")).0, 0o755);
}

#[test]
fn a_truncation_goes_through_the_handle_where_there_is_one() {
    let served = Served::new();
    std::fs::write(served.path("file"), b"0123456789").unwrap();
    let node = served.node(Node::ROOT, "file");
    let handle = Some(served.open(node, libc::O_RDWR));
    assert_eq!(set(&served, node, Setattr { size: Some(4), handle, ..Setattr::default() }).errno(), 0);
    assert_eq!(set(&served, node, Setattr { size: Some(2), ..Setattr::default() }).errno(), 0);
    assert_eq!(std::fs::read(served.path("file")).unwrap(), b"01");
    let directory = set(&served, Node::ROOT, Setattr { size: Some(0), ..Setattr::default() });
    assert_eq!(directory.errno(), libc::EISDIR);
}

#[test]
fn statx_tells_the_time_of_birth() {
    let served = Served::new();
    std::fs::write(served.path("file"), b"12345").unwrap();
    let node = served.node(Node::ROOT, "file");
    let reply = served.ask(node, Operation::Statx { handle: None, sx_flags: 0, sx_mask: 0xfff });
    let stat = 32;
    assert_ne!(reply.u32_at(stat) & libc::STATX_BTIME, 0);
    let born = reply.u64_at(stat + 80);
    let created = std::fs::metadata(served.path("file")).unwrap().created().unwrap();
    assert_eq!(born, created.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs());
    assert_eq!(reply.u64_at(stat + 40), 5);
}

#[test]
fn only_directories_may_be_cached_and_nothing_in_exact_mode() {
    let nanoseconds = |served: &Served, name: &str| {
        let entry = served.lookup(Node::ROOT, name);
        (entry.u32_at(32), entry.u32_at(36))
    };
    for (exact, over_source, file, directory) in [
        (false, false, (0, 0), (20_000_000, 20_000_000)),
        (false, true, (20_000_000, 0), (20_000_000, 20_000_000)),
        (true, true, (0, 0), (0, 0)),
    ] {
        let served = Served::with(Options { exact, over_source, way: None });
        std::fs::write(served.path("file"), b"").unwrap();
        std::fs::create_dir(served.path("directory")).unwrap();
        assert_eq!(nanoseconds(&served, "file"), file);
        assert_eq!(nanoseconds(&served, "directory"), directory);
    }
}

#[test]
fn an_entry_shows_the_backing_inode() {
    let served = Served::new();
    std::fs::write(served.path("file"), b"12345").unwrap();
    let metadata = std::fs::metadata(served.path("file")).unwrap();
    let entry = served.lookup(Node::ROOT, "file");
    assert_eq!(entry.u64_at(IN_ENTRY), metadata.ino());
    assert_eq!((entry.u64_at(IN_ENTRY + 8), entry.u32_at(IN_ENTRY + 60)), (5, metadata.mode()));
    assert_eq!((entry.facts.ino, entry.facts.dev), (metadata.ino(), metadata.dev()));
}

#[test]
fn the_filesystems_size_is_the_backing_ones() {
    let served = Served::new();
    let reply = served.ask(Node::ROOT, Operation::Statfs);
    let below =
        super::super::sys::statfs(std::os::fd::AsFd::as_fd(&std::fs::File::open(served.root()).unwrap())).unwrap();
    assert_eq!((reply.u64_at(0), reply.u64_at(24)), (below.f_blocks, below.f_files));
    assert_eq!(served.ask(Node::ROOT, Operation::Syncfs).errno(), 0);
}
