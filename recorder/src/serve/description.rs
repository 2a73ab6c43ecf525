//! What trace.json says of a recording and of its command. Knows no requests.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use glassfs_recorder::event::escape;
use glassfs_recorder::process::mask_arguments;
use glassfs_recorder::trace::{self, About};

use super::{Settings, Traced};
use crate::mount::source::Note;
use crate::{run, sys};

fn text(path: &Path) -> String {
    escape(path.as_os_str().as_bytes())
}

pub fn about(settings: &Settings) -> About {
    let name = settings.trace.file_name().unwrap_or(settings.trace.as_os_str());
    let mut about = About::new(escape(name.as_bytes()));
    about.plane = settings.choice.plane.word().into();
    about.plane_reason = settings.choice.reason.clone();
    about.mode = if settings.exact { "exact" } else { "default" }.into();
    about.mounts = settings.traced.iter().enumerate().map(|(number, traced)| mount(number as u32, traced)).collect();
    about.command = settings.command.clone();
    about.notes = settings.notes.iter().chain(&settings.choice.note_of_failure()).map(note).collect();
    about
}

fn mount(connection: u32, traced: &Traced) -> trace::Mount {
    trace::Mount {
        connection,
        source: text(&traced.source.path),
        mount_point: text(&traced.mount_point),
        fs_type: traced.source.fs_type.clone(),
        dev: 0,
        private: traced.is_private,
    }
}

pub fn note(note: &Note) -> trace::Note {
    let as_text = |path: &Option<PathBuf>| path.as_deref().map(text);
    trace::Note {
        kind: note.kind.into(),
        text: note.text.clone(),
        path: as_text(&note.path),
        target: as_text(&note.target),
    }
}

/// What is known of a command before it runs.
pub fn command(arguments: &[OsString], cwd: &Path) -> trace::Command {
    trace::Command {
        argv: mask_arguments(arguments.iter().map(|argument| argument.as_bytes()))
            .iter()
            .map(|it| escape(it))
            .collect(),
        cwd: text(cwd),
        uid: sys::effective_ids().0,
        ..trace::Command::default()
    }
}

/// What is known when it has ended.
pub fn complete(command: &mut trace::Command, facts: run::Facts) {
    command.end_ns = Some(facts.end_ns);
    command.exit_status = facts.exit_status;
    command.signal = facts.signal;
    command.read_bytes = facts.read_bytes;
    command.written_bytes = facts.written_bytes;
    command.io_uring = facts.io_uring;
    command.mapped = facts.mapped;
    let elsewhere = facts.open_elsewhere.into_iter();
    command.open_elsewhere = elsewhere
        .map(|file| trace::OpenElsewhere { path: file.path, directory: file.directory, samples: file.samples })
        .collect();
    let remaining = facts.remaining.into_iter();
    command.remaining =
        remaining.map(|process| trace::Remaining { pid: process.pid as u32, comm: process.comm }).collect();
}
