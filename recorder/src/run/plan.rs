//! Everything that is decided and checked before a process is started: which directories, which way to cover them,
//! what has to be said. Mounts nothing.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::{command, namespace};
use crate::cli::RunOptions;
use crate::error::Error;
use crate::mount::source::{Note, Source};
use crate::mount::{fuse, fusermount, place, point};
use crate::plane::{self, Choice};

/// Connections of one recorder, which numbers them in a byte.
const MAX_DIRECTORIES: usize = 255;

/// How the view comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A private mount namespace in which we mount ourselves.
    Root,
    /// fusermount3 out of sight, then a user namespace in which it is bound over the directory.
    UserNamespace,
    /// fusermount3 over the directory itself, for all of this user's processes to see.
    InPlace,
}

pub struct Plan {
    pub way: Way,
    pub trace: PathBuf,
    pub exact: bool,
    pub choice: Choice,
    pub sources: Vec<Source>,
    /// Where the command is to start, if that lies in a traced directory.
    pub directory: Option<PathBuf>,
    pub arguments: Vec<OsString>,
    pub notes: Vec<Note>,
}

impl Plan {
    pub fn make(options: RunOptions) -> Result<Plan, Error> {
        command::check_exists(&options.command[0])?;
        fuse::open_device()?;
        let here = std::env::current_dir();
        let mut notes = Vec::new();
        let sources = sources(options.directories, &mut notes)?;
        let trees: Vec<_> = sources.iter().map(|source| (source.path.as_path(), source.identity)).collect();
        point::trace_lies_outside(&options.trace, &trees)?;
        let trace =
            std::path::absolute(&options.trace).map_err(|cause| Error::system("no such place", "--trace", cause))?;
        let directory = here.ok().filter(|here| sources.iter().any(|source| here.starts_with(&source.path)));
        let choice = plane::choose(options.plane, &sources)?;
        let (exact, arguments) = (options.exact, options.command);
        let mut plan = Plan { way: Way::Root, trace, exact, choice, sources, directory, arguments, notes };
        plan.choose_way()?;
        for source in &plan.sources {
            plan.notes.extend(source.look_around()?);
        }
        plan.prepare_nested();
        Ok(plan)
    }

    fn choose_way(&mut self) -> Result<(), Error> {
        if fuse::may_mount() {
            return Ok(());
        }
        if fusermount::find().is_none() {
            return Err(Error::NoFusermount);
        }
        let probe = &self.sources[0].path;
        match namespace::user_namespaces_work(probe) {
            Ok(()) => self.way = Way::UserNamespace,
            Err(cause) => {
                self.way = Way::InPlace;
                let text = format!(
                    "user namespaces are not allowed here ({cause}): the traced view is not private; other processes of yours use it too while the command runs"
                );
                self.notes.push(Note::new("in place", text, probe));
            }
        }
        Ok(())
    }

    /// Root puts nested mounts back over the view. For that the recorder must see the directory without them.
    fn prepare_nested(&mut self) {
        for source in self.sources.iter_mut().filter(|source| !source.nested.is_empty()) {
            let bare = (self.way == Way::Root).then(|| namespace::without_nested_mounts(&source.path).ok()).flatten();
            let stays = bare.is_some();
            self.notes.extend(source.nested.iter().map(|point| nested_note(point, stays)));
            match bare {
                Some(fd) => source.fd = fd,
                None => source.nested.clear(),
            }
        }
    }
}

fn nested_note(point: &Path, stays: bool) -> Note {
    let text = if stays {
        format!(
            "{} is a mount of its own: it stays as it is, and is not traced (add -d {})",
            point.display(),
            point.display()
        )
    } else {
        format!(
            "{} is a mount of its own: the command cannot enter it (EXDEV); add -d {}",
            point.display(),
            point.display()
        )
    };
    Note::new("nested mount", text, point)
}

/// Opened in the order given; one that lies in another is covered by it.
fn sources(directories: Vec<PathBuf>, notes: &mut Vec<Note>) -> Result<Vec<Source>, Error> {
    let directories = if directories.is_empty() { vec![PathBuf::from(".")] } else { directories };
    if directories.len() > MAX_DIRECTORIES {
        return Err(Error::TooManyDirectories { given: directories.len(), most: MAX_DIRECTORIES });
    }
    let opened = directories.iter().map(|path| Source::open(path)).collect::<Result<Vec<Source>, Error>>()?;
    let mut covered = vec![false; opened.len()];
    for (i, inner) in opened.iter().enumerate() {
        for (j, outer) in opened.iter().enumerate() {
            let same = inner.identity == outer.identity;
            // Of two names for one directory the first counts.
            if i == j || covered[j] || (same && i < j) {
                continue;
            }
            let inside = place::lies_in(inner.fd.as_fd(), outer.identity);
            if inside.map_err(|cause| Error::system("cannot walk up from", inner.path.to_string_lossy(), cause))? {
                covered[i] = true;
                let text =
                    format!("{} lies in {}, which is traced already", inner.path.display(), outer.path.display());
                notes.push(Note::new("covered", text, &inner.path));
                break;
            }
        }
    }
    Ok(opened.into_iter().zip(covered).filter(|(_, covered)| !covered).map(|(source, _)| source).collect())
}
