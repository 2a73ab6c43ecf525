//! A column's different values, each once: pages then hold their codes. Knows no page.

use rustc_hash::FxHashMap;

/// Above it a dictionary saves nothing, and what follows is written without.
const MOST_BYTES: usize = 1 << 20;

/// Numbers or names, in Parquet's encoding PLAIN. A value's code is how many were before it.
#[derive(Default)]
pub(super) struct Dictionary {
    bytes: Vec<u8>,
    count: u32,
    numbers: FxHashMap<i64, u32>,
    texts: FxHashMap<Box<str>, u32>,
}

impl Dictionary {
    /// The code of a number of `bits` (32 or 64) bits.
    pub fn number(&mut self, number: i64, bits: u32) -> u32 {
        let (bytes, count) = (&mut self.bytes, &mut self.count);
        *self.numbers.entry(number).or_insert_with(|| {
            bytes.extend_from_slice(&number.to_le_bytes()[..bits as usize / 8]);
            *count += 1;
            *count - 1
        })
    }

    pub fn text(&mut self, text: &str) -> u32 {
        if let Some(code) = self.texts.get(text) {
            return *code;
        }
        self.bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
        self.texts.insert(text.into(), self.count);
        self.count += 1;
        self.count - 1
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() > MOST_BYTES
    }
}
