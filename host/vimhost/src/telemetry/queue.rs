//! Between those who log and the output: a queue of bounded size, and a thread that writes.
//!
//! The output may be a pipe that nobody reads, or a terminal that somebody has stopped. Whoever logs does not wait for it: a line that finds the
//! queue full is dropped and counted, and the number is told as soon as lines go again. At the end of the host what waits is written, as
//! long as the output takes it; a line that comes after that is written by whoever logs it, since the thread may not live to do so.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that wait: some ten thousand lines, which an output that is merely slow catches up with.
const LARGEST: usize = 8 << 20;

/// Bytes of memory that are kept for the next lines; what a burst needed beyond is given back.
const KEPT: usize = 64 << 10;

/// How long the end of the host waits for the output.
const PATIENCE: Duration = Duration::from_secs(2);

/// Writes lines out.
type WriteOut = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Where lines are put.
#[derive(Clone)]
pub(super) struct Queue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Something is to be written or told.
    work: Condvar,
    /// Nothing is.
    idle: Condvar,
    largest: usize,
    write: WriteOut,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines that were dropped and not yet told of.
    dropped: u64,
    writing: bool,
    /// The host ends, and all that waited is written.
    is_over: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        !self.writing && self.waiting.is_empty() && self.dropped == 0
    }
}

/// Lines that were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dropped {
    /// Since it was told last.
    pub(super) lines: u64,
    /// Since the start: what was told may have been dropped too.
    pub(super) total: u64,
}

impl Queue {
    /// To the standard error output.
    pub(super) fn for_stderr(told: impl Fn(Dropped) + Send + 'static) -> io::Result<Self> {
        let write = |lines: &[u8]| {
            // There is nowhere to say that it failed.
            let _ = io::stderr().lock().write_all(lines);
        };
        Self::start(LARGEST, write, told)
    }

    fn start(
        largest: usize,
        write: impl Fn(&[u8]) + Send + Sync + 'static,
        told: impl Fn(Dropped) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Self(Arc::new(Shared {
            state: Mutex::new(State::default()),
            work: Condvar::new(),
            idle: Condvar::new(),
            largest,
            write: Box::new(write),
        }));
        let of_thread = queue.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || of_thread.write_lines(told))?;
        Ok(queue)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.is_over {
            drop(state);
            (self.0.write)(line);
            return;
        }
        if state.waiting.len().saturating_add(line.len()) > self.0.largest {
            state.dropped = state.dropped.saturating_add(1);
        } else {
            state.waiting.extend_from_slice(line);
        }
        drop(state);
        self.0.work.notify_one();
    }

    /// The thread; as long as the process lives.
    fn write_lines(&self, told: impl Fn(Dropped)) {
        let mut lines = Vec::new();
        let mut total: u64 = 0;
        loop {
            let dropped = {
                let state = self.lock();
                let waiting = self
                    .0
                    .work
                    .wait_while(state, |state| state.waiting.is_empty() && state.dropped == 0);
                let mut state = waiting.unwrap_or_else(PoisonError::into_inner);
                state.writing = true;
                std::mem::swap(&mut state.waiting, &mut lines);
                std::mem::take(&mut state.dropped)
            };
            (self.0.write)(&lines);
            lines.clear();
            lines.shrink_to(KEPT);
            if dropped > 0 {
                total = total.saturating_add(dropped);
                told(Dropped { lines: dropped, total });
            }
            self.lock().writing = false;
            self.0.idle.notify_all();
        }
    }

    /// Waits until all is written, for [`PATIENCE`] at most.
    pub(super) fn finish(&self) {
        self.finish_within(PATIENCE);
    }

    fn finish_within(&self, patience: Duration) {
        let state = self.lock();
        let ended = self
            .0
            .idle
            .wait_timeout_while(state, patience, |state| !state.is_idle());
        let (mut state, waited) = ended.unwrap_or_else(PoisonError::into_inner);
        // An output that takes nothing would hold up whoever wrote to it.
        state.is_over = !waited.timed_out();
    }
}

impl Write for Queue {
    /// A line is one write.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// The thread that writes may have to wait for a processor: longer than the end of a host waits for it.
    const LONG: Duration = Duration::from_secs(60);

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Output {
        fn take(&self, lines: &[u8]) {
            self.0.lock().unwrap().extend_from_slice(lines);
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn all_that_was_logged_is_written_in_order_before_the_end_and_after_it() {
        let output = Output::default();
        let sink = output.clone();
        let queue = Queue::start(LARGEST, move |lines: &[u8]| sink.take(lines), |_| {}).unwrap();
        let mut expected = String::new();
        for n in 0..1000 {
            let line = format!("line {n}\n");
            queue.push(line.as_bytes());
            expected.push_str(&line);
        }
        queue.finish_within(LONG);
        assert_eq!(output.text(), expected);
        queue.push(b"late\n");
        assert_eq!(output.text(), expected + "late\n");
    }

    #[test]
    fn an_output_that_is_stuck_holds_up_nobody_and_what_it_cost_is_told_when_it_goes_again() {
        let (output, gate) = (Output::default(), Arc::new(Mutex::new(())));
        let (begun, begins) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let (sink, closed) = (output.clone(), gate.clone());
        let write = move |lines: &[u8]| {
            begun.send(()).unwrap();
            drop(closed.lock().unwrap());
            sink.take(lines);
        };
        let queue = Queue::start(8, write, move |dropped| tell.send(dropped).unwrap()).unwrap();
        let stuck = gate.lock().unwrap();
        queue.push(b"one\n");
        begins.recv().unwrap();
        for line in [b"two\n", b"six\n", b"ten\n", b"end\n"] {
            queue.push(line);
        }
        drop(stuck);
        queue.finish_within(LONG);
        assert_eq!(output.text(), "one\ntwo\nsix\n");
        let dropped: Vec<Dropped> = told.try_iter().collect();
        assert_eq!(dropped, [Dropped { lines: 2, total: 2 }]);
    }
}
