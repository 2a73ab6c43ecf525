//! Lines of JSON between two processes of ours over a socket pair. Knows nothing of what they mean.

use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::{Serialize, de::DeserializeOwned};

use crate::sys;

/// A peer that does not read for this long is stuck; waiting longer would hang a person's terminal.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// One end: says `Out`, hears `In`.
pub struct Channel<Out, In> {
    stream: UnixStream,
    heard: Vec<u8>,
    words: PhantomData<fn(Out) -> In>,
}

/// What came of waiting for a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<In> {
    Message(In),
    /// The other end is gone, and everything it said has been heard.
    Closed,
    /// The deadline passed.
    Nothing,
}

pub fn pair<A, B>() -> io::Result<(Channel<A, B>, Channel<B, A>)>
where
    A: Serialize + DeserializeOwned,
    B: Serialize + DeserializeOwned,
{
    let (one, other) = UnixStream::pair()?;
    Ok((Channel::new(one)?, Channel::new(other)?))
}

impl<Out: Serialize, In: DeserializeOwned> Channel<Out, In> {
    fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(Channel { stream, heard: Vec::new(), words: PhantomData })
    }

    pub fn send(&mut self, message: &Out) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.stream.write_all(&line)
    }

    /// Waits for the next message until `deadline`; without one, as long as it takes.
    pub fn hear(&mut self, deadline: Option<Instant>) -> io::Result<Heard<In>> {
        loop {
            if let Some(message) = self.next_line()? {
                return Ok(Heard::Message(message));
            }
            let [ready] = sys::wait_readable([self.as_raw_fd()], deadline);
            if !ready {
                if deadline.is_some_and(|at| Instant::now() >= at) {
                    return Ok(Heard::Nothing);
                }
                continue;
            }
            if !self.take_what_is_there()? {
                return Ok(Heard::Closed);
            }
        }
    }

    /// A message that has arrived already, else nothing.
    pub fn hear_now(&mut self) -> io::Result<Heard<In>> {
        self.hear(Some(Instant::now()))
    }

    /// False: the other end is gone.
    fn take_what_is_there(&mut self) -> io::Result<bool> {
        let mut part = [0; 16 * 1024];
        loop {
            return match self.stream.read(&mut part) {
                Ok(0) => Ok(false),
                Ok(n) => {
                    self.heard.extend_from_slice(&part[..n]);
                    Ok(true)
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                // Killed with our words unread: closed all the same.
                Err(cause) if cause.kind() == io::ErrorKind::ConnectionReset => Ok(false),
                Err(cause) => Err(cause),
            };
        }
    }

    fn next_line(&mut self) -> io::Result<Option<In>> {
        let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let line: Vec<u8> = self.heard.drain(..=end).collect();
        Ok(Some(serde_json::from_slice(&line)?))
    }
}

impl<Out, In> AsRawFd for Channel<Out, In> {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

impl<Out, In> AsFd for Channel<Out, In> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_whole_and_in_order_and_the_end_is_heard_last() {
        let (mut here, mut there) = pair::<String, u32>().unwrap();
        let long = "x".repeat(100_000);
        let sender = std::thread::spawn({
            let long = long.clone();
            move || {
                here.send(&long).unwrap();
                here.send(&"\n".to_owned()).unwrap();
            }
        });
        assert_eq!(there.hear(None).unwrap(), Heard::Message(long));
        assert_eq!(there.hear(None).unwrap(), Heard::Message("\n".to_owned()));
        sender.join().unwrap();
        assert_eq!(there.hear(None).unwrap(), Heard::Closed);
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let (mut here, _there) = pair::<u32, u32>().unwrap();
        assert_eq!(here.hear_now().unwrap(), Heard::Nothing);
    }
}
