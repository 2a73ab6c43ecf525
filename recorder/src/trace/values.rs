//! How a column of events becomes pages: as differences, through a dictionary, or what is new at the end of names. Made for rows
//! that already say which of them share what, so that no value is looked up for each row. Knows no column by name.

use parquet::basic::{Encoding, Type};

use super::dictionary::Dictionary;
use super::packing::{differences, ends, run, runs, width_of};
use super::segment::{Row, Segment};

/// Of a column: what it holds, and whether a row may have none.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub kind: Type,
    pub optional: bool,
}

impl Shape {
    /// Of its numbers.
    fn bits(self) -> u32 {
        if self.kind == Type::INT32 { 32 } else { 64 }
    }
}

/// Some rows of a segment, in order of start.
pub(super) struct Part<'a> {
    pub segment: &'a Segment,
    order: &'a [u32],
    /// Bits of `has` that all of them have, and that any of them has.
    all: u16,
    any: u16,
}

impl<'a> Part<'a> {
    pub fn new(segment: &'a Segment, order: &'a [u32]) -> Part<'a> {
        let mut part = Part { segment, order, all: u16::MAX, any: 0 };
        let each = |(all, any): (u16, u16), row: &Row| (all & row.has, any | row.has);
        (part.all, part.any) = part.rows().fold((part.all, part.any), each);
        part
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    fn rows(&self) -> impl ExactSizeIterator<Item = &Row> {
        let rows = self.segment.rows();
        self.order.iter().map(move |&at| &rows[at as usize])
    }
}

/// Which rows of a page have a value.
#[derive(Default)]
enum Present {
    #[default]
    All,
    None,
    /// 1 for each row that has one, 0 for others.
    Some(Vec<u32>),
}

/// A page's body while it is made, and what is reused for the next.
#[derive(Default)]
pub(super) struct Desk {
    pub body: Vec<u8>,
    present: Present,
    numbers: Vec<i64>,
    codes: Vec<u32>,
}

impl Desk {
    /// The numbers of the rows that have this bit of `has`; 0: all have.
    fn gather(&mut self, part: &Part, bit: u16, number: impl Fn(&Row) -> i64) {
        self.numbers.clear();
        if part.all & bit == bit {
            self.present = Present::All;
            self.numbers.extend(part.rows().map(number));
        } else if part.any & bit == 0 {
            self.present = Present::None;
        } else {
            self.present = Present::Some(part.rows().map(|row| u32::from(row.has & bit != 0)).collect());
            self.numbers.extend(part.rows().filter(|row| row.has & bit != 0).map(number));
        }
    }

    /// Begins a body with which rows have a value.
    fn begin(&mut self, shape: Shape, rows: usize) {
        self.body.clear();
        if shape.optional {
            self.body.extend_from_slice(&[0; 4]);
            match &self.present {
                Present::All => run(&mut self.body, 1, 1, rows),
                Present::None => run(&mut self.body, 1, 0, rows),
                Present::Some(levels) => runs(&mut self.body, 1, levels),
            }
            let bytes = self.body.len() as u32 - 4;
            self.body[..4].copy_from_slice(&bytes.to_le_bytes());
        }
    }

    fn put_width(&mut self, dictionary: &Dictionary) -> u32 {
        let width = width_of(u64::from(dictionary.count().saturating_sub(1)));
        self.body.push(width as u8);
        width
    }

    fn put_codes(&mut self, dictionary: &Dictionary) -> Encoding {
        let width = self.put_width(dictionary);
        runs(&mut self.body, width, &self.codes);
        Encoding::RLE_DICTIONARY
    }

    fn put_differences(&mut self, shape: Shape) -> Encoding {
        differences(&mut self.body, shape.bits(), &self.numbers);
        Encoding::DELTA_BINARY_PACKED
    }
}

/// One column of a segment's events.
pub(super) trait Values {
    /// Puts the body of a page into `desk` and says how it is encoded.
    fn page(&mut self, part: &Part, desk: &mut Desk, shape: Shape) -> Encoding;

    fn dictionary(&self) -> Option<&Dictionary> {
        None
    }

    /// The least and the greatest, where readers skip whole files by them.
    fn range(&self) -> Option<(i64, i64)> {
        None
    }
}

/// Numbers that grow, wander, or mostly are the one before, of rows that have a bit of `has` (0: of all).
pub(super) struct Differences<F> {
    bit: u16,
    number: F,
    range: Option<(i64, i64)>,
}

impl<F: Fn(&Row) -> i64> Differences<F> {
    pub fn of(bit: u16, number: F) -> Box<Differences<F>> {
        Box::new(Differences { bit, number, range: None })
    }

    pub fn with_range(number: F) -> Box<Differences<F>> {
        Box::new(Differences { bit: 0, number, range: Some((i64::MAX, i64::MIN)) })
    }
}

impl<F: Fn(&Row) -> i64> Values for Differences<F> {
    fn page(&mut self, part: &Part, desk: &mut Desk, shape: Shape) -> Encoding {
        desk.gather(part, self.bit, &self.number);
        if let Some((least, most)) = &mut self.range {
            desk.numbers.iter().for_each(|number| (*least, *most) = ((*least).min(*number), (*most).max(*number)));
        }
        desk.begin(shape, part.len());
        desk.put_differences(shape)
    }

    fn range(&self) -> Option<(i64, i64)> {
        self.range
    }
}

/// Numbers of which a few come again and again.
pub(super) struct Repeated<F> {
    bit: u16,
    number: F,
    last: Option<(i64, u32)>,
    dictionary: Dictionary,
}

impl<F: Fn(&Row) -> i64> Repeated<F> {
    pub fn of(bit: u16, number: F) -> Box<Repeated<F>> {
        Box::new(Repeated { bit, number, last: None, dictionary: Dictionary::default() })
    }

    fn code(&mut self, number: i64, shape: Shape) -> u32 {
        if let Some((last, code)) = self.last
            && last == number
        {
            return code;
        }
        let code = self.dictionary.number(number, shape.bits());
        self.last = Some((number, code));
        code
    }
}

impl<F: Fn(&Row) -> i64> Values for Repeated<F> {
    fn page(&mut self, part: &Part, desk: &mut Desk, shape: Shape) -> Encoding {
        desk.gather(part, self.bit, &self.number);
        desk.begin(shape, part.len());
        if self.dictionary.is_full() {
            return desk.put_differences(shape);
        }
        desk.codes.clear();
        desk.codes.extend(desk.numbers.iter().map(|number| self.code(*number, shape)));
        desk.put_codes(&self.dictionary)
    }

    fn dictionary(&self) -> Option<&Dictionary> {
        Some(&self.dictionary)
    }
}

/// One of what is shared.
pub(super) enum Value<'a> {
    Number(i64),
    Text(&'a str),
}

/// What many rows share, by its place in a list of such things.
pub(super) struct Shared<P, V> {
    place: P,
    value: V,
    /// By place: NEW until somebody asks, then its code, or NONE if it has no value.
    codes: Vec<u32>,
    dictionary: Dictionary,
}

const NEW: u32 = u32::MAX;
const NONE: u32 = u32::MAX - 1;

impl<P, V> Shared<P, V>
where
    P: Fn(&Row) -> usize,
    V: for<'a> Fn(&'a Segment, usize) -> Option<Value<'a>>,
{
    pub fn of(place: P, value: V) -> Box<Shared<P, V>> {
        Box::new(Shared { place, value, codes: Vec::new(), dictionary: Dictionary::default() })
    }

    fn code(&mut self, segment: &Segment, place: usize, shape: Shape) -> u32 {
        if place >= self.codes.len() {
            self.codes.resize(place + 1, NEW);
        }
        let code = &mut self.codes[place];
        if *code == NEW {
            *code = match (self.value)(segment, place) {
                Some(Value::Number(number)) => self.dictionary.number(number, shape.bits()),
                Some(Value::Text(text)) => self.dictionary.text(text),
                None => NONE,
            };
        }
        *code
    }

    /// Many rows in a row are about one file, and by one thread.
    fn page_of_one(&mut self, part: &Part, desk: &mut Desk, shape: Shape, place: usize) -> Encoding {
        let code = self.code(part.segment, place, shape);
        desk.present = if code == NONE { Present::None } else { Present::All };
        desk.begin(shape, part.len());
        let width = desk.put_width(&self.dictionary);
        if code != NONE {
            run(&mut desk.body, width, code, part.len());
        }
        Encoding::RLE_DICTIONARY
    }

    fn page_of_many(&mut self, part: &Part, desk: &mut Desk, shape: Shape) -> Encoding {
        desk.codes.clear();
        let mut missing = false;
        desk.codes.extend(part.rows().map(|row| {
            let code = self.code(part.segment, (self.place)(row), shape);
            missing |= code == NONE;
            code
        }));
        desk.present = Present::All;
        if missing {
            desk.present = Present::Some(desk.codes.iter().map(|code| u32::from(*code != NONE)).collect());
            desk.codes.retain(|code| *code != NONE);
        }
        desk.begin(shape, part.len());
        desk.put_codes(&self.dictionary)
    }

    fn page_without_dictionary(&self, part: &Part, desk: &mut Desk, shape: Shape) -> Encoding {
        let value = |row: &Row| (self.value)(part.segment, (self.place)(row));
        desk.present = Present::Some(part.rows().map(|row| u32::from(value(row).is_some())).collect());
        desk.numbers.clear();
        let mut texts = Vec::new();
        part.rows().filter_map(value).for_each(|value| match value {
            Value::Number(number) => desk.numbers.push(number),
            Value::Text(text) => texts.push(text),
        });
        desk.begin(shape, part.len());
        if shape.kind != Type::BYTE_ARRAY {
            return desk.put_differences(shape);
        }
        ends(&mut desk.body, &texts);
        Encoding::DELTA_BYTE_ARRAY
    }
}

impl<P, V> Values for Shared<P, V>
where
    P: Fn(&Row) -> usize,
    V: for<'a> Fn(&'a Segment, usize) -> Option<Value<'a>>,
{
    fn page(&mut self, part: &Part, desk: &mut Desk, shape: Shape) -> Encoding {
        if self.dictionary.is_full() {
            return self.page_without_dictionary(part, desk, shape);
        }
        let mut places = part.rows().map(&self.place);
        let first = places.next().unwrap_or_default();
        match places.all(|place| place == first) {
            true => self.page_of_one(part, desk, shape, first),
            false => self.page_of_many(part, desk, shape),
        }
    }

    fn dictionary(&self) -> Option<&Dictionary> {
        Some(&self.dictionary)
    }
}
