//! Bounds: how many nodes and descriptors are held, and that nothing is held for longer than it is needed.

use std::sync::atomic::{AtomicBool, Ordering};

use super::super::pressure::{Limits, Pressure};
use super::*;
use crate::wire::Notify;

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A kernel that forgets every node it is asked to, or drops every entry.
struct Forgetful {
    fs: Mutex<std::sync::Weak<Served>>,
    has_prune: bool,
    asked_by_entry: AtomicBool,
}

impl Notify for Forgetful {
    fn prune(&self, nodes: &[Node]) -> Result<(), Errno> {
        let Some(served) = self.fs.lock().unwrap().upgrade().filter(|_| self.has_prune) else {
            return Err(Errno(libc::EINVAL));
        };
        nodes.iter().for_each(|node| served.forget(*node, 1));
        Ok(())
    }

    fn invalidate_entry(&self, parent: Node, name: &[u8]) -> Result<(), Errno> {
        self.asked_by_entry.store(true, Ordering::SeqCst);
        let served = self.fs.lock().unwrap().upgrade().ok_or(Errno(libc::ENODEV))?;
        let node = served.ask(parent, Operation::Lookup { name }).node();
        served.forget(node, 2);
        Ok(())
    }
}

fn with_limits(way: Way, limits: Limits, has_prune: bool) -> (Arc<Served>, Arc<Forgetful>) {
    let mut served = Served::held(way);
    let inodes = Arc::get_mut(&mut served.fs.inodes).unwrap();
    inodes.pressure = Pressure::new(limits);
    let served = Arc::new(served);
    let kernel = Arc::new(Forgetful {
        fs: Mutex::new(Arc::downgrade(&served)),
        has_prune,
        asked_by_entry: AtomicBool::new(false),
    });
    served.fs.set_notify(kernel.clone()).unwrap();
    (served, kernel)
}

fn make_files(served: &Served, count: usize) {
    for number in 0..count {
        std::fs::write(served.path(&format!("f{number}")), b"").unwrap();
    }
}

#[test]
fn many_names_pass_through_few_descriptors() {
    for (way, has_prune) in [(Way::Descriptors, true), (Way::Descriptors, false), (Way::Handles, true)] {
        let (served, kernel) = with_limits(way, Limits { ease: 50, full: 80, is_shared: false }, has_prune);
        make_files(&served, 1000);
        for number in 0..1000 {
            assert_eq!(served.lookup(Node::ROOT, &format!("f{number}")).errno(), 0, "{way:?} {has_prune}");
            assert!(served.fs.known_and_open().0 <= 81);
        }
        assert!(served.gone.lock().unwrap().len() >= 900);
        assert_eq!(kernel.asked_by_entry.load(Ordering::SeqCst), !has_prune);
    }
}

#[test]
fn a_full_table_refuses_new_names_but_serves_known_ones() {
    let mut served = Served::held(Way::Descriptors);
    Arc::get_mut(&mut served.fs.inodes).unwrap().pressure =
        Pressure::new(Limits { ease: 5, full: 5, is_shared: false });
    make_files(&served, 6);
    for number in 0..4 {
        assert_eq!(served.lookup(Node::ROOT, &format!("f{number}")).errno(), 0);
    }
    assert_eq!(served.lookup(Node::ROOT, "f5").errno(), libc::ENFILE);
    assert_eq!(served.lookup(Node::ROOT, "missing").errno(), libc::ENOENT);
    let known = served.node(Node::ROOT, "f0");
    served.open(known, libc::O_RDWR);
    let mkdir = Operation::Mkdir { name: b"new", mode: 0o755, umask: 0 };
    assert_eq!(served.ask(Node::ROOT, mkdir).errno(), libc::ENFILE);
    assert!(!served.path("new").exists(), "nothing is made that cannot be named");
}

#[test]
fn held_by_handles_a_thousand_names_cost_a_bounded_number_of_descriptors() {
    let served = Served::held(Way::Handles);
    if served.fs.way() != Way::Handles {
        eprintln!("skipped: needs root and a filesystem with durable file handles");
        return;
    }
    make_files(&served, 3000);
    let nodes: Vec<Node> = (0..3000).map(|number| served.node(Node::ROOT, &format!("f{number}"))).collect();
    assert_eq!(served.fs.known_and_open().0, 3001);
    let before = open_descriptors();
    assert!(served.fs.inodes.holder.close_cached() > 0);
    assert!(open_descriptors() < before);
    for node in nodes.iter().step_by(100) {
        assert_eq!(served.ask(*node, Operation::Getattr { handle: None }).errno(), 0);
        served.open(*node, libc::O_RDONLY);
    }
}

#[test]
fn what_is_forgotten_and_released_leaves_no_descriptor_behind() {
    for way in [Way::Handles, Way::Descriptors] {
        let served = Served::held(way);
        let round = |name: &str| {
            let create =
                Operation::Create { name: name.as_bytes(), flags: 2, mode: 0o600, umask: 0, kill_suid_sgid: false };
            let made = served.ask(Node::ROOT, create);
            let (node, handle) = (made.node(), made.handle());
            served.node(Node::ROOT, name);
            let directory = served.opendir(Node::ROOT);
            served.ask(Node::ROOT, Operation::Releasedir { handle: directory });
            served.ask(Node::ROOT, Operation::Unlink { name: name.as_bytes() });
            served.ask(node, Operation::Getattr { handle: None });
            served.ask(node, Operation::Release { handle, flags: 0 });
            served.forget(node, 2);
        };
        round("warm-up");
        served.fs.inodes.holder.close_cached();
        assert_eq!(served.fs.known_and_open(), (1, 0), "{way:?}");
        assert_eq!(linked_to(served.root()), 1 + usize::from(served.fs.way() == Way::Handles), "{way:?}");
        (0..200).for_each(|number| round(&format!("f{number}")));
        served.fs.inodes.holder.close_cached();
        assert_eq!(served.fs.known_and_open(), (1, 0), "{way:?}");
        assert_eq!(linked_to(served.root()), 1 + usize::from(served.fs.way() == Way::Handles), "{way:?}");
    }
}

/// How many of our descriptors lead to that directory or below it. Other tests run beside this one: theirs are not counted.
fn linked_to(directory: &Path) -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| entry.ok()?.path().read_link().ok());
    links.filter(|target| target.starts_with(directory)).count()
}

#[test]
fn lookups_and_forgets_from_many_threads_leave_the_counts_right() {
    for way in [Way::Handles, Way::Descriptors] {
        let served = Served::held(way);
        make_files(&served, 8);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    served.on_one_thread(|asker| {
                        for round in 0..2000 {
                            let name = format!("f{}", round % 8);
                            let node = asker.ask(Node::ROOT, Operation::Lookup { name: name.as_bytes() }).node();
                            assert_eq!(asker.ask(node, Operation::Getattr { handle: None }).errno(), 0);
                            asker.ask(node, Operation::Forget { lookups: 1 });
                        }
                    });
                });
            }
        });
        assert_eq!(served.fs.known_and_open(), (1, 0), "{way:?}");
    }
}

#[test]
fn forgetting_more_than_was_looked_up_ends_in_nothing_worse_than_forgotten() {
    let served = Served::new();
    make_files(&served, 1);
    let node = served.node(Node::ROOT, "f0");
    served.forget(node, u64::MAX);
    served.forget(node, 1);
    served.forget(Node::ROOT, 5);
    assert_eq!(served.fs.known_and_open().0, 1);
    assert_eq!(served.lookup(Node::ROOT, "f0").errno(), 0);
}
