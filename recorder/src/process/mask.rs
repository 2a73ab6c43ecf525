//! Secrets on command lines, made `***` before they reach a trace. By the words people use, in the forms programs take:
//! `--password X`, `--password=X`, `PASSWORD=X`, `"password": X`, `Authorization: X`, `PASSWORD 'X'`, `-u user:X` and
//! `scheme://user:X@host`. Not `-pX`: it cannot be told from any other short option. When in doubt it hides too much.

/// Any name that contains one of these is the name of a secret.
const WORDS: [&[u8]; 9] =
    [b"password", b"passwd", b"passphrase", b"pwd", b"token", b"secret", b"credential", b"authorization", b"bearer"];

/// These only at a name's end: `api_key` names a secret, `key_size` does not.
const LAST_WORDS: [&[u8]; 2] = [b"key", b"keys"];

/// What a name may end in without being a secret's.
const HARMLESS_ENDS: [&[u8]; 4] = [b"file", b"path", b"stdin", b"prompt"];

/// Options whose value is `user:secret`.
const USER_OPTIONS: [&[u8]; 3] = [b"-u", b"--user", b"--proxy-user"];

const HIDDEN: &[u8] = b"***";

/// The arguments of `/proc/PID/cmdline` (each ended by a NUL), joined by spaces, without their secrets.
pub fn mask(cmdline: &[u8]) -> Vec<u8> {
    // Titles are written over the arguments and padded with NULs.
    let end = cmdline.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    mask_arguments(cmdline[..end].split(|byte| *byte == 0)).join(&b' ')
}

/// Arguments without their secrets: one of them may announce what the next one is.
pub fn mask_arguments<'a>(arguments: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut awaited = None;
    let mut is_script = false;
    let mask_next = |argument: &'a [u8]| {
        let mut masked = Vec::with_capacity(argument.len());
        awaited = match awaited {
            Some(secret) => {
                hide(argument, secret, &mut masked);
                None
            }
            None => Scanner { argument, at: 0, is_script, masked: &mut masked }.scan(),
        };
        is_script = introduces_script(argument);
        masked
    };
    arguments.map(mask_next).collect()
}

/// `sh -c`, `bash -lc`: what follows is many words, each of its own kind.
fn introduces_script(argument: &[u8]) -> bool {
    matches!(argument, [b'-', letters @ .., b'c'] if letters.iter().all(u8::is_ascii_alphabetic))
}

/// How much of a value is secret.
#[derive(Clone, Copy)]
enum Secret {
    Whole,
    /// What follows the user's name and a colon.
    BehindColon,
}

fn hide(value: &[u8], secret: Secret, masked: &mut Vec<u8>) {
    let colon = value.iter().position(|byte| *byte == b':');
    match (secret, colon) {
        (Secret::Whole, _) => masked.extend_from_slice(HIDDEN),
        // `-u 1000:1000` is a user and a group.
        (Secret::BehindColon, Some(colon)) if !value[colon + 1..].iter().all(u8::is_ascii_digit) => {
            masked.extend_from_slice(&value[..=colon]);
            masked.extend_from_slice(HIDDEN);
        }
        (Secret::BehindColon, _) => masked.extend_from_slice(value),
    }
}

/// What a word says about what follows.
enum Word {
    Plain,
    /// It names a secret and has a separator; the value begins at this place of the word, or behind it.
    Assignment(usize),
    /// An option whose value is the next word.
    Option(Secret),
    /// The bare name: a value follows only behind a separator or in quotes.
    Name,
}

/// Walks through one argument, word by word.
struct Scanner<'a> {
    argument: &'a [u8],
    at: usize,
    is_script: bool,
    masked: &'a mut Vec<u8>,
}

impl<'a> Scanner<'a> {
    /// What of the next argument is to be hidden, if a value was announced and did not come.
    fn scan(mut self) -> Option<Secret> {
        loop {
            self.copy_spaces();
            if self.rest().is_empty() {
                return None;
            }
            let awaited = self.word();
            if awaited.is_some() {
                return awaited;
            }
        }
    }

    fn rest(&self) -> &'a [u8] {
        &self.argument[self.at..]
    }

    fn copy(&mut self, length: usize) {
        self.masked.extend_from_slice(&self.argument[self.at..self.at + length]);
        self.at += length;
    }

    fn copy_spaces(&mut self) {
        self.copy(self.rest().iter().take_while(|byte| byte.is_ascii_whitespace()).count());
    }

    fn word(&mut self) -> Option<Secret> {
        let word = &self.rest()[..self.rest().iter().take_while(|byte| !byte.is_ascii_whitespace()).count()];
        match classify(word) {
            Word::Plain => {
                hide_in_urls(word, self.masked);
                self.at += word.len();
                None
            }
            Word::Assignment(offset) => self.assignment(word, offset),
            Word::Option(secret) => {
                self.copy(word.len());
                self.value(secret)
            }
            Word::Name => {
                self.copy(word.len());
                self.named_value()
            }
        }
    }

    fn assignment(&mut self, word: &[u8], offset: usize) -> Option<Secret> {
        // An argument that begins as an assignment is one as a whole, spaces and all; so is a header.
        let is_whole = (self.at == 0 && !self.is_script) || (offset == word.len() && word.ends_with(b":"));
        hide_in_urls(&word[..offset], self.masked);
        self.at += offset;
        let quote = word.first().copied().filter(|first| is_quote(*first) && offset > 1);
        let length = match quote {
            Some(quote) => self.rest().iter().position(|byte| *byte == quote).unwrap_or(self.rest().len()),
            None if is_whole => self.rest().len(),
            None => return self.value(Secret::Whole),
        };
        if self.rest().is_empty() {
            return Some(Secret::Whole);
        }
        self.hide(length, Secret::Whole);
        None
    }

    /// `password = X`, `PASSWORD 'X'`; but not `token` as a word of a sentence.
    fn named_value(&mut self) -> Option<Secret> {
        let spaces = self.rest().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        match self.rest().get(spaces) {
            Some(b'=' | b':') => {
                self.copy(spaces + 1);
                self.value(Secret::Whole)
            }
            Some(first) if is_quote(*first) => self.value(Secret::Whole),
            _ => None,
        }
    }

    /// The next word is a value; or the next argument.
    fn value(&mut self, secret: Secret) -> Option<Secret> {
        self.copy_spaces();
        if self.rest().is_empty() {
            return Some(secret);
        }
        self.hide(shell_word_length(self.rest()), secret);
        None
    }

    fn hide(&mut self, length: usize, secret: Secret) {
        hide(&self.rest()[..length], secret, self.masked);
        self.at += length;
    }
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

/// Up to the first space outside quotes, as a shell would read it.
fn shell_word_length(text: &[u8]) -> usize {
    let mut quote = None;
    let mut is_escaped = false;
    for (place, byte) in text.iter().copied().enumerate() {
        match quote {
            _ if is_escaped => is_escaped = false,
            _ if byte == b'\\' => is_escaped = true,
            None if is_quote(byte) => quote = Some(byte),
            None if byte.is_ascii_whitespace() => return place,
            Some(open) if byte == open => quote = None,
            _ => {}
        }
    }
    text.len()
}

fn classify(word: &[u8]) -> Word {
    if USER_OPTIONS.contains(&word) {
        return Word::Option(Secret::BehindColon);
    }
    let lower = word.to_ascii_lowercase();
    let separators = lower.iter().enumerate().filter(|(_, byte)| matches!(byte, b'=' | b':'));
    for (place, _) in separators {
        let is_scheme = lower[place..].starts_with(b"://");
        if !is_scheme && names_secret(name_before(&lower[..place])) {
            return Word::Assignment(place + 1);
        }
    }
    let name = lower.trim_ascii_start();
    if name.starts_with(b"-") && !name.starts_with(b"--no-") && names_secret(name) {
        return Word::Option(Secret::Whole);
    }
    let bare = name_before(&lower);
    if bare.len() + 2 >= lower.len() && (WORDS.contains(&bare) || LAST_WORDS.contains(&bare)) {
        return Word::Name;
    }
    Word::Plain
}

/// The name that ends where `text` ends, less quotes and brackets: `{"my-token"` gives `my-token`.
fn name_before(text: &[u8]) -> &[u8] {
    let closers = text.iter().rev().take_while(|byte| b"\"'])}".contains(byte)).count();
    let text = &text[..text.len() - closers];
    let length = text.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte)).count();
    &text[text.len() - length..]
}

/// `name` in lower case.
fn names_secret(name: &[u8]) -> bool {
    let contains = |word: &&[u8]| name.windows(word.len()).any(|window| window == *word);
    !HARMLESS_ENDS.iter().any(|end| name.ends_with(end))
        && (WORDS.iter().any(contains) || LAST_WORDS.iter().any(|word| name.ends_with(word)))
}

/// `scheme://user:X@host`, as often as it stands in the word.
fn hide_in_urls(word: &[u8], masked: &mut Vec<u8>) {
    let mut rest = word;
    while let Some(scheme) = rest.windows(3).position(|window| window == b"://") {
        let (before, authority) = rest.split_at(scheme + 3);
        masked.extend_from_slice(before);
        let end = authority.windows(3).position(|window| window == b"://").unwrap_or(authority.len());
        rest = authority;
        if let Some((user, behind)) = user_and_secret(&authority[..end]) {
            masked.extend_from_slice(&authority[..user]);
            masked.extend_from_slice(HIDDEN);
            rest = &authority[behind..];
        }
    }
    masked.extend_from_slice(rest);
}

/// Where the secret of `user:X@host/path` begins and ends. A slash may be a bad part of the secret, unless what precedes
/// it is a port.
fn user_and_secret(url: &[u8]) -> Option<(usize, usize)> {
    let colon = url.iter().position(|byte| matches!(byte, b':' | b'/')).filter(|place| url[*place] == b':')?;
    let at = url.iter().rposition(|byte| *byte == b'@').filter(|at| *at > colon)?;
    let inside = &url[colon + 1..at];
    let slash = inside.iter().position(|byte| *byte == b'/');
    let is_port = slash.is_some_and(|slash| inside[..slash].iter().all(u8::is_ascii_digit));
    (!is_port).then_some((colon + 1, at))
}

#[cfg(test)]
mod tests;
