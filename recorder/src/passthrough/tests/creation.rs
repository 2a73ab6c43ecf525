//! Whose what is created is, with which mode.

use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use super::*;

fn create(name: &[u8], flags: i32, mode: u32, umask: u32) -> Operation<'_> {
    Operation::Create { name, flags: (flags | libc::O_CREAT) as u32, mode, umask, kill_suid_sgid: false }
}

#[test]
fn everything_created_belongs_to_the_caller() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    let mkfifo = Operation::Mknod { name: b"fifo", mode: libc::S_IFIFO | 0o666, rdev: 0, umask: 0o022 };
    served.ask_as(1000, 1001, Node::ROOT, create(b"file", libc::O_RDWR, 0o666, 0o022));
    served.ask_as(1000, 1001, Node::ROOT, Operation::Mkdir { name: b"directory", mode: 0o777, umask: 0o077 });
    served.ask_as(1000, 1001, Node::ROOT, mkfifo);
    served.ask_as(1000, 1001, Node::ROOT, Operation::Symlink { name: b"link", target: b"nowhere" });
    assert_eq!(owner(&served.path("file")), (0o644, 1000, 1001));
    assert_eq!(owner(&served.path("directory")), (0o700, 1000, 1001));
    assert_eq!(owner(&served.path("fifo")), (0o644, 1000, 1001));
    assert_eq!(owner(&served.path("link")), (0o777, 1000, 1001));
}

#[test]
fn one_worker_serves_users_in_turn_without_mixing_them_up() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    served.on_one_thread(|asker| {
        for (name, uid, umask) in [("a", 1000, 0o022), ("b", 0, 0o077), ("c", 1001, 0), ("d", 1000, 0o022)] {
            (asker.uid, asker.gid) = (uid, uid + 5);
            assert_eq!(asker.ask(Node::ROOT, create(name.as_bytes(), libc::O_WRONLY, 0o666, umask)).errno(), 0);
        }
    });
    let owners: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| owner(&served.path(name))).collect();
    assert_eq!(owners, [(0o644, 1000, 1005), (0o600, 0, 5), (0o666, 1001, 1006), (0o644, 1000, 1005)]);
}

#[test]
fn a_caller_whom_only_a_supplementary_group_lets_in_is_not_refused_below() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    std::fs::create_dir(served.path("shared")).unwrap();
    std::fs::set_permissions(served.path("shared"), std::os::unix::fs::PermissionsExt::from_mode(0o770)).unwrap();
    let shared = served.node(Node::ROOT, "shared");
    assert_eq!(served.ask_as(1000, 1000, shared, create(b"file", libc::O_RDWR, 0o600, 0)).errno(), 0);
    assert_eq!(owner(&served.path("shared/file")), (0o600, 1000, 1000));
}

#[test]
fn a_default_acl_replaces_the_umask() {
    let served = Served::new();
    // user::rwx, group::rwx, other::rwx as the kernel's extended attribute has it (version 2, no ids).
    let entry = |tag: u16| [&tag.to_ne_bytes()[..], &7u16.to_ne_bytes(), &u32::MAX.to_ne_bytes()].concat();
    let acl = [2u32.to_ne_bytes().to_vec(), entry(1), entry(4), entry(0x20)].concat();
    let name = b"system.posix_acl_default";
    let set = Operation::Setxattr { name, value: &acl, flags: 0, acl_kill_sgid: false };
    if served.ask(Node::ROOT, set).errno() == libc::EOPNOTSUPP {
        eprintln!("skipped: no ACLs on the filesystem of the temporary directory");
        return;
    }
    served.ask(Node::ROOT, create(b"open_to_all", libc::O_RDWR, 0o666, 0o077));
    assert_eq!(owner(&served.path("open_to_all")).0, 0o666);
}

#[test]
fn a_set_gid_directory_hands_its_group_on() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    std::fs::create_dir(served.path("shared")).unwrap();
    std::os::unix::fs::chown(served.path("shared"), Some(0), Some(2000)).unwrap();
    std::fs::set_permissions(served.path("shared"), std::os::unix::fs::PermissionsExt::from_mode(0o2777)).unwrap();
    let shared = served.node(Node::ROOT, "shared");
    served.ask_as(1000, 1000, shared, create(b"file", libc::O_RDWR, 0o644, 0));
    served.ask_as(1000, 1000, shared, Operation::Mkdir { name: b"directory", mode: 0o755, umask: 0 });
    assert_eq!(owner(&served.path("shared/file")), (0o644, 1000, 2000));
    assert_eq!(owner(&served.path("shared/directory")), (0o2755, 1000, 2000));
}

#[test]
fn create_opens_what_someone_else_made_meanwhile_unless_it_must_be_new() {
    let served = Served::new();
    std::fs::write(served.path("there"), b"old").unwrap();
    let exclusive = served.ask(Node::ROOT, create(b"there", libc::O_RDWR | libc::O_EXCL, 0o600, 0));
    assert_eq!(exclusive.errno(), libc::EEXIST);
    let opened = served.ask(Node::ROOT, create(b"there", libc::O_RDWR, 0o600, 0));
    assert_eq!((opened.node(), opened.errno()), (served.node(Node::ROOT, "there"), 0));
    assert_eq!(std::fs::read(served.path("there")).unwrap(), b"old");
    served.ask(Node::ROOT, create(b"there", libc::O_RDWR | libc::O_TRUNC, 0o600, 0));
    assert_eq!(std::fs::read(served.path("there")).unwrap(), b"");
}

#[test]
fn create_never_opens_a_fifo_that_stands_in_the_way() {
    let served = Served::new();
    served.ask(Node::ROOT, Operation::Mknod { name: b"fifo", mode: libc::S_IFIFO | 0o600, rdev: 0, umask: 0 });
    let before = served.fs.known_and_open();
    let created = served.ask(Node::ROOT, create(b"fifo", libc::O_WRONLY, 0o600, 0));
    assert_eq!(created.errno(), libc::ESTALE, "the kernel looks the name up again");
    assert_eq!(served.fs.known_and_open(), before, "no lookup and no handle is left over");
}

#[test]
fn a_file_without_a_name_can_be_used_and_linked() {
    for way in [Way::Handles, Way::Descriptors] {
        use_and_link(&Served::held(way));
    }
}

fn use_and_link(served: &Served) {
    let flags = (libc::O_TMPFILE | libc::O_RDWR) as u32;
    let made = served.ask(Node::ROOT, Operation::Tmpfile { name: b"/", flags, mode: 0o640, umask: 0 });
    let (node, handle) = (made.node(), made.handle());
    let write = crate::wire::operation::Write {
        handle,
        offset: 0,
        data: b"contents",
        flags: libc::O_RDWR as u32,
        kill_suid_sgid: false,
        from_page_cache: false,
    };
    assert_eq!(served.ask(node, Operation::Write(write)).errno(), 0);
    assert_eq!(served.ask(node, Operation::Release { handle, flags: 0 }).errno(), 0);
    // Nobody has it open now; only the kernel's node keeps it.
    served.fs.inodes.holder.close_cached();
    assert_eq!(served.ask(Node::ROOT, Operation::Link { existing: node, name: b"named" }).node(), node);
    assert_eq!(std::fs::read(served.path("named")).unwrap(), b"contents");
}

#[test]
fn device_numbers_and_symlink_targets_arrive_as_they_are() {
    let served = Served::new();
    let target = vec![b't'; 4095];
    let link = served.ask(Node::ROOT, Operation::Symlink { name: b"link", target: &target }).node();
    assert_eq!(served.ask(link, Operation::Readlink).bytes, target);
    if is_root() {
        let rdev = super::super::attributes::encode_device(259, 300);
        let made = Operation::Mknod { name: b"device", mode: libc::S_IFBLK | 0o600, rdev, umask: 0 };
        let made = served.ask(Node::ROOT, made);
        let below = std::fs::symlink_metadata(served.path("device")).unwrap().rdev();
        assert_eq!((libc::major(below), libc::minor(below)), (259, 300));
        assert_eq!(made.u32_at(40 + 76), rdev);
    }
}

#[test]
fn a_request_as_root_after_one_as_a_user_has_its_capabilities_back() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    let file = std::fs::File::create(served.path("file")).unwrap();
    served.on_one_thread(|asker| {
        (asker.uid, asker.gid) = (1000, 1000);
        asker.ask(Node::ROOT, create(b"mine", libc::O_RDWR, 0o600, 0));
        let access = asker.ask(Node::ROOT, Operation::Access { mask: libc::W_OK as u32 });
        assert_eq!(access.errno(), 0);
        (asker.uid, asker.gid) = (0, 0);
        let node = asker.ask(Node::ROOT, Operation::Lookup { name: b"mine" }).node();
        let chown = crate::wire::operation::Setattr { uid: Some(7), ..Default::default() };
        assert_eq!(asker.ask(node, Operation::Setattr(chown)).errno(), 0);
    });
    assert_eq!(owner(&served.path("mine")).1, 7);
    assert!(file.as_raw_fd() > 0);
}

#[test]
fn access_is_answered_as_the_caller_not_as_ourselves() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    std::fs::write(served.path("secret"), b"").unwrap();
    std::fs::set_permissions(served.path("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let node = served.node(Node::ROOT, "secret");
    let read = |uid, gid| served.ask_as(uid, gid, node, Operation::Access { mask: libc::R_OK as u32 }).errno();
    assert_eq!((read(0, 0), read(1000, 0), read(1000, 1000)), (0, 0, libc::EACCES));
}
