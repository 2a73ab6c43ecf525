//! Lookup, remove, rename, link: which inode a name stands for, and what outlives its name.

use std::os::unix::fs::{MetadataExt, symlink};

use super::*;
use crate::event::FileType;
use crate::wire::operation::Rename;

const WAYS: [Way; 2] = [Way::Handles, Way::Descriptors];

fn rename<'a>(name: &'a str, new_name: &'a str, flags: u32) -> Operation<'a> {
    let (name, new_name) = (name.as_bytes(), new_name.as_bytes());
    Operation::Rename(Rename { name, new_parent: Node::ROOT, new_name, flags })
}

#[test]
fn two_names_of_one_file_are_one_node() {
    for way in WAYS {
        let served = Served::held(way);
        std::fs::write(served.path("one"), b"x").unwrap();
        std::fs::hard_link(served.path("one"), served.path("two")).unwrap();
        let one = served.node(Node::ROOT, "one");
        assert_eq!(served.node(Node::ROOT, "two"), one);
        assert_eq!(served.ask(Node::ROOT, Operation::Link { existing: one, name: b"three" }).node(), one);
        served.forget(one, 2);
        assert_eq!(served.fs.known_and_open().0, 2, "one lookup of three is left");
        served.forget(one, 1);
        assert_eq!(served.fs.known_and_open().0, 1);
        assert_eq!(*served.gone.lock().unwrap(), [one]);
        assert_ne!(served.node(Node::ROOT, "one"), one, "node ids are never reused");
    }
}

#[test]
fn a_symlink_is_looked_up_not_followed() {
    let served = Served::new();
    symlink("/etc", served.path("link")).unwrap();
    let link = served.lookup(Node::ROOT, "link");
    assert_eq!(link.facts.file_type, Some(FileType::Symlink));
    assert_eq!(served.lookup(link.node(), "passwd").errno(), libc::ENOTDIR);
    let open = Operation::Open { flags: 0, kill_suid_sgid: false };
    assert_eq!(served.ask(link.node(), open).errno(), libc::ELOOP);
}

#[test]
fn names_that_lead_upwards_or_aside_are_refused() {
    let served = Served::new();
    for name in ["", ".", "..", "a/b", "a\0b"] {
        assert_eq!(served.lookup(Node::ROOT, name).errno(), libc::EINVAL, "{name:?}");
    }
    assert_eq!(served.lookup(Node::ROOT, &"n".repeat(256)).errno(), libc::ENAMETOOLONG);
    assert_eq!(served.lookup(Node(77), "x").errno(), libc::ESTALE, "an unknown node");
}

#[test]
fn a_file_replaced_from_outside_is_another_node() {
    for way in WAYS {
        let served = Served::held(way);
        std::fs::write(served.path("file"), b"old").unwrap();
        let old = served.node(Node::ROOT, "file");
        std::fs::write(served.path("new"), b"newer").unwrap();
        std::fs::rename(served.path("new"), served.path("file")).unwrap();
        let new = served.lookup(Node::ROOT, "file");
        assert_ne!(new.node(), old);
        assert_eq!(new.u64_at(48), 5, "its attributes are the new file's");
    }
}

#[test]
fn an_inode_number_that_comes_back_is_another_node() {
    let served = Served::held(Way::Handles);
    let mut seen = std::collections::HashSet::new();
    for round in 0..50 {
        std::fs::write(served.path("file"), format!("{round}")).unwrap();
        let reply = served.lookup(Node::ROOT, "file");
        assert!(seen.insert(reply.node()), "round {round}: an old node answers for a new file");
        std::fs::remove_file(served.path("file")).unwrap();
        // As when the kernel holds many nodes: nothing keeps the old inode alive.
        served.fs.inodes.holder.close_cached();
    }
}

#[test]
fn a_removed_file_that_the_kernel_still_knows_stays_usable() {
    for way in WAYS {
        let served = Served::held(way);
        std::fs::write(served.path("file"), b"contents").unwrap();
        let node = served.node(Node::ROOT, "file");
        served.fs.inodes.holder.close_cached();
        assert_eq!(served.ask(Node::ROOT, Operation::Unlink { name: b"file" }).errno(), 0);
        served.fs.inodes.holder.close_cached();
        let attributes = served.ask(node, Operation::Getattr { handle: None });
        assert_eq!((attributes.errno(), attributes.u32_at(16 + 64)), (0, 0), "{way:?}: no links left");
        let handle = served.open(node, libc::O_RDWR);
        let read = crate::wire::operation::Read { handle, offset: 0, size: 100, flags: 0, for_page_cache: false };
        assert_eq!(served.ask(node, Operation::Read(read)).bytes, b"contents");
    }
}

#[test]
fn a_file_replaced_by_rename_stays_usable() {
    for way in WAYS {
        let served = Served::held(way);
        std::fs::write(served.path("old"), b"old").unwrap();
        std::fs::write(served.path("new"), b"new").unwrap();
        let node = served.node(Node::ROOT, "old");
        served.fs.inodes.holder.close_cached();
        assert_eq!(served.ask(Node::ROOT, rename("new", "old", 0)).errno(), 0);
        served.fs.inodes.holder.close_cached();
        assert_eq!(served.ask(node, Operation::Getattr { handle: None }).errno(), 0, "{way:?}");
        assert_ne!(served.node(Node::ROOT, "old"), node);
    }
}

#[test]
fn a_directory_removed_under_its_user_answers_as_below_and_takes_no_files() {
    let served = Served::new();
    std::fs::create_dir(served.path("directory")).unwrap();
    let node = served.node(Node::ROOT, "directory");
    let handle = served.opendir(node);
    assert_eq!(served.ask(Node::ROOT, Operation::Rmdir { name: b"directory" }).errno(), 0);
    let listing = served.ask(node, Operation::Readdir { handle, offset: 0, size: 4096 });
    assert_eq!(listing.errno(), libc::ENOENT, "what getdents64 says of a removed directory");
    let attributes = served.ask(node, Operation::Getattr { handle: None });
    assert_eq!((attributes.errno(), attributes.u32_at(16 + 64)), (0, 0), "no links left");
    let create = Operation::Create { name: b"x", flags: 1, mode: 0o600, umask: 0, kill_suid_sgid: false };
    assert_eq!(served.ask(node, create).errno(), libc::ENOENT);
}

#[test]
fn a_failed_removal_leaves_nothing_pinned() {
    let served = Served::held(Way::Handles);
    std::fs::create_dir_all(served.path("full/inner")).unwrap();
    let node = served.node(Node::ROOT, "full");
    assert_eq!(served.ask(Node::ROOT, Operation::Rmdir { name: b"full" }).errno(), libc::ENOTEMPTY);
    assert_eq!(served.ask(Node::ROOT, Operation::Unlink { name: b"full" }).errno(), libc::EISDIR);
    let closed = served.fs.inodes.holder.close_cached();
    assert_eq!(closed > 0, served.fs.way() == Way::Handles, "what is pinned does not close");
    let attributes = served.ask(node, Operation::Getattr { handle: None });
    assert_eq!(attributes.errno(), 0, "found again by its handle");
}

#[test]
fn rename_obeys_its_flags() {
    let served = Served::new();
    for name in ["a", "b"] {
        std::fs::write(served.path(name), name).unwrap();
    }
    assert_eq!(served.ask(Node::ROOT, rename("a", "b", libc::RENAME_NOREPLACE)).errno(), libc::EEXIST);
    let (a, b) = (served.node(Node::ROOT, "a"), served.node(Node::ROOT, "b"));
    assert_eq!(served.ask(Node::ROOT, rename("a", "b", libc::RENAME_EXCHANGE)).errno(), 0);
    assert_eq!((served.node(Node::ROOT, "a"), served.node(Node::ROOT, "b")), (b, a));
    if is_root() {
        let whiteout = rename("a", "c", libc::RENAME_WHITEOUT);
        assert_eq!(served.ask_as(1000, 1001, Node::ROOT, whiteout).errno(), 0);
        assert_eq!(owner(&served.path("a")), (0, 1000, 1001));
        assert_eq!(std::fs::symlink_metadata(served.path("a")).unwrap().rdev(), 0);
    }
    let both = rename("b", "c", libc::RENAME_EXCHANGE | libc::RENAME_NOREPLACE);
    assert_eq!(served.ask(Node::ROOT, both).errno(), libc::EINVAL);
}

#[test]
fn facts_name_what_was_removed_or_moved_not_its_directory() {
    let served = Served::new();
    std::fs::write(served.path("a"), b"").unwrap();
    let ino = std::fs::metadata(served.path("a")).unwrap().ino();
    let moved = served.ask(Node::ROOT, rename("a", "b", 0)).facts;
    assert_eq!((moved.ino, moved.file_type), (ino, Some(FileType::Regular)));
    let removed = served.ask(Node::ROOT, Operation::Unlink { name: b"b" }).facts;
    assert_eq!((removed.ino, removed.file_type), (ino, Some(FileType::Regular)));
    assert!(removed.backing_ns > 0);
    assert_eq!(served.ask(Node::ROOT, Operation::Unlink { name: b"b" }).errno(), libc::ENOENT);
}

#[test]
fn another_mount_below_the_source_is_not_entered() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    std::fs::create_dir(served.path("other")).unwrap();
    let at = std::ffi::CString::new(served.path("other").to_str().unwrap()).unwrap();
    let kind = c"tmpfs".as_ptr();
    // SAFETY: C strings that live across the call.
    let mounted = unsafe { libc::mount(kind, at.as_ptr(), kind, 0, std::ptr::null()) };
    assert_eq!(mounted, 0);
    let errno = served.lookup(Node::ROOT, "other").errno();
    // SAFETY: as above.
    unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) };
    assert_eq!(errno, libc::EXDEV);
    assert_eq!(served.lookup(Node::ROOT, "other").errno(), 0, "gone again, the directory is seen");
}
