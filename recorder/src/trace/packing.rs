//! Numbers as Parquet packs them: runs and groups of bits for what repeats, differences for what grows
//! (<https://parquet.apache.org/docs/file-format/data-pages/encodings/>). Knows no column and no file.

/// Seven bits a byte, the lowest first.
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small numbers of either sign become small numbers.
fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// How many bits hold everything up to `most`.
pub(super) fn width_of(most: u64) -> u32 {
    u64::BITS - most.leading_zeros()
}

/// `width` bits of each value, the lowest first; the last byte is filled with zeros.
fn pack(out: &mut Vec<u8>, width: u32, values: impl Iterator<Item = u64>) {
    if width == 0 {
        return;
    }
    let (mut bits, mut held) = (0_u64, 0);
    for value in values {
        bits |= value << held;
        held += width;
        if held >= u64::BITS {
            out.extend_from_slice(&bits.to_le_bytes());
            held -= u64::BITS;
            bits = if held == 0 { 0 } else { value >> (width - held) };
        }
    }
    out.extend_from_slice(&bits.to_le_bytes()[..held.div_ceil(8) as usize]);
}

/// Groups of bits hold a multiple of eight values.
const GROUP: usize = 8;

/// The encoding RLE: a value that comes eight times or more as its number of times, others `width` bits each.
pub(super) fn runs(out: &mut Vec<u8>, width: u32, values: &[u32]) {
    let (mut at, mut literal) = (0, 0);
    while at < values.len() {
        let length = values[at..].iter().take_while(|value| **value == values[at]).count();
        // Of the run, what completes the group before it.
        let lead = (at - literal).next_multiple_of(GROUP) - (at - literal);
        if length >= lead + GROUP {
            groups(out, width, &values[literal..at + lead]);
            run(out, width, values[at], length - lead);
            literal = at + length;
        }
        at += length;
    }
    groups(out, width, &values[literal..]);
}

/// One value, `count` times.
pub(super) fn run(out: &mut Vec<u8>, width: u32, value: u32, count: usize) {
    varint(out, (count as u64) << 1);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

fn groups(out: &mut Vec<u8>, width: u32, values: &[u32]) {
    if values.is_empty() {
        return;
    }
    let filled = values.len().next_multiple_of(GROUP);
    varint(out, (filled / GROUP) as u64 * 2 + 1);
    let end = out.len() + filled * width as usize / 8;
    pack(out, width, values.iter().map(|value| u64::from(*value)));
    out.resize(end, 0);
}

/// Differences are kept in blocks, and within them in parts of equal width.
const BLOCK: usize = 128;
const PART: usize = 32;

/// The encoding DELTA_BINARY_PACKED of numbers of `bits` (32 or 64) bits.
pub(super) fn differences(out: &mut Vec<u8>, bits: u32, values: &[i64]) {
    varint(out, BLOCK as u64);
    varint(out, (BLOCK / PART) as u64);
    varint(out, values.len() as u64);
    varint(out, zigzag(values.first().copied().unwrap_or(0)));
    let mut before = values.first().copied().unwrap_or(0);
    for block in values.get(1..).unwrap_or_default().chunks(BLOCK) {
        let mut steps = [0; BLOCK];
        let (mut least, mut most) = (i64::MAX, i64::MIN);
        for (step, value) in steps.iter_mut().zip(block) {
            let wide = value.wrapping_sub(before);
            // 32 bits wrap as 32 bits.
            *step = if bits == 32 { i64::from(wide as i32) } else { wide };
            (least, most) = (least.min(*step), most.max(*step));
            before = *value;
        }
        varint(out, zigzag(least));
        if least == most {
            out.extend_from_slice(&[0; BLOCK / PART]);
        } else {
            packed_block(out, &mut steps, block.len(), least);
        }
    }
}

/// `count` of `steps`, as what each has above the `least`.
fn packed_block(out: &mut Vec<u8>, steps: &mut [i64; BLOCK], count: usize, least: i64) {
    steps[..count].iter_mut().for_each(|step| *step = step.wrapping_sub(least));
    let parts = steps.chunks(PART);
    let widths = parts.clone().map(|part| width_of(part.iter().fold(0, |bits, step| bits | *step as u64)));
    out.extend(widths.clone().map(|width| width as u8));
    // A part that has begun is written whole, one that has not has no width.
    parts.zip(widths).for_each(|(part, width)| pack(out, width, part.iter().map(|step| *step as u64)));
}

/// The encoding DELTA_BYTE_ARRAY: of each name how much it shares with the one before, and how it ends.
pub(super) fn ends(out: &mut Vec<u8>, names: &[&str]) {
    let (mut shared, mut rest, mut tails) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = "";
    for name in names {
        let same = name.bytes().zip(before.bytes()).take_while(|(one, other)| one == other).count();
        shared.push(same as i64);
        rest.push((name.len() - same) as i64);
        tails.extend_from_slice(&name.as_bytes()[same..]);
        before = name;
    }
    differences(out, 32, &shared);
    differences(out, 32, &rest);
    out.extend_from_slice(&tails);
}
