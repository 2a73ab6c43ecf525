//! Takes a request's arguments one after the other: structs, names, the rest.

use zerocopy::FromBytes;

use super::{INVALID, MALFORMED};
use crate::wire::{Errno, Name};

/// What of the arguments has not been taken yet.
pub struct Arguments<'a> {
    bytes: &'a [u8],
}

impl<'a> Arguments<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Arguments { bytes }
    }

    /// A struct; copied, since a queued request may lie at any alignment.
    pub fn take<T: FromBytes>(&mut self) -> Result<T, Errno> {
        let (value, rest) = T::read_from_prefix(self.bytes).map_err(|_| MALFORMED)?;
        self.bytes = rest;
        Ok(value)
    }

    /// Bytes up to a NUL, which is taken too.
    pub fn string(&mut self) -> Result<&'a [u8], Errno> {
        let end = self.bytes.iter().position(|&byte| byte == 0).ok_or(MALFORMED)?;
        let (string, rest) = self.bytes.split_at(end);
        self.bytes = &rest[1..];
        Ok(string)
    }

    /// One component of a path. `.` and `..` are never sent (no export support) and would leave the directory.
    pub fn name(&mut self) -> Result<Name<'a>, Errno> {
        match self.string()? {
            b"" | b"." | b".." => Err(INVALID),
            name if name.contains(&b'/') => Err(INVALID),
            name => Ok(name),
        }
    }

    /// An extended attribute's name, which may hold a '/'.
    pub fn attribute_name(&mut self) -> Result<Name<'a>, Errno> {
        match self.string()? {
            b"" => Err(INVALID),
            name => Ok(name),
        }
    }

    /// Exactly `len` bytes, and nothing behind them.
    pub fn last(self, len: u32) -> Result<&'a [u8], Errno> {
        if self.bytes.len() == len as usize { Ok(self.bytes) } else { Err(MALFORMED) }
    }

    pub fn rest(self) -> &'a [u8] {
        self.bytes
    }
}
