//! Listing: every entry once, offsets as below, also while the directory changes.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

use super::*;

struct Listed {
    ino: u64,
    next: u64,
    name: String,
}

/// The entries in a READDIR answer.
fn entries(bytes: &[u8]) -> Vec<Listed> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let number = |at: usize| u64::from_ne_bytes(rest[at..at + 8].try_into().unwrap());
        let len = u32::from_ne_bytes(rest[16..20].try_into().unwrap()) as usize;
        let name = String::from_utf8(rest[24..24 + len].to_vec()).unwrap();
        found.push(Listed { ino: number(0), next: number(8), name });
        rest = &rest[(24 + len).next_multiple_of(8)..];
    }
    found
}

fn list(served: &Served, node: Node, handle: Handle, mut offset: u64) -> Vec<Listed> {
    let mut all = Vec::new();
    loop {
        let part = entries(&served.ask(node, Operation::Readdir { handle, offset, size: 4096 }).bytes);
        let Some(last) = part.last() else { return all };
        offset = last.next;
        all.extend(part);
    }
}

fn many(served: &Served, count: usize) {
    for number in 0..count {
        std::fs::write(served.path(&format!("file-{number}")), b"").unwrap();
    }
}

#[test]
fn every_entry_is_listed_once_with_its_inode_number() {
    let served = Served::new();
    many(&served, 500);
    let handle = served.opendir(Node::ROOT);
    let all = list(&served, Node::ROOT, handle, 0);
    assert_eq!(all.len(), 502);
    assert_eq!(all.iter().map(|entry| &entry.name).collect::<BTreeSet<_>>().len(), 502);
    for entry in all.iter().filter(|entry| entry.name.starts_with("file")) {
        assert_eq!(entry.ino, std::fs::metadata(served.path(&entry.name)).unwrap().ino());
    }
}

#[test]
fn an_offset_leads_to_the_entry_behind_the_one_that_gave_it() {
    let served = Served::new();
    many(&served, 200);
    let handle = served.opendir(Node::ROOT);
    let all = list(&served, Node::ROOT, handle, 0);
    for place in [150, 3, 77, 0, 180] {
        let from = all[place].next;
        let next = &list(&served, Node::ROOT, handle, from)[0];
        assert_eq!(next.name, all[place + 1].name);
    }
}

#[test]
fn entries_removed_while_listing_disturb_no_others() {
    let served = Served::new();
    many(&served, 600);
    let handle = served.opendir(Node::ROOT);
    let (mut offset, mut seen) = (0, BTreeSet::new());
    loop {
        let part = entries(&served.ask(Node::ROOT, Operation::Readdir { handle, offset, size: 4096 }).bytes);
        let Some(last) = part.last() else { break };
        offset = last.next;
        for entry in part.iter().filter(|entry| entry.name.starts_with("file")) {
            assert!(seen.insert(entry.name.clone()));
            std::fs::remove_file(served.path(&entry.name)).unwrap();
        }
    }
    assert_eq!(seen.len(), 600);
}

#[test]
fn readdirplus_counts_a_lookup_for_each_entry_it_answers() {
    let served = Served::new();
    many(&served, 100);
    let handle = served.opendir(Node::ROOT);
    let (mut offset, mut nodes) = (0, Vec::new());
    loop {
        let reply = served.ask(Node::ROOT, Operation::Readdirplus { handle, offset, size: 4096 });
        assert!(reply.bytes.len() <= 4096);
        if reply.bytes.is_empty() {
            break;
        }
        let mut at = 0;
        while at < reply.bytes.len() {
            let (node, ino) = (reply.u64_at(at), reply.u64_at(at + 128));
            let len = reply.u32_at(at + 144) as usize;
            let name = &reply.bytes[at + 152..at + 152 + len];
            if name == b"." || name == b".." {
                assert_eq!(node, 0, "these are not looked up");
            } else {
                assert_eq!(ino, reply.u64_at(at + 40), "d_ino is st_ino");
                nodes.push(Node(node));
            }
            offset = reply.u64_at(at + 136);
            at += (152 + len).next_multiple_of(8);
        }
    }
    assert_eq!(nodes.len(), 100);
    assert_eq!(served.fs.known_and_open(), (101, 1));
    let entries: Vec<u8> = nodes.iter().flat_map(|node| [node.0.to_ne_bytes(), 1u64.to_ne_bytes()].concat()).collect();
    served.ask(Node::ROOT, Operation::BatchForget { entries: &entries });
    assert_eq!(served.fs.known_and_open(), (1, 1));
}

#[test]
fn a_directory_handle_is_no_file_handle() {
    let served = Served::new();
    std::fs::write(served.path("file"), b"").unwrap();
    let node = served.node(Node::ROOT, "file");
    let (directory, file) = (served.opendir(Node::ROOT), served.open(node, libc::O_RDONLY));
    let read = crate::wire::operation::Read { handle: directory, offset: 0, size: 10, flags: 0, for_page_cache: false };
    assert_eq!(served.ask(Node::ROOT, Operation::Read(read)).errno(), libc::EISDIR);
    let readdir = Operation::Readdir { handle: file, offset: 0, size: 4096 };
    assert_eq!(served.ask(node, readdir).errno(), libc::ENOTDIR);
    assert_eq!(served.ask(node, Operation::Opendir { flags: 0 }).errno(), libc::ENOTDIR);
    assert_eq!(
        served.ask(Node::ROOT, Operation::Open { flags: 0, kill_suid_sgid: false }).errno(),
        libc::EISDIR,
        "directories are opened with opendir"
    );
    assert_eq!(served.ask(Node::ROOT, Operation::Fsyncdir { handle: directory, data_only: false }).errno(), 0);
    assert_eq!(served.ask(Node::ROOT, Operation::Releasedir { handle: directory }).errno(), 0);
}
