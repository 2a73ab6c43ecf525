//! Requests of every opcode, whole, cut off, mutated and random.

use proptest::prelude::*;
use zerocopy::{FromBytes, IntoBytes};

use super::samples::{every, lookup, message, read, write};
use super::*;
use crate::wire::operation::{CopyFileRange, ForgetEntries, Handle, Read, Rename, Setattr, Time, Write};
use crate::wire::requests::{GetxattrIn, RenameIn, SetattrIn, WRITE_DATA_AT, fattr};

fn parsed(bytes: &[u8]) -> Operation<'_> {
    parse(bytes, 1).expect("a well-formed message").operation
}

fn of(code: u32) -> Vec<u8> {
    let all = every();
    all.into_iter().find(|bytes| parse(bytes, 1).unwrap().opcode == code).expect("a sample of each opcode")
}

fn errno(bytes: &[u8]) -> i32 {
    parse(bytes, 1).expect_err("malformed").errno.0
}

#[test]
fn every_opcode_has_a_sample_and_is_understood() {
    let codes: Vec<u32> = every().iter().map(|bytes| parse(bytes, 1).unwrap().opcode).collect();
    let sent = (1..=53).filter(|code| ![7, 19, 31, 32, 33, 41, 48, 49].contains(code));
    for code in sent {
        assert!(codes.contains(&code), "opcode {code} has no sample");
        assert!(!matches!(parsed(&of(code)), Operation::Refused { .. }), "opcode {code} is refused");
    }
}

#[test]
fn the_header_says_who_asks_about_what() {
    let bytes = lookup(101, "CURRENT");
    let request = parse(&bytes, 77).unwrap();
    assert_eq!((request.unique, request.opcode, request.node), (101, opcode::LOOKUP, Node(1)));
    assert_eq!((request.uid, request.gid, request.tid, request.arrived_ns), (1000, 1001, 4242, 77));
    assert_eq!(request.operation, Operation::Lookup { name: b"CURRENT" });
}

#[test]
fn names_come_in_the_kernels_order() {
    assert_eq!(parsed(&of(opcode::SYMLINK)), Operation::Symlink { name: b"link", target: b"../some/target" });
    let rename = Rename { name: b"from", new_parent: Node(6), new_name: b"to", flags: 2 };
    assert_eq!(parsed(&of(opcode::RENAME2)), Operation::Rename(rename));
    assert_eq!(parsed(&of(opcode::RENAME)), Operation::Rename(Rename { flags: 0, ..rename }));
    assert_eq!(parsed(&of(opcode::LINK)), Operation::Link { existing: Node(77), name: b"second" });
    assert_eq!(parsed(&of(opcode::MKDIR)), Operation::Mkdir { name: b"sub", mode: 0o755, umask: 0o22 });
    let create = Operation::Create { name: b"new", flags: 0o102, mode: 0o644, umask: 0o22, kill_suid_sgid: true };
    assert_eq!(parsed(&of(opcode::CREATE)), create);
    assert_eq!(parsed(&of(opcode::TMPFILE)), Operation::Tmpfile { name: b"/", flags: 0o102, mode: 0o644, umask: 0o22 });
    assert_eq!(parsed(&of(opcode::MKNOD)), Operation::Mknod { name: b"fifo", mode: 0o10_644, rdev: 0, umask: 0o22 });
}

#[test]
fn a_name_is_one_component_of_any_other_bytes() {
    let good: [&[u8]; 4] = [b"a b", b"\xff\xfe\n\x1b[0m", b"...", &[b'x'; 4095]];
    for name in good {
        assert_eq!(parsed(&message(opcode::LOOKUP, 9, 1, &[name, &[0]])), Operation::Lookup { name });
    }
    for name in ["", ".", "..", "a/b", "/"] {
        assert_eq!(errno(&lookup(9, name)), libc::EINVAL, "{name:?}");
    }
    assert_eq!(errno(&message(opcode::LOOKUP, 9, 1, &[b"no end"])), libc::EIO);
    let second_missing = message(opcode::RENAME, 9, 1, &[RenameIn { newdir: 6 }.as_bytes(), b"from\0"]);
    assert_eq!(errno(&second_missing), libc::EIO);
}

#[test]
fn attributes_to_set_are_those_whose_bit_is_set() {
    let set = Setattr { size: Some(11), mtime: Some(Time::At { seconds: -1, nanoseconds: 5 }), ..Setattr::default() };
    assert_eq!(parsed(&of(opcode::SETATTR)), Operation::Setattr(set));
    let valid = fattr::FH | fattr::UID | fattr::ATIME | fattr::ATIME_NOW | fattr::KILL_SUIDGID;
    let asked = SetattrIn { valid, fh: 4, uid: 7, mode: 0o777, ..SetattrIn::default() };
    let set = Setattr {
        handle: Some(Handle(4)),
        uid: Some(7),
        atime: Some(Time::Now),
        kill_suid_sgid: true,
        ..Setattr::default()
    };
    assert_eq!(parsed(&message(opcode::SETATTR, 9, 2, &[asked.as_bytes()])), Operation::Setattr(set));
}

#[test]
fn extended_attributes_have_names_with_slashes_and_exact_values() {
    let set = Operation::Setxattr { name: b"user.a/b", value: b"value", flags: 1, acl_kill_sgid: true };
    assert_eq!(parsed(&of(opcode::SETXATTR)), set);
    assert_eq!(parsed(&of(opcode::GETXATTR)), Operation::Getxattr { name: b"security.capability", size: 256 });
    let mut cut = of(opcode::SETXATTR);
    cut.pop();
    set_len(&mut cut);
    assert_eq!(errno(&cut), libc::EIO);
    let huge = GetxattrIn { size: u32::MAX, padding: 0 };
    assert_eq!(errno(&message(opcode::LISTXATTR, 9, 2, &[huge.as_bytes()])), libc::EINVAL);
}

#[test]
fn data_has_the_length_it_claims() {
    let data = [3; 512];
    let whole = write(9, &data);
    let Operation::Write(Write { handle, offset, data: found, .. }) = parsed(&whole) else { panic!("a write") };
    assert_eq!((handle, offset, found), (Handle(9), 4096, &data[..]));
    let mut longer = write(9, &data);
    longer.push(0);
    set_len(&mut longer);
    assert_eq!(errno(&longer), libc::EIO);
    let asked = Read { handle: Handle(9), offset: 4096, size: 1 << 20, flags: 0, for_page_cache: true };
    assert_eq!(parsed(&read(9, 1 << 20)), Operation::Read(asked));
    assert_eq!(errno(&read(9, (1 << 20) + 1)), libc::EINVAL);
}

#[test]
fn both_forms_of_copy_file_range_differ_only_in_their_answer() {
    let copy = CopyFileRange {
        handle_in: Handle(1),
        offset_in: 2,
        node_out: Node(3),
        handle_out: Handle(4),
        offset_out: 5,
        len: 1 << 33,
        flags: 0,
        wide: false,
    };
    assert_eq!(parsed(&of(opcode::COPY_FILE_RANGE)), Operation::CopyFileRange(copy));
    assert_eq!(parsed(&of(opcode::COPY_FILE_RANGE_64)), Operation::CopyFileRange(CopyFileRange { wide: true, ..copy }));
}

#[test]
fn a_batch_of_forgets_gives_its_pairs() {
    let bytes = of(opcode::BATCH_FORGET);
    let Operation::BatchForget { entries } = parsed(&bytes) else { panic!("a batch") };
    assert_eq!(ForgetEntries::new(entries).collect::<Vec<_>>(), [(Node(7), 1), (Node(8), 3)]);
    let mut lying = bytes.clone();
    lying[size_of::<InHeader>()] = 3;
    assert_eq!(errno(&lying), libc::EIO);
    lying[size_of::<InHeader>()..][..4].copy_from_slice(&u32::MAX.to_ne_bytes());
    assert_eq!(errno(&lying), libc::EIO);
}

#[test]
fn an_old_short_init_is_read_as_far_as_it_goes() {
    let bytes = of(opcode::INIT);
    let Operation::Init { major: 7, minor: 45, flags, .. } = parsed(&bytes) else { panic!("an init") };
    assert_eq!(flags, 0x7ff_7fff_ffff);
    let mut short = bytes[..size_of::<InHeader>() + 16].to_vec();
    set_len(&mut short);
    assert!(matches!(parsed(&short), Operation::Init { flags: 0x7fff_ffff, .. }));
}

#[test]
fn what_is_not_for_us_is_refused_and_what_is_unknown_too() {
    for code in [opcode::GETLK, opcode::SETLKW, opcode::SETUPMAPPING, opcode::CUSE_INIT, 54, 0, 7, 19, u32::MAX] {
        assert_eq!(parsed(&message(code, 9, 2, &[&[0; 48]])), Operation::Refused { opcode: code });
    }
}

#[test]
fn extensions_behind_the_arguments_are_left_alone() {
    let mut bytes = message(opcode::MKDIR, 9, 1, &[&[0; 8], b"sub\0", &[1; 16]]);
    let at = size_of::<InHeader>() - 4;
    bytes[at..at + 2].copy_from_slice(&2_u16.to_ne_bytes());
    assert_eq!(parsed(&bytes), Operation::Mkdir { name: b"sub", mode: 0, umask: 0 });
    bytes[at..at + 2].copy_from_slice(&u16::MAX.to_ne_bytes());
    assert_eq!(errno(&bytes), libc::EIO);
}

#[test]
fn a_malformed_request_with_a_header_can_be_answered() {
    let whole = write(321, &[0; 64]);
    let cut = &whole[..WRITE_DATA_AT - 1];
    let error = parse(cut, 1).unwrap_err();
    assert_eq!((error.unique, error.opcode, error.errno), (321, opcode::WRITE, Errno(libc::EIO)));
    assert_eq!(parse(&whole[..39], 1).unwrap_err().unique, 0);
}

#[test]
fn every_truncation_of_every_message_is_judged_without_a_panic() {
    for whole in every() {
        for end in 0..whole.len() {
            let mut cut = whole[..end].to_vec();
            assert!(parse(&cut, 1).is_err(), "the header tells the length");
            set_len(&mut cut);
            judge(&cut);
        }
    }
}

/// Makes the header agree with the message, so that the arguments are looked at.
fn set_len(bytes: &mut [u8]) {
    let len = (bytes.len() as u32).to_ne_bytes();
    if let Some(place) = bytes.get_mut(..4) {
        place.copy_from_slice(&len);
    }
}

/// Whatever is understood lies within the message and keeps the promises of its type.
fn judge(bytes: &[u8]) {
    let Ok(request) = parse(bytes, 1) else { return };
    assert!(request.operation.answer_bytes() <= MAX_TRANSFER_BYTES);
    let inside = |part: &[u8]| assert!(part.is_empty() || bytes.as_ptr_range().contains(&part.as_ptr()));
    let component = |name: &[u8]| {
        assert!(!name.is_empty() && !name.contains(&b'/') && !name.contains(&0) && name != b"." && name != b"..");
        inside(name);
    };
    match request.operation {
        Operation::Lookup { name }
        | Operation::Unlink { name }
        | Operation::Rmdir { name }
        | Operation::Mkdir { name, .. }
        | Operation::Mknod { name, .. }
        | Operation::Create { name, .. }
        | Operation::Link { name, .. }
        | Operation::Symlink { name, .. } => component(name),
        Operation::Rename(Rename { name, new_name, .. }) => {
            component(name);
            component(new_name);
        }
        Operation::Write(Write { data, .. }) => {
            assert!(data.len() <= bytes.len() - WRITE_DATA_AT);
            inside(data);
        }
        Operation::BatchForget { entries } => {
            assert_eq!(entries.len() % 16, 0);
            assert_eq!(ForgetEntries::new(entries).count(), entries.len() / 16);
        }
        Operation::Ioctl { input, .. } => inside(input),
        Operation::Setxattr { name, value, .. } => {
            assert!(!name.is_empty() && !name.contains(&0));
            inside(value);
        }
        _ => {}
    }
}

#[derive(Clone, Debug)]
enum Mutation {
    Set(usize, u8),
    Word(usize, u32),
    Cut(usize),
    Grow(Vec<u8>),
    Swap(u32),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let words = prop_oneof![Just(0), Just(1), Just(u32::MAX), Just(1 << 31), Just(1 << 20), any::<u32>()];
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (any::<usize>(), words).prop_map(|(at, word)| Mutation::Word(at, word)),
        any::<usize>().prop_map(Mutation::Cut),
        proptest::collection::vec(any::<u8>(), 1..64).prop_map(Mutation::Grow),
        (0_u32..60).prop_map(Mutation::Swap),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let len = bytes.len().max(1);
    match mutation {
        Mutation::Set(at, byte) => bytes.get_mut(at % len).into_iter().for_each(|place| *place = *byte),
        Mutation::Word(at, word) => {
            let at = at % len / 4 * 4;
            if let Some(place) = bytes.get_mut(at..at + 4) {
                place.copy_from_slice(&word.to_ne_bytes());
            }
        }
        Mutation::Cut(at) => bytes.truncate(at % len),
        Mutation::Grow(more) => bytes.extend_from_slice(more),
        Mutation::Swap(code) => {
            if let Some(place) = bytes.get_mut(4..8) {
                place.copy_from_slice(&code.to_ne_bytes());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_messages_are_understood_within_their_bounds_or_refused(
        which in any::<prop::sample::Index>(),
        mutations in proptest::collection::vec(mutation(), 0..6),
        honest in any::<bool>(),
    ) {
        let all = every();
        let mut bytes = which.get(&all).clone();
        mutations.iter().for_each(|mutation| mutate(&mut bytes, mutation));
        if honest {
            set_len(&mut bytes);
        }
        judge(&bytes);
        if let (Err(error), Ok((header, _))) = (parse(&bytes, 1), InHeader::read_from_prefix(&bytes)) {
            prop_assert_eq!((error.unique, error.opcode), (header.unique, header.opcode));
        }
    }

    #[test]
    fn any_bytes_at_all_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..300), honest in any::<bool>()) {
        let mut bytes = bytes;
        if honest {
            set_len(&mut bytes);
        }
        judge(&bytes);
    }
}
