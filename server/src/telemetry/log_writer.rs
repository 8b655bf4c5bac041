//! Log lines leave through a thread of their own: no event loop waits for whoever reads the log.
//!
//! What must hold: lines come out in the order written, what waits is bounded in bytes, and what is lost past that is
//! counted and told. An event is one line, whatever a stranger got into it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Bytes of lines that may wait: the ends of some twenty thousand sessions at once.
const MOST_WAITING: usize = 4 << 20;
/// How long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Begins a colour.
const ESCAPE: u8 = 0x1b;

enum Job {
    Line(Vec<u8>),
    Flush(Sender<()>),
}

#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicUsize,
    lost: AtomicU64,
}

/// Where lines are written to.
#[derive(Debug, Clone)]
pub struct LogWriter {
    jobs: Sender<Job>,
    counts: Arc<Counts>,
}

/// Waits for the lines that are under way when it is dropped, as long as that is quickly done.
#[derive(Debug)]
pub struct Flushed(Sender<Job>);

/// Starts the thread.
pub fn start(out: impl Write + Send + 'static) -> io::Result<(LogWriter, Flushed)> {
    let (jobs, received) = mpsc::channel();
    let counts = Arc::new(Counts::default());
    let shared = Arc::clone(&counts);
    thread::Builder::new()
        .name("lakh-log".to_owned())
        .spawn(move || run(out, &received, &shared))?;
    let writer = LogWriter {
        jobs: jobs.clone(),
        counts,
    };
    Ok((writer, Flushed(jobs)))
}

fn run(mut out: impl Write, jobs: &Receiver<Job>, counts: &Counts) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Line(line) => {
                // Nobody is left to be told that the log can't be written.
                let _ = out.write_all(&line);
                counts.waiting.fetch_sub(line.len(), Ordering::Relaxed);
                let lost = counts.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::warn!(
                        lost,
                        "log lines were lost: the log is read more slowly than it is written"
                    );
                }
            }
            Job::Flush(done) => {
                let _ = out.flush();
                // Whoever waited may have given up.
                let _ = done.send(());
            }
        }
    }
}

/// One event's way to the thread.
#[derive(Debug)]
pub struct Line<'a>(&'a LogWriter);

/// The line with whatever would end it, or move a terminal's cursor, written out. Escapes stay: only the subscriber's own
/// colours are left of them, which it writes to terminals alone.
fn as_one_line(line: &[u8]) -> Vec<u8> {
    let (text, end) = match line.split_last() {
        Some((b'\n', text)) => (text, true),
        _ => (line, false),
    };
    let is_plain = |byte: u8| byte >= b' ' && byte != 0x7f || byte == ESCAPE;
    if text.iter().all(|byte| is_plain(*byte)) {
        return line.to_vec();
    }
    let mut out = Vec::with_capacity(line.len() + 16);
    for byte in text {
        match byte {
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            byte if is_plain(*byte) => out.push(*byte),
            byte => out.extend(format!("\\x{byte:02x}").bytes()),
        }
    }
    if end {
        out.push(b'\n');
    }
    out
}

impl Write for Line<'_> {
    /// The subscriber hands over whole lines.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let counts = &self.0.counts;
        let (taken, line) = (line.len(), as_one_line(line));
        let bytes = line.len();
        let before = counts.waiting.fetch_add(bytes, Ordering::Relaxed);
        let fits = before + bytes <= MOST_WAITING;
        if !fits || self.0.jobs.send(Job::Line(line)).is_err() {
            counts.waiting.fetch_sub(bytes, Ordering::Relaxed);
            counts.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self)
    }
}

impl Drop for Flushed {
    fn drop(&mut self) {
        let (done, wait) = mpsc::channel();
        if self.0.send(Job::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(LAST_LINES);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Shown(Arc<Mutex<Vec<u8>>>);

    impl Write for Shown {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_out_in_their_order_when_the_end_has_waited() {
        let shown = Shown::default();
        let (writer, flushed) = start(shown.clone()).unwrap();
        for number in 0..1_000 {
            writeln!(writer.make_writer(), "{number}").unwrap();
        }
        drop(flushed);
        let text = String::from_utf8(shown.0.lock().unwrap().clone()).unwrap();
        let expected: String = (0..1_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(text, expected);
    }

    #[test]
    fn an_event_is_one_line_whatever_it_holds() {
        for (line, expected) in [
            (
                &b"plain \x1b[2mcolour\x1b[0m \xc3\xa9\n"[..],
                &b"plain \x1b[2mcolour\x1b[0m \xc3\xa9\n"[..],
            ),
            (b"a\nINFO forged\r\n", b"a\\nINFO forged\\r\n"),
            (b"a\0\x08\t\x7f\n", b"a\\x00\\x08\\t\\x7f\n"),
            (b"no end", b"no end"),
            (b"", b""),
        ] {
            assert_eq!(as_one_line(line), expected);
        }
    }

    /// Takes nothing until it is let.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_nobody_reads_holds_nobody_up_and_stays_bounded() {
        let (let_go, stuck) = mpsc::channel();
        let (writer, _flushed) = start(Stuck(stuck)).unwrap();
        let line = vec![b'x'; 1 << 20];
        for _ in 0..10 {
            writer.make_writer().write_all(&line).unwrap();
        }
        assert_eq!(writer.counts.lost.load(Ordering::Relaxed), 6);
        assert_eq!(writer.counts.waiting.load(Ordering::Relaxed), MOST_WAITING);
        drop(let_go);
    }
}
