//! Who receives and who serves: a few workers wait for messages, more are added while calls block, up to a bound.
//! Two promises: a call that is known to be slow never holds the last receiver, and any other call holds it only until the
//! supervisor's next look. At the bound the last receiver serves nothing; it queues what comes for workers that become free.
//!
//! ```text
//!                       message                        no other receives, call may block
//!     receiving ---------------------> serving   ---------------------------------------> another worker receives
//!         ^  |  others enough             |
//!         |  +--> parked (holds no memory, ends after a while)
//!         +-------------------------------+  unless something is queued: then that first
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use super::Serve;
use super::limits::Limits;
use super::session::End;
use super::traffic::Traffic;
use super::transport::{ReceiveBuffer, Transport};
use super::worker;

/// A parked worker ends after this long without being needed.
const PARKED_FOR: Duration = Duration::from_secs(10);

/// A message that waits for a free worker.
pub(super) struct Queued<K> {
    pub buffer: ReceiveBuffer,
    pub len: usize,
    pub token: K,
    pub arrived_ns: u64,
    /// What serving it adds to the pool's large_bytes.
    pub large_bytes: usize,
}

/// What becomes of a message in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Serve,
    /// The caller is the last receiver and there can be no other.
    QueueForWorker,
    /// So many large requests are under way that memory would not be bounded.
    QueueForMemory,
}

pub(super) struct State<K> {
    workers: usize,
    parked: usize,
    /// Parked workers that have been called back and have not noticed yet; each counts as a receiver already.
    called: usize,
    /// The system had no thread for us when last asked.
    no_threads: bool,
    queue: VecDeque<Queued<K>>,
    spare: Vec<ReceiveBuffer>,
    threads: HashMap<usize, Arc<worker::Registered>>,
    next_index: usize,
    end: Option<End>,
}

pub(super) struct Pool<T: Transport> {
    pub transport: Arc<T>,
    pub serve: Arc<dyn Serve>,
    pub limits: Limits,
    pub traffic: Traffic,
    queued: AtomicUsize,
    /// Bytes of buffers that large messages and answers have filled and that have not been given back.
    pub large_bytes: AtomicUsize,
    ended: AtomicBool,
    full: AtomicBool,
    watched: AtomicBool,
    supervisor: OnceLock<Thread>,
    state: Mutex<State<T::Token>>,
    /// Wakes parked workers.
    called: Condvar,
    /// Tells of room in the queue and of workers that ended.
    pub changed: Condvar,
}

type Guard<'a, T> = MutexGuard<'a, State<<T as Transport>::Token>>;

impl<T: Transport> Pool<T> {
    pub fn new(transport: Arc<T>, serve: Arc<dyn Serve>, limits: Limits) -> Arc<Pool<T>> {
        let state = State {
            workers: 0,
            parked: 0,
            called: 0,
            no_threads: false,
            queue: VecDeque::new(),
            spare: Vec::new(),
            threads: HashMap::new(),
            next_index: 0,
            end: None,
        };
        Arc::new(Pool {
            transport,
            serve,
            limits,
            traffic: Traffic::default(),
            queued: AtomicUsize::new(0),
            large_bytes: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            full: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            supervisor: OnceLock::new(),
            state: Mutex::new(state),
            called: Condvar::new(),
            changed: Condvar::new(),
        })
    }

    pub fn lock(&self) -> Guard<'_, T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to do with a message, when `others` receive and serving it fills `large_bytes` more. Sees to it that another worker
    /// receives, now or soon, if the caller was the last one.
    pub fn place(self: &Arc<Self>, others: usize, slow: bool, large_bytes: usize) -> Place {
        if !self.has_memory_for(large_bytes) {
            Place::QueueForMemory
        } else if others > 0 || self.may_serve_last(slow) {
            Place::Serve
        } else {
            Place::QueueForWorker
        }
    }

    fn may_serve_last(self: &Arc<Self>, slow: bool) -> bool {
        if slow || self.full.load(SeqCst) {
            return self.add_receiver() || self.serves_alone();
        }
        self.watch();
        true
    }

    fn has_memory_for(&self, large_bytes: usize) -> bool {
        large_bytes == 0 || self.large_bytes.load(SeqCst) + large_bytes <= self.limits.large_bytes
    }

    /// Counts what a worker is about to fill beyond what it has filled already.
    pub fn hold(&self, filled: &mut usize, large_bytes: usize) {
        if large_bytes > 0 {
            self.large_bytes.fetch_add(large_bytes, SeqCst);
            *filled += large_bytes;
        }
    }

    /// Large buffers stay filled between requests as long as all together hold no more than this.
    pub fn keeps_large_bytes(&self) -> bool {
        /// What two receivers need for large requests without a pause: filling fresh pages costs a quarter microsecond each.
        const KEPT_BYTES: usize = 8 << 20;
        self.large_bytes.load(SeqCst) <= KEPT_BYTES.min(self.limits.large_bytes / 4)
    }

    /// With no other worker there is nobody to queue for.
    fn serves_alone(&self) -> bool {
        let state = self.lock();
        state.workers - state.parked <= 1
    }

    /// Calls a parked worker back or starts a new one. False at the bound, and while the queue is full: one more receiver
    /// would only have one more message in its hands.
    pub fn add_receiver(self: &Arc<Self>) -> bool {
        let mut state = self.lock();
        if state.queue.len() >= self.limits.queued {
            return false;
        }
        if self.call_parked(&mut state) {
            return true;
        }
        if state.end.is_some() || state.workers >= self.limits.workers {
            return false;
        }
        state.workers += 1;
        state.next_index += 1;
        let index = state.next_index;
        self.traffic.enter();
        self.note_bound(&mut state);
        drop(state);
        let started = worker::start(self.clone(), index);
        if !started {
            self.traffic.withdraw();
            let mut state = self.lock();
            state.workers -= 1;
            state.no_threads = true;
            self.note_bound(&mut state);
        }
        started
    }

    fn call_parked(&self, state: &mut State<T::Token>) -> bool {
        if state.parked == state.called {
            return false;
        }
        state.called += 1;
        self.traffic.enter();
        self.note_bound(state);
        self.called.notify_one();
        true
    }

    /// Keeps `full` true to the state, so that the common path need not lock.
    fn note_bound(&self, state: &mut State<T::Token>) {
        let none_left = state.workers >= self.limits.workers || state.no_threads;
        self.full.store(none_left && state.parked == state.called, SeqCst);
    }

    /// Lets the supervisor look whether the call that now begins blocks.
    fn watch(&self) {
        if !self.watched.load(SeqCst) && !self.watched.swap(true, SeqCst) {
            self.wake_supervisor();
        }
    }

    fn wake_supervisor(&self) {
        if let Some(supervisor) = self.supervisor.get() {
            supervisor.unpark();
        }
    }

    pub fn is_watched(&self) -> bool {
        self.watched.load(SeqCst)
    }

    pub fn unwatch(&self) {
        self.watched.store(false, SeqCst);
        // A worker that became the last receiver just before would have seen no reason to wake the supervisor.
        if self.traffic.look().receivers() == 0 {
            self.watched.store(true, SeqCst);
        }
    }

    /// The supervisor asks for threads again after the system had none.
    pub fn forgive(&self) {
        let mut state = self.lock();
        state.no_threads = false;
        self.note_bound(&mut state);
    }

    pub fn supervised_by(&self, thread: Thread) {
        self.supervisor.get_or_init(|| thread);
    }

    pub fn has_queued(&self) -> bool {
        self.queued.load(SeqCst) > 0
    }

    /// The longest waiting message that there is memory for.
    pub fn take_queued(&self) -> Option<Queued<T::Token>> {
        let mut state = self.lock();
        let at = state.queue.iter().position(|queued| self.has_memory_for(queued.large_bytes))?;
        let taken = state.queue.remove(at);
        self.queued.store(state.queue.len(), SeqCst);
        self.changed.notify_all();
        taken
    }

    /// A clean buffer for the one that goes into the queue, and the queue. None: there is no reason to queue any more.
    /// Waits while the queue is full; the kernel then holds what comes.
    pub fn room_in_queue(&self, place: Place, large_bytes: usize) -> Option<(ReceiveBuffer, Guard<'_, T>)> {
        let mut state = self.lock();
        while state.end.is_none() && state.queue.len() >= self.limits.queued {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let needless = match place {
            Place::Serve => true,
            Place::QueueForWorker => self.call_parked(&mut state),
            Place::QueueForMemory => self.has_memory_for(large_bytes),
        };
        if needless {
            return None;
        }
        let spare = state.spare.pop().unwrap_or_default();
        Some((spare, state))
    }

    pub fn put_queued(&self, mut state: Guard<'_, T>, queued: Queued<T::Token>) {
        state.queue.push_back(queued);
        self.queued.store(state.queue.len(), SeqCst);
    }

    pub fn put_spare(&self, mut buffer: ReceiveBuffer) {
        buffer.give_back(0);
        let mut state = self.lock();
        if state.spare.len() < self.limits.queued {
            state.spare.push(buffer);
        }
    }

    /// The caller, which does not count as a receiver now, waits until the pool needs it again.
    pub fn park(&self) -> Parked {
        let mut state = self.lock();
        // Many may have come back at once, each seeing the others; the last of them finds who really receives.
        if self.traffic.look().receivers() < self.limits.receivers {
            self.traffic.enter();
            return Parked::Called;
        }
        state.parked += 1;
        self.note_bound(&mut state);
        let mut idle = false;
        let outcome = loop {
            if state.called > 0 {
                state.called -= 1;
                break Parked::Called;
            }
            if state.queue.iter().any(|queued| self.has_memory_for(queued.large_bytes)) {
                break Parked::Queue;
            }
            if state.end.is_some() || idle {
                break Parked::Surplus;
            }
            let (again, timeout) = self.called.wait_timeout(state, PARKED_FOR).unwrap_or_else(PoisonError::into_inner);
            state = again;
            idle = timeout.timed_out();
        };
        state.parked -= 1;
        self.note_bound(&mut state);
        outcome
    }

    pub fn register(&self, index: usize, thread: Arc<worker::Registered>) {
        self.lock().threads.insert(index, thread);
    }

    /// The last thing a worker does.
    pub fn deregister(&self, index: usize) {
        let mut state = self.lock();
        state.threads.remove(&index);
        state.workers -= 1;
        self.note_bound(&mut state);
        self.changed.notify_all();
    }

    /// Ends serving; the first reason stays.
    pub fn end(&self, reason: End) {
        let mut state = self.lock();
        state.end.get_or_insert(reason);
        self.ended.store(true, SeqCst);
        drop(state);
        self.called.notify_all();
        self.changed.notify_all();
        self.wake_supervisor();
    }

    pub fn has_ended(&self) -> bool {
        self.ended.load(SeqCst)
    }
}

/// What a worker comes back to.
pub(super) enum Parked {
    /// It counts as a receiver again.
    Called,
    /// Something is queued.
    Queue,
    /// It is to end.
    Surplus,
}

impl<K> State<K> {
    pub fn workers(&self) -> usize {
        self.workers
    }

    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    pub fn threads(&self) -> impl Iterator<Item = &worker::Registered> {
        self.threads.values().map(Arc::as_ref)
    }
}
