//! One name of one node: where it is, and the path it had when somebody last asked.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// Where a name is: in which directory, called what.
#[derive(Clone, Debug)]
pub struct Place {
    pub parent: u64,
    pub name: Rc<[u8]>,
}

/// None: too long to be rendered. That is worth remembering too.
type Path = Option<Arc<str>>;

#[derive(Debug)]
struct Rendered {
    path: Path,
    /// The tree's count of directory moves when it was rendered.
    moves: u64,
}

/// Shared by the directory that lists it, the node it stands for, and the handles opened by it: a rename shows
/// everywhere at once, and after an unlink the last name stays.
#[derive(Debug)]
pub struct Link {
    pub child: u64,
    place: RefCell<Place>,
    rendered: RefCell<Option<Rendered>>,
    is_alive: Cell<bool>,
    /// When the last change of this name was done; 0 if it was only ever found.
    changed_ns: Cell<u64>,
    looked_up_by: Cell<u32>,
    looked_up_at: Cell<u64>,
}

impl Link {
    pub fn new(child: u64, place: Place, changed_ns: u64) -> Rc<Link> {
        Rc::new(Link {
            child,
            place: RefCell::new(place),
            rendered: RefCell::new(None),
            is_alive: Cell::new(true),
            changed_ns: Cell::new(changed_ns),
            looked_up_by: Cell::new(0),
            looked_up_at: Cell::new(0),
        })
    }

    pub fn place(&self) -> Place {
        self.place.borrow().clone()
    }

    pub fn parent(&self) -> u64 {
        self.place.borrow().parent
    }

    pub fn move_to(&self, place: Place) {
        self.place.replace(place);
        self.rendered.replace(None);
    }

    pub fn is_alive(&self) -> bool {
        self.is_alive.get()
    }

    /// From here on the path is whatever was last rendered.
    pub fn die(&self) {
        self.is_alive.set(false);
    }

    pub fn changed_ns(&self) -> u64 {
        self.changed_ns.get()
    }

    pub fn set_changed(&self, finished_ns: u64) {
        self.changed_ns.set(finished_ns);
    }

    pub fn set_looked_up(&self, tid: u32, order: u64) {
        self.looked_up_by.set(tid);
        self.looked_up_at.set(order);
    }

    /// Greater for the link by which `tid` most likely came: its own last lookup, else anybody's.
    pub fn likelihood(&self, tid: u32) -> (bool, u64) {
        (self.looked_up_by.get() == tid, self.looked_up_at.get())
    }

    /// The path as rendered before, if no directory has moved since, or if it is a dead link's last.
    pub fn known_path(&self, moves: u64) -> Option<Path> {
        let rendered = self.rendered.borrow();
        let rendered = rendered.as_ref()?;
        (rendered.moves == moves || !self.is_alive()).then(|| rendered.path.clone())
    }

    /// The path below `directory`, rendered and remembered.
    pub fn render(&self, directory: &str, moves: u64) -> Path {
        let path = join(directory, &self.place.borrow().name);
        self.rendered.replace(Some(Rendered { path: path.clone(), moves }));
        path
    }

    pub fn set_too_deep(&self, moves: u64) {
        self.rendered.replace(Some(Rendered { path: None, moves }));
    }
}

/// Twice PATH_MAX, since escaping lengthens. What is deeper can be reached by chdir, but not named; and a tree of 100,000
/// directories one in the other would have gigabytes of paths.
const MAX_PATH_BYTES: usize = 8192;

/// The path of a name in a directory, escaped; None if it is too long to be anybody's.
pub fn join(directory: &str, name: &[u8]) -> Path {
    let mut path = String::with_capacity(directory.len() + 1 + name.len());
    path.push_str(directory);
    if !directory.ends_with('/') {
        path.push('/');
    }
    match str::from_utf8(name) {
        Ok(text) if !name.contains(&b'\\') => path.push_str(text),
        _ => path.push_str(&crate::event::escape(name)),
    }
    (path.len() <= MAX_PATH_BYTES).then(|| path.into())
}
