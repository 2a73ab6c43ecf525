//! Why there is no eBPF here, in one line; and, if the kernel's verifier does not take a program, the end of its log.

use std::error::Error;
use std::io;

use aya::programs::ProgramError;

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("this architecture has no table of system calls yet")]
    Architecture,
    #[error("the kernel's types cannot be read: /sys/kernel/btf/vmlinux: {0}")]
    Types(String),
    #[error("the kernel does not take the eBPF program: {0}")]
    Refused(String),
    #[error("the kernel's verifier does not take the eBPF program {program}: {verdict} ({cause})")]
    Verifier { program: &'static str, verdict: String, cause: io::Error, log: String },
    #[error("this kernel has no tracepoint {0}")]
    NoTracepoint(&'static str),
    #[error("the rings cannot be mapped: {0}")]
    Map(io::Error),
    #[error("two of the mounts cannot be told apart: device {0:#x}")]
    Mounts(u32),
}

/// Of a verifier's log: the program's last steps, with the registers that led to the verdict. All of it has megabytes.
const LOG_LINES: usize = 80;

impl Failure {
    /// `program` could not be loaded.
    pub(super) fn load(program: &'static str, error: ProgramError) -> Failure {
        match error {
            ProgramError::LoadError { io_error: cause, verifier_log } => {
                let log = verifier_log.to_string();
                Failure::Verifier { program, verdict: verdict(&log).to_owned(), cause, log }
            }
            other => Failure::refused(other),
        }
    }

    pub(super) fn refused(cause: impl Error) -> Failure {
        let mut text = cause.to_string();
        let mut next = cause.source();
        while let Some(below) = next {
            text = format!("{text}: {below}");
            next = below.source();
        }
        Failure::Refused(text)
    }

    /// The end of the verifier's log, whole lines; how many there were before.
    pub fn log(&self) -> Vec<String> {
        let Failure::Verifier { log, .. } = self else { return Vec::new() };
        let lines: Vec<&str> = log.lines().collect();
        let left_out = lines.len().saturating_sub(LOG_LINES);
        let head = (left_out > 0).then(|| format!("({left_out} lines before these)"));
        head.into_iter().chain(lines[left_out..].iter().map(|line| (*line).to_owned())).collect()
    }
}

/// What the verifier complains of: the last line before its statistics.
fn verdict(log: &str) -> &str {
    const STATISTICS: [&str; 4] = ["processed ", "verification time ", "stack depth ", "max_states_per_insn "];
    let is_said = |line: &&str| !line.is_empty() && !STATISTICS.iter().any(|start| line.starts_with(start));
    log.lines().map(str::trim).rfind(is_said).unwrap_or("it says nothing")
}

#[cfg(test)]
mod tests {
    use aya_obj::VerifierLog;

    use super::*;

    fn refused(log: String) -> Failure {
        let io_error = io::Error::from_raw_os_error(libc::EACCES);
        Failure::load("call_begins", ProgramError::LoadError { io_error, verifier_log: VerifierLog::new(log) })
    }

    #[test]
    fn a_long_log_ends_in_whole_lines_and_its_verdict_is_said_first() {
        let steps: Vec<String> =
            (0..5000).map(|step| format!("{step}: (bf) r1 = r2 ; R1=scalar() R2=scalar()")).collect();
        let end = "R1 invalid mem access 'scalar'\nverification time 57 usec\nstack depth 160\nprocessed 5000 insns\n";
        let failure = refused(format!("{}\n{end}", steps.join("\n")));
        let told = failure.to_string();
        assert!(told.contains("call_begins: R1 invalid mem access 'scalar' (Permission denied"), "{told}");
        assert!(!told.contains('\n'));
        let lines = failure.log();
        assert_eq!(lines[0], format!("({} lines before these)", 5004 - LOG_LINES));
        assert_eq!(lines.len(), LOG_LINES + 1);
        assert_eq!(lines[LOG_LINES - 4], steps[4999]);
        assert!(end.lines().eq(lines[LOG_LINES - 3..].iter()));
    }

    #[test]
    fn a_short_log_is_there_whole_and_none_is_said_too() {
        assert_eq!(refused("one\ntwo\n".into()).log(), ["one", "two"]);
        let silent = refused(String::new());
        assert!(silent.log().is_empty() && silent.to_string().contains("it says nothing"));
    }
}
