//! Calls of 32-bit programs (Linux's i386 numbers on x86-64): which call of the 64-bit table each one is, and how its arguments
//! make that call's. Knows nothing of files; the eBPF program gets the table, and reports the 64-bit call.

use super::calls::CALLS;

/// How the arguments are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    Same,
    /// A 64-bit value in two arguments, the low half first: which is the first of the two.
    Pair(u16),
    /// Two such values, one behind the other.
    Pairs(u16),
    /// _llseek: the high half first, and what it counts from behind a pointer.
    HighFirst,
    /// mmap2: the place in pages.
    Pages,
    /// The old lseek: the place may be negative.
    Signed,
    /// The old mmap: all of them behind a pointer.
    Block,
    /// The old sendfile: the place that is pointed to has 32 bits.
    ShortPlace,
}

/// (its own number, the 64-bit call's, its arguments)
#[cfg(target_arch = "x86_64")]
pub(super) const TABLE: &[(u16, u16, Given)] = {
    use Given::{Block, HighFirst, Pages, Pair, Pairs, Same, ShortPlace, Signed};
    &[
        (3, 0, Same),
        (4, 1, Same),
        (5, 2, Same),
        (6, 3, Same),
        (8, 85, Same),
        (9, 86, Same),
        (10, 87, Same),
        (11, 59, Same),
        (12, 80, Same),
        (14, 133, Same),
        (15, 90, Same),
        (16, 94, Same),
        (18, 4, Same),
        (19, 8, Signed),
        (21, 165, Same),
        (22, 166, Same),
        (28, 5, Same),
        (30, 132, Same),
        (33, 21, Same),
        (38, 82, Same),
        (39, 83, Same),
        (40, 84, Same),
        (41, 32, Same),
        (52, 166, Same),
        (54, 16, Same),
        (55, 72, Same),
        (61, 161, Same),
        (63, 33, Same),
        (83, 88, Same),
        (84, 6, Same),
        (85, 89, Same),
        (90, 9, Block),
        (92, 76, Same),
        (93, 77, Same),
        (94, 91, Same),
        (95, 93, Same),
        (99, 137, Same),
        (100, 138, Same),
        (106, 4, Same),
        (107, 6, Same),
        (108, 5, Same),
        (118, 74, Same),
        (133, 81, Same),
        (140, 8, HighFirst),
        (141, 78, Same),
        (143, 73, Same),
        (144, 26, Same),
        (145, 19, Same),
        (146, 20, Same),
        (148, 75, Same),
        (180, 17, Pair(3)),
        (181, 18, Pair(3)),
        (182, 92, Same),
        (187, 40, ShortPlace),
        (192, 9, Pages),
        (193, 76, Pair(1)),
        (194, 77, Pair(1)),
        (195, 4, Same),
        (196, 6, Same),
        (197, 5, Same),
        (198, 94, Same),
        (207, 93, Same),
        (212, 92, Same),
        (220, 217, Same),
        (221, 72, Same),
        (225, 187, Pair(1)),
        (226, 188, Same),
        (227, 189, Same),
        (228, 190, Same),
        (229, 191, Same),
        (230, 192, Same),
        (231, 193, Same),
        (232, 194, Same),
        (233, 195, Same),
        (234, 196, Same),
        (235, 197, Same),
        (236, 198, Same),
        (237, 199, Same),
        (239, 40, Same),
        (247, 208, Same),
        (248, 209, Same),
        (250, 221, Pair(1)),
        (268, 137, Same),
        (269, 138, Same),
        (271, 235, Same),
        (272, 221, Pairs(1)),
        (292, 254, Same),
        (295, 257, Same),
        (296, 258, Same),
        (297, 259, Same),
        (298, 260, Same),
        (299, 261, Same),
        (300, 262, Same),
        (301, 263, Same),
        (302, 264, Same),
        (303, 265, Same),
        (304, 266, Same),
        (305, 267, Same),
        (306, 268, Same),
        (307, 269, Same),
        (313, 275, Same),
        (314, 277, Pairs(1)),
        (320, 280, Same),
        (324, 285, Pairs(2)),
        (330, 292, Same),
        (333, 295, Pair(3)),
        (334, 296, Pair(3)),
        (341, 303, Same),
        (342, 304, Same),
        (344, 306, Same),
        (353, 316, Same),
        (358, 322, Same),
        (361, 49, Same),
        (362, 42, Same),
        (377, 326, Same),
        (378, 327, Pair(3)),
        (379, 328, Pair(3)),
        (383, 332, Same),
        (385, 333, Same),
        (412, 280, Same),
        (416, 333, Same),
        (428, 428, Same),
        (436, 436, Same),
        (437, 437, Same),
        (439, 439, Same),
        (452, 452, Same),
        (463, 463, Same),
        (464, 464, Same),
        (465, 465, Same),
        (466, 466, Same),
    ]
};

#[cfg(not(target_arch = "x86_64"))]
pub(super) const TABLE: &[(u16, u16, Given)] = &[];

impl Given {
    /// As compat.h there reads it: two bits for the place of a pair, one for a second pair, three for the others.
    fn code(self) -> u16 {
        match self {
            Given::Same => 0,
            Given::Pair(first) => first,
            Given::Pairs(first) => first | 1 << 2,
            Given::HighFirst => 1 << 3,
            Given::Pages => 2 << 3,
            Given::Signed => 3 << 3,
            Given::Block => 4 << 3,
            Given::ShortPlace => 5 << 3,
        }
    }
}

/// By number, for the program: the 64-bit number plus one, 0 if it is none of ours; above it how the arguments are given.
pub(super) fn by_number() -> [u16; CALLS] {
    let mut calls = [0; CALLS];
    TABLE.iter().for_each(|(nr, of_64_bits, given)| calls[usize::from(*nr)] = (of_64_bits + 1) | (given.code() << 10));
    calls
}

#[cfg(test)]
mod tests {
    use super::super::calls;
    use super::*;

    #[test]
    fn each_number_is_there_once_and_stands_for_a_call_of_ours() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let ours = calls::names_by_number();
        assert!(TABLE.iter().all(|(_, of_64_bits, _)| ours[usize::from(*of_64_bits)] != 0));
    }

    #[test]
    fn no_call_of_ours_is_unknown_to_32_bit_programs() {
        let missing = |call: &&calls::Call| !TABLE.iter().any(|(_, of_64_bits, _)| *of_64_bits == call.nr);
        assert_eq!(calls::TABLE.iter().filter(missing).map(|call| call.nr).collect::<Vec<_>>(), [] as [u16; 0]);
    }
}
