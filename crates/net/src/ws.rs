//! A WebSocket connection: one task that reads, and a queue that the loop's flusher writes out.
//!
//! An idle connection is this task, waiting, and a `WsConn`: no buffer for reading (the loop lends one) and none for
//! writing (the session's outbox holds references). The task writes only when the kernel took less than was offered.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lakh_hub::shard::SessionKey;
use lakh_hub::{Item, Outbox};
use lakh_wire::engine::{End, Side, Version};
use lakh_wire::{Encoded, control_frame, ws};
use rustix::net::SendFlags;
use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::event_loop::EventLoop;
use crate::stream::Stream;

/// Frames offered to the kernel in one call. More than this in one queue takes another call.
const SLICES: usize = 64;
/// Reads before a connection lets others have their turn.
const READS_A_TURN: usize = 8;
/// Bytes of pongs that wait for a client.
const MOST_PONGS: usize = 4096;

/// No signal when the other end is gone, no waiting for room.
pub(crate) const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);

/// Where a connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Open,
    /// The session is over: what is in `own` goes out, then the connection closes.
    Closing,
    /// The connection is of no more use.
    Broken,
}

/// A WebSocket connection, shared by its task and the loop's table.
pub(crate) struct WsConn {
    io: RefCell<Stream>,
    key: SessionKey,
    side: Cell<Side>,
    phase: Cell<Phase>,
    deflate: bool,
    /// The kernel took less than was offered, and the task writes on when it takes more.
    blocked: Cell<bool>,
    /// The task, when the flusher needs it.
    task: RefCell<Option<Waker>>,
    /// Bytes of the connection itself, ahead of the outbox: the answer to the handshake, pongs, the close frame.
    own: RefCell<Vec<u8>>,
}

/// What an attempt to write led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wrote {
    All,
    Blocked,
    Failed,
}

impl WsConn {
    pub(crate) fn new(
        io: Stream,
        key: SessionKey,
        side: Side,
        deflate: bool,
        preamble: Vec<u8>,
    ) -> Rc<Self> {
        Rc::new(Self {
            io: RefCell::new(io),
            key,
            side: Cell::new(side),
            phase: Cell::new(Phase::Open),
            deflate,
            blocked: Cell::new(false),
            task: RefCell::new(None),
            own: RefCell::new(preamble),
        })
    }

    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    pub(crate) fn side(&self) -> Side {
        self.side.get()
    }

    pub(crate) fn is_deflating(&self) -> bool {
        self.deflate
    }

    pub(crate) fn set_blocked(&self, blocked: bool) {
        self.blocked.set(blocked);
    }

    /// The probe has become the session's transport.
    pub(crate) fn promote(&self) {
        self.side.set(Side::Main);
    }

    /// Has the kernel take no more than so many bytes beyond what is on its way.
    pub(crate) fn limit_unsent(&self, bytes: u32) {
        self.io.borrow().limit_unsent(bytes);
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = self.task.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Queues bytes of the connection itself.
    pub(crate) fn push_own(&self, bytes: &[u8]) {
        self.own.borrow_mut().extend_from_slice(bytes);
    }

    /// Whether the outbox alone waits, and a plain send(2) writes it.
    pub(crate) fn is_batchable(&self) -> bool {
        self.own.borrow().is_empty() && self.io.borrow().tcp().is_some()
    }

    /// The descriptor, open for as long as this connection lives.
    pub(crate) fn raw_fd(&self) -> Option<RawFd> {
        self.io.borrow().tcp().map(AsRawFd::as_raw_fd)
    }

    /// Sends without waiting. Straight to the kernel: whether it has room, it says itself, and what the runtime keeps
    /// about each socket stays out of the processor's cache. The C library would make a point of cancellation of it.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let io = self.io.borrow();
        let Some(stream) = io.tcp() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        Ok(rustix::net::send(stream, bytes, SEND_FLAGS)?)
    }

    /// The frames of a packet in the form that was negotiated.
    pub(crate) fn packet_frame<'a>(&self, packet: &'a Encoded, version: Version) -> &'a [u8] {
        if self.deflate {
            packet.ws_deflated(version)
        } else {
            packet.ws(version)
        }
    }

    /// Writes what waits, for connections that are in no batch. Never waits.
    pub(crate) fn flush(&self, outbox: &mut Outbox, version: Version) -> Wrote {
        let mut io = self.io.borrow_mut();
        let mut own = self.own.borrow_mut();
        let len_of = |item: &Item| frame_of(item, version, self.deflate).len();
        loop {
            if own.is_empty() && outbox.is_empty() {
                // The handshake's answer and pongs are rare; an idle connection keeps no buffer for them.
                *own = Vec::new();
                outbox.blocked = false;
                return if io.holds_back() {
                    Wrote::Blocked
                } else {
                    Wrote::All
                };
            }
            // A frame that is half written goes first.
            let own_first = outbox.written() == 0;
            let open = open_frame(outbox);
            let mut slices: SmallVec<[IoSlice<'_>; SLICES]> = SmallVec::new();
            if own_first && !own.is_empty() {
                slices.push(IoSlice::new(&own));
            }
            let mut skip = outbox.written();
            for item in outbox.iter().take(SLICES - slices.len()) {
                let frame = open.as_deref().filter(|_| matches!(item, Item::Open(_)));
                let frame = frame.unwrap_or_else(|| frame_of(item, version, self.deflate));
                slices.push(IoSlice::new(&frame[skip..]));
                skip = 0;
            }
            let wrote = io.try_write_vectored(&slices);
            drop(slices);
            match wrote {
                Ok(mut written) => {
                    if own_first {
                        let of_own = written.min(own.len());
                        own.drain(..of_own);
                        written -= of_own;
                    }
                    outbox.advance(written, |item| match item {
                        Item::Open(_) => open.as_ref().map_or(0, Vec::len),
                        item => len_of(item),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    outbox.blocked = true;
                    return Wrote::Blocked;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Wrote::Failed,
            }
        }
    }

    /// The session is over: takes what waits over from its outbox, and closes once that is written.
    pub(crate) fn finish(&self, outbox: &mut Outbox, version: Version) {
        if self.phase.get() != Phase::Open {
            return;
        }
        {
            let mut own = self.own.borrow_mut();
            let mut rest = Vec::new();
            let mut skip = outbox.written();
            // As in `flush`: the answer to the handshake must not follow what it announces.
            if skip == 0 {
                rest.append(&mut own);
            }
            while let Some(open) = open_frame(outbox) {
                rest.extend_from_slice(&open[skip..]);
                skip = 0;
                outbox.pop();
            }
            while let Some(item) = outbox.pop() {
                rest.extend_from_slice(&frame_of(&item, version, self.deflate)[skip..]);
                skip = 0;
            }
            rest.append(&mut own);
            *own = rest;
        }
        self.close(1000, "");
    }

    /// Sends a close frame and ends the connection.
    pub(crate) fn close(&self, code: u16, reason: &str) {
        if self.phase.get() == Phase::Open {
            self.push_own(&ws::close_frame(code, reason));
            self.phase.set(Phase::Closing);
            self.wake();
        }
    }

    fn wait(&self, cx: &Context<'_>) {
        let mut task = self.task.borrow_mut();
        if !task
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *task = Some(cx.waker().clone());
        }
    }
}

/// The frame of the session's first packet, if that is what waits first. It's written once in a session's life, so it's
/// not worth a place in every session.
fn open_frame(outbox: &Outbox) -> Option<Vec<u8>> {
    match outbox.iter().next() {
        Some(Item::Open(text)) => Some(ws::text_frame(text)),
        _ => None,
    }
}

pub(crate) fn frame_of(item: &Item, version: Version, deflate: bool) -> &[u8] {
    match item {
        Item::Packet(packet) if deflate => packet.ws_deflated(version),
        Item::Packet(packet) => packet.ws(version),
        Item::Control(control) => control_frame(*control, version),
        Item::Open(_) => &[],
    }
}

/// Serves a connection until it ends. `early` are bytes that came behind the handshake.
pub(crate) async fn serve(
    lp: Rc<EventLoop>,
    conn: Rc<WsConn>,
    mut decoder: ws::Decoder,
    mut early: Vec<u8>,
) {
    if !early.is_empty() && !received(&lp, &conn, &mut decoder, &mut early) {
        return Box::pin(linger(&conn, &lp)).await;
    }
    drop(early);
    poll_fn(|cx| poll(&lp, &conn, &mut decoder, cx)).await;
    lp.drop_rest(conn.key);
    // After a storm there are thousands whose other end is gone.
    if conn.phase.get() != Phase::Broken {
        // Boxed: the farewell's buffer would make every idle connection's task a kilobyte larger.
        Box::pin(linger(&conn, &lp)).await;
    }
}

/// One turn: reads what is there, and writes what the kernel refused before. Ready when the connection is to end.
fn poll(
    lp: &Rc<EventLoop>,
    conn: &WsConn,
    decoder: &mut ws::Decoder,
    cx: &mut Context<'_>,
) -> Poll<()> {
    conn.wait(cx);
    if conn.phase.get() != Phase::Open {
        return Poll::Ready(());
    }
    if conn.blocked.get() && write_on(lp, conn, cx).is_ready() {
        return Poll::Ready(());
    }
    for _ in 0..READS_A_TURN {
        if lp.shard.is_paused(conn.key) {
            return Poll::Pending;
        }
        if lp.shard.hub().is_congested() {
            lp.hold(cx);
            return Poll::Pending;
        }
        lp.relieve();
        if let Some(mut rest) = lp.take_rest(conn.key) {
            let going = feed(lp, conn, decoder, &mut rest);
            if !going || conn.phase.get() != Phase::Open {
                return Poll::Ready(());
            }
            continue;
        }
        let mut scratch = lp.scratch.borrow_mut();
        let mut buffer = ReadBuf::new(&mut scratch);
        let read = Pin::new(&mut *conn.io.borrow_mut()).poll_read(cx, &mut buffer);
        match read {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                let going = received(lp, conn, decoder, buffer.filled_mut());
                if !going || conn.phase.get() != Phase::Open {
                    return Poll::Ready(());
                }
            }
            Poll::Ready(ended) => {
                conn.phase.set(Phase::Broken);
                // Half a frame, or an end without a close frame: Node calls the first an error, too.
                let end = if ended.is_err() {
                    End::Error
                } else {
                    End::Closed
                };
                lp.shard.end(conn.key, conn.side.get(), end);
                return Poll::Ready(());
            }
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Writes on after the kernel has room again. Ready if the connection failed.
fn write_on(lp: &EventLoop, conn: &WsConn, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        let writable = conn.io.borrow_mut().poll_writable(cx);
        match writable {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(_)) => break,
            Poll::Ready(Ok(())) => match lp.flush_ws(conn.key, conn) {
                Wrote::All => return Poll::Pending,
                Wrote::Blocked => {}
                Wrote::Failed => break,
            },
        }
    }
    conn.phase.set(Phase::Broken);
    lp.shard.end(conn.key, conn.side.get(), End::Error);
    Poll::Ready(())
}

/// Counts what was read, and hands it to the session. `false`: nothing more is to be read from this connection.
fn received(lp: &EventLoop, conn: &WsConn, decoder: &mut ws::Decoder, bytes: &mut [u8]) -> bool {
    lp.count_in(bytes.len());
    lp.shard.received(conn.key, bytes.len());
    feed(lp, conn, decoder, bytes)
}

/// Hands what was read to the session. `false`: nothing more is to be read from this connection.
fn feed(lp: &EventLoop, conn: &WsConn, decoder: &mut ws::Decoder, mut bytes: &mut [u8]) -> bool {
    let key = conn.key;
    let limited = lp.shard.has_limits();
    while !bytes.is_empty() {
        let used = match decoder.decode(bytes) {
            Ok((used, None)) => used,
            Ok((used, Some(event))) => {
                match event {
                    ws::Event::Text(text) => lp.shard.text(key, conn.side.get(), text),
                    ws::Event::Binary(data) => lp.shard.binary(key, conn.side.get(), data),
                    // Who reads no pongs gets no more of them (RFC 6455 section 5.5.3 asks only for the latest).
                    ws::Event::Ping(_) if conn.own.borrow().len() > MOST_PONGS => {}
                    ws::Event::Ping(payload) => lp.send_own(conn, &ws::pong_frame(payload)),
                    ws::Event::Pong(_) => {}
                    ws::Event::Close { code, .. } => {
                        // RFC 6455 section 5.5.1: the code is echoed.
                        conn.close(code.unwrap_or(1000), "");
                        lp.shard.end(key, conn.side.get(), End::Closed);
                        return false;
                    }
                }
                if conn.phase.get() != Phase::Open {
                    return false;
                }
                used
            }
            Err(error) => {
                conn.close(error.close_code(), "");
                lp.shard.end(key, conn.side.get(), End::Error);
                return false;
            }
        };
        bytes = &mut bytes[used..];
        // What came in one go counts for a limit one by one: the rest waits as if it had not been read.
        if limited && !bytes.is_empty() && lp.shard.is_paused(key) {
            lp.keep_rest(key, bytes);
            return true;
        }
    }
    true
}

/// Writes the last bytes, then waits a little for the other end to close: closing at once with unread bytes in the
/// kernel's buffer would reset the connection, and could destroy what was just sent.
async fn linger(conn: &WsConn, lp: &EventLoop) {
    if conn.phase.get() == Phase::Broken {
        return;
    }
    let limit = Duration::from_millis(lp.shared.options.timeouts.close_ms);
    let farewell = async {
        let last = std::mem::take(&mut *conn.own.borrow_mut());
        write_all(conn, &last).await?;
        poll_fn(|cx| Pin::new(&mut *conn.io.borrow_mut()).poll_flush(cx)).await?;
        poll_fn(|cx| Pin::new(&mut *conn.io.borrow_mut()).poll_shutdown(cx)).await?;
        discard(conn).await
    };
    // Whether it went well makes no difference any more.
    let _ = tokio::time::timeout(limit, farewell).await;
    conn.phase.set(Phase::Broken);
}

async fn write_all(conn: &WsConn, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written =
            poll_fn(|cx| AsyncWrite::poll_write(Pin::new(&mut *conn.io.borrow_mut()), cx, bytes));
        match written.await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => bytes = &bytes[n..],
        }
    }
    Ok(())
}

/// Reads until the other end closes, at most this much.
async fn discard(conn: &WsConn) -> io::Result<()> {
    const MOST: usize = 1 << 20;
    let mut seen = 0;
    while seen < MOST {
        let mut buffer = [0; 1024];
        let mut buffer = ReadBuf::new(&mut buffer);
        poll_fn(|cx| Pin::new(&mut *conn.io.borrow_mut()).poll_read(cx, &mut buffer)).await?;
        if buffer.filled().is_empty() {
            return Ok(());
        }
        seen += buffer.filled().len();
    }
    Ok(())
}
