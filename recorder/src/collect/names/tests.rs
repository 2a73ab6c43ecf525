//! The table against single cases here, against a model with full paths in `model.rs`.

mod model;

use super::tree::ROOT;
use super::*;
use crate::collect::record::PackedEntries;
use crate::collect::samples::{as_directory, by_handle, failed, named, record, rename};

const MOUNT: &str = "/home/ana/db";

fn table() -> Names {
    Names::new(Path::new(MOUNT))
}

/// During these nanoseconds.
fn during(record: Record, start_ns: u64, finished_ns: u64) -> Record {
    Record { start_ns, duration_ns: finished_ns - start_ns, ..record }
}

fn path(names: &mut Names, record: &Record) -> Option<String> {
    names.follow(record).path.map(|path| path.to_string())
}

/// Below the mount point.
fn below(path: &str) -> Option<String> {
    Some(format!("{MOUNT}{path}"))
}

#[test]
fn the_root_is_the_mount_point_and_names_lie_below_it() {
    let mut names = table();
    assert_eq!(path(&mut names, &record(Op::Getattr, ROOT)), below(""));
    assert_eq!(path(&mut names, &failed(named(Op::Lookup, ROOT, "a", None), libc::ENOENT)), below("/a"));
    let mut whole = Names::new(Path::new("/"));
    assert_eq!(path(&mut whole, &named(Op::Lookup, ROOT, "a", Some(2))).as_deref(), Some("/a"));
}

#[test]
fn what_is_not_known_has_no_path() {
    let mut names = table();
    assert_eq!(path(&mut names, &record(Op::Getattr, 99)), None);
    assert_eq!(path(&mut names, &named(Op::Lookup, 99, "a", Some(100))), None);
    path(&mut names, &as_directory(named(Op::Lookup, ROOT, "d", Some(99))));
    assert_eq!(path(&mut names, &record(Op::Getattr, 100)), below("/d/a"), "known as soon as its directory is");
}

#[test]
fn names_that_are_no_text_are_escaped() {
    let mut names = table();
    let lookup = Record {
        names: Some(Box::new(Carried { name: (*b"a\xff\\\n").into(), child: Some(2), ..Carried::default() })),
        ..record(Op::Lookup, ROOT)
    };
    assert_eq!(path(&mut names, &lookup), below("/a\\xff\\\\\n"));
    assert_eq!(path(&mut names, &record(Op::Getattr, 2)), below("/a\\xff\\\\\n"));
}

#[test]
fn a_handle_shows_the_link_it_was_opened_by() {
    let mut names = table();
    names.follow(&named(Op::Create, ROOT, "a", Some(2)));
    let link = Carried { name: (*b"b").into(), child: Some(2), new_parent: Some(2), ..Carried::default() };
    let paths = names.follow(&Record { names: Some(Box::new(link)), ..record(Op::Link, ROOT) });
    assert_eq!((paths.path.as_deref(), paths.path2.as_deref()), (below("/b").as_deref(), below("/a").as_deref()));
    // Two threads look up different names, then both open.
    names.follow(&Record { tid: 1, ..named(Op::Lookup, ROOT, "a", Some(2)) });
    names.follow(&Record { tid: 2, ..named(Op::Lookup, ROOT, "b", Some(2)) });
    assert_eq!(path(&mut names, &Record { tid: 1, ..by_handle(Op::Open, 2, 10) }), below("/a"));
    assert_eq!(path(&mut names, &Record { tid: 2, ..by_handle(Op::Open, 2, 20) }), below("/b"));
    names.follow(&rename((ROOT, "b"), (ROOT, "c"), false));
    names.follow(&named(Op::Unlink, ROOT, "a", None));
    assert_eq!(path(&mut names, &by_handle(Op::Read, 2, 10)), below("/a"));
    assert_eq!(path(&mut names, &by_handle(Op::Read, 2, 20)), below("/c"));
    assert_eq!(path(&mut names, &record(Op::Getattr, 2)), below("/c"));
}

#[test]
fn a_released_handle_is_forgotten() {
    let mut names = table();
    names.follow(&named(Op::Create, ROOT, "a", Some(2)));
    names.follow(&by_handle(Op::Open, 2, 10));
    assert_eq!(path(&mut names, &by_handle(Op::Release, 2, 10)), below("/a"));
    assert!(names.handles.is_empty());
}

#[test]
fn a_tmpfile_has_no_path_until_it_gets_a_name() {
    let mut names = table();
    let tmpfile = Record { fh: 10, present: present::FH, ..named(Op::Tmpfile, ROOT, "", Some(2)) };
    assert_eq!(path(&mut names, &tmpfile), below(""), "the program named the directory");
    assert_eq!(path(&mut names, &by_handle(Op::Write, 2, 10)), None);
    let link = Carried { name: (*b"b").into(), child: Some(2), new_parent: Some(2), ..Carried::default() };
    names.follow(&Record { names: Some(Box::new(link)), ..record(Op::Link, ROOT) });
    assert_eq!(path(&mut names, &by_handle(Op::Write, 2, 10)), below("/b"));
}

#[test]
fn a_lookup_that_overlapped_a_rename_tells_nothing_new() {
    let mut names = table();
    names.follow(&during(named(Op::Create, ROOT, "a", Some(2)), 0, 10));
    names.follow(&during(rename((ROOT, "a"), (ROOT, "b"), false), 100, 200));
    assert_eq!(path(&mut names, &during(named(Op::Lookup, ROOT, "a", Some(2)), 150, 210)), below("/a"));
    assert_eq!(path(&mut names, &record(Op::Getattr, 2)), below("/b"));
    // And one that missed what was just created.
    names.follow(&during(named(Op::Create, ROOT, "c", Some(3)), 300, 400));
    names.follow(&during(failed(named(Op::Lookup, ROOT, "c", None), libc::ENOENT), 350, 410));
    names.follow(&during(rename((ROOT, "c"), (ROOT, "d"), false), 500, 600));
    assert_eq!(path(&mut names, &record(Op::Getattr, 3)), below("/d"));
}

#[test]
fn changes_behind_our_back_are_learned_at_the_next_lookup() {
    let mut names = table();
    names.follow(&during(as_directory(named(Op::Lookup, ROOT, "d", Some(2))), 0, 1));
    names.follow(&during(named(Op::Lookup, 2, "f", Some(3)), 2, 3));
    names.follow(&during(as_directory(named(Op::Lookup, ROOT, "e", Some(2))), 4, 5));
    assert_eq!(path(&mut names, &record(Op::Getattr, 3)), below("/e/f"));
    names.follow(&during(named(Op::Lookup, 2, "f", Some(4)), 6, 7));
    assert_eq!(path(&mut names, &record(Op::Getattr, 4)), below("/e/f"));
    names.follow(&during(failed(named(Op::Lookup, 2, "f", None), libc::ENOENT), 8, 9));
    assert_eq!(path(&mut names, &record(Op::Getattr, 4)), below("/e/f"), "its last name");
}

#[test]
fn a_circle_made_behind_our_back_has_no_path() {
    let mut names = table();
    names.follow(&as_directory(named(Op::Lookup, ROOT, "a", Some(2))));
    names.follow(&as_directory(named(Op::Lookup, 2, "b", Some(3))));
    names.follow(&as_directory(named(Op::Lookup, 3, "a", Some(2))));
    assert_eq!(path(&mut names, &record(Op::Getattr, 2)), None);
    names.follow(&as_directory(named(Op::Lookup, ROOT, "b", Some(3))));
    assert_eq!(path(&mut names, &record(Op::Getattr, 2)), below("/b/a"));
}

#[test]
fn listed_entries_are_known_without_a_lookup() {
    let mut names = table();
    let mut entries = PackedEntries::default();
    entries.push(2, true, b"d");
    entries.push(3, false, b"f");
    names.listed(&Listed { connection: 0, parent: ROOT, start_ns: 0, entries });
    assert_eq!(path(&mut names, &by_handle(Op::Opendir, 2, 10)), below("/d"));
    assert_eq!(path(&mut names, &record(Op::Getattr, 3)), below("/f"));
}

#[test]
fn a_forgotten_node_keeps_its_name_for_a_second() {
    let mut names = table();
    names.follow(&as_directory(named(Op::Lookup, ROOT, "d", Some(2))));
    names.follow(&named(Op::Lookup, 2, "f", Some(3)));
    names.gone(2, 0);
    names.gone(3, 0);
    names.bury(999_999_999);
    assert_eq!(path(&mut names, &record(Op::Release, 3)), below("/d/f"));
    names.bury(1_000_000_000);
    assert_eq!(path(&mut names, &record(Op::Release, 3)), None);
    assert_eq!(names.known_nodes(), 1, "the root");
    assert_eq!(path(&mut names, &named(Op::Lookup, ROOT, "d", Some(4))), below("/d"));
}

#[test]
fn when_names_were_lost_nothing_is_guessed() {
    let mut names = table();
    names.follow(&named(Op::Create, ROOT, "a", Some(2)));
    names.follow(&by_handle(Op::Open, 2, 10));
    names.forget_all();
    assert_eq!(path(&mut names, &by_handle(Op::Read, 2, 10)), None);
    assert_eq!(path(&mut names, &record(Op::Getattr, ROOT)), below(""));
    names.follow(&named(Op::Lookup, ROOT, "b", Some(2)));
    assert_eq!(path(&mut names, &by_handle(Op::Read, 2, 10)), below("/b"));
}

#[test]
fn symlinks_and_copies_have_a_second_path() {
    let mut names = table();
    let symlink =
        Carried { name: (*b"s").into(), child: Some(2), new_name: Some((*b"../x").into()), ..Carried::default() };
    let paths = names.follow(&Record { names: Some(Box::new(symlink)), ..record(Op::Symlink, ROOT) });
    assert_eq!((paths.path.as_deref(), paths.path2.as_deref()), (below("/s").as_deref(), Some("../x")));
    names.follow(&named(Op::Create, ROOT, "from", Some(3)));
    names.follow(&named(Op::Create, ROOT, "to", Some(4)));
    let copied = Carried { new_parent: Some(3), ..Carried::default() };
    let paths = names.follow(&Record { names: Some(Box::new(copied)), ..record(Op::CopyFileRange, 4) });
    assert_eq!((paths.path.as_deref(), paths.path2.as_deref()), (below("/to").as_deref(), below("/from").as_deref()));
}

#[test]
fn a_tree_deeper_than_any_path_is_no_trouble() {
    let mut names = table();
    for node in ROOT..100_000 {
        names.follow(&as_directory(named(Op::Mkdir, node, "d", Some(node + 1))));
    }
    names.follow(&rename((ROOT, "d"), (ROOT, "e"), false));
    assert_eq!(path(&mut names, &record(Op::Getattr, 3)), below("/e/d"));
    assert_eq!(path(&mut names, &record(Op::Getattr, 100_000)), None);
}
