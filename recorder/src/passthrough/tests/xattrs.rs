//! Extended attributes and ACLs.

use super::*;

fn set<'a>(name: &'a [u8], value: &'a [u8], flags: i32) -> Operation<'a> {
    Operation::Setxattr { name, value, flags: flags as u32, acl_kill_sgid: false }
}

fn served_file() -> (Served, Node) {
    let served = Served::new();
    std::fs::write(served.path("file"), b"").unwrap();
    let node = served.node(Node::ROOT, "file");
    (served, node)
}

#[test]
fn a_value_can_be_asked_for_its_size_and_must_fit() {
    let (served, node) = served_file();
    if served.ask(node, set(b"user.colour", b"green", 0)).errno() == libc::EOPNOTSUPP {
        eprintln!("skipped: no user attributes on the filesystem of the temporary directory");
        return;
    }
    let get = |size| served.ask(node, Operation::Getxattr { name: b"user.colour", size });
    assert_eq!(get(0).u32_at(0), 5);
    assert_eq!(get(5).bytes, b"green");
    assert_eq!(get(4).errno(), libc::ERANGE);
    assert_eq!(served.ask(node, set(b"user.colour", b"", libc::XATTR_CREATE)).errno(), libc::EEXIST);
    assert_eq!(served.ask(node, set(b"user.shape", b"", libc::XATTR_REPLACE)).errno(), libc::ENODATA);
    assert_eq!(served.ask(node, Operation::Removexattr { name: b"user.colour" }).errno(), 0);
    assert_eq!(get(0).errno(), libc::ENODATA);
}

#[test]
fn the_systems_own_attributes_do_not_pass_but_acls_do() {
    let (served, node) = served_file();
    assert_eq!(served.ask(node, set(b"system.nfs4_acl", b"x", 0)).errno(), libc::EOPNOTSUPP);
    let get = Operation::Getxattr { name: b"system.posix_acl_access", size: 0 };
    let errno = served.ask(node, get).errno();
    assert!(errno == libc::ENODATA || errno == libc::EOPNOTSUPP, "{errno}");
}

#[test]
fn trusted_attributes_are_listed_to_root_only() {
    if !is_root() {
        return;
    }
    let (served, node) = served_file();
    for name in [&b"trusted.secret"[..], b"user.open"] {
        if served.ask(node, set(name, b"x", 0)).errno() == libc::EOPNOTSUPP {
            eprintln!("skipped: no such attributes on the filesystem of the temporary directory");
            return;
        }
    }
    let list = |uid, size| served.ask_as(uid, uid, node, Operation::Listxattr { size });
    assert_eq!(list(1000, 100).bytes, b"user.open\0");
    assert_eq!((list(1000, 0).u32_at(0), list(0, 0).u32_at(0)), (10, 25));
    assert_eq!(list(1000, 3).errno(), libc::ERANGE);
}

#[test]
fn attributes_of_a_symlink_are_its_own() {
    if !is_root() {
        return;
    }
    let (served, file) = served_file();
    std::os::unix::fs::symlink("file", served.path("link")).unwrap();
    let link = served.node(Node::ROOT, "link");
    assert_eq!(served.ask(link, set(b"trusted.mark", b"x", 0)).errno(), 0);
    assert_eq!(served.ask(file, Operation::Listxattr { size: 0 }).u32_at(0), 0);
}

#[test]
fn an_acl_clears_the_set_gid_bit_when_the_request_says_so() {
    if !is_root() {
        return;
    }
    let entry =
        |tag: u16, access: u16, id: u32| [&tag.to_ne_bytes()[..], &access.to_ne_bytes(), &id.to_ne_bytes()].concat();
    // user::rwx, user:5:r--, group::r-x, mask::r-x, other::r-x
    let entries = [
        entry(1, 7, u32::MAX),
        entry(2, 4, 5),
        entry(4, 5, u32::MAX),
        entry(0x10, 5, u32::MAX),
        entry(0x20, 5, u32::MAX),
    ];
    let acl = [2u32.to_ne_bytes().to_vec(), entries.concat()].concat();
    for (acl_kill_sgid, left) in [(true, 0o755), (false, 0o2755)] {
        let (served, node) = served_file();
        std::os::unix::fs::chown(served.path("file"), Some(1000), Some(2000)).unwrap();
        std::fs::set_permissions(served.path("file"), std::os::unix::fs::PermissionsExt::from_mode(0o2755)).unwrap();
        let name = b"system.posix_acl_access";
        let set = Operation::Setxattr { name, value: &acl, flags: 0, acl_kill_sgid };
        if served.ask_as(1000, 1000, node, set).errno() == libc::EOPNOTSUPP {
            eprintln!("skipped: no ACLs on the filesystem of the temporary directory");
            return;
        }
        assert_eq!(owner(&served.path("file")).0, left);
    }
}
