//! Bytes both ways between two pipes, and how each side's end reaches the other.

#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::LocalSet;

use super::*;

const LINGER: Duration = Duration::from_secs(5);

/// The two far ends of a splice, and whether it is over. Pipes hold this many bytes.
async fn spliced<F: Future>(
    holds: usize,
    (up, down): (&[u8], &[u8]),
    test: impl FnOnce(DuplexStream, DuplexStream, tokio::task::JoinHandle<io::Result<()>>) -> F,
) -> F::Output {
    let (client, near_client) = duplex(holds);
    let (owner, near_owner) = duplex(holds);
    let (up, down) = (up.to_vec(), down.to_vec());
    let local = LocalSet::new();
    let over = local.spawn_local(async move {
        let scratch = RefCell::new(vec![0; 64 * 1024].into());
        splice(&scratch, (near_client, up), (near_owner, down), LINGER).await
    });
    local.run_until(test(client, owner, over)).await
}

#[tokio::test]
async fn what_is_written_at_one_end_is_read_at_the_other_behind_what_came_early() {
    spliced(
        100,
        (b"up ", b"down "),
        async |mut client, mut owner, over| {
            client.write_all(b"there").await.unwrap();
            owner.write_all(b"here").await.unwrap();
            let (mut up, mut down) = ([0; 8], [0; 9]);
            owner.read_exact(&mut up).await.unwrap();
            client.read_exact(&mut down).await.unwrap();
            assert_eq!((&up, &down), (b"up there", b"down here"));
            drop(client);
            assert_eq!(owner.read(&mut up).await.unwrap(), 0);
            drop(owner);
            over.await.unwrap().unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn a_half_that_is_closed_is_told_and_the_other_goes_on() {
    spliced(10, (b"", b""), async |mut client, mut owner, over| {
        client.write_all(b"last").await.unwrap();
        client.shutdown().await.unwrap();
        let mut text = String::new();
        owner.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "last");
        // More than the pipes hold, while nobody reads.
        let long = vec![7; 1_000];
        let written = owner.write_all(&long);
        let mut read = vec![0; 1_000];
        let (written, _) = tokio::join!(written, client.read_exact(&mut read));
        written.unwrap();
        assert_eq!(read, long);
        owner.shutdown().await.unwrap();
        assert_eq!(client.read(&mut read).await.unwrap(), 0);
        over.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_end_that_takes_nothing_stops_the_other() {
    spliced(1_000, (b"", b""), async |client, mut owner, _over| {
        let mut passed = 0;
        // Writes until it would have to wait for more than a turn of all others.
        loop {
            let one = owner.write(&[0; 1_000]);
            match timeout_turns(one).await {
                Some(written) => passed += written.unwrap(),
                None => break,
            }
        }
        // What the two pipes hold, and one piece between them.
        assert!((2_000..=2_000 + PIECE).contains(&passed), "{passed}");
        drop(client);
    })
    .await;
}

/// Gives up once everything else has had its turn, many times over.
async fn timeout_turns<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut turns = 0;
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        turns += 1;
        if turns > 1_000 {
            return Poll::Ready(None);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn an_end_that_never_closes_gets_a_while_after_the_last_byte() {
    spliced(100, (b"", b""), async |mut client, owner, over| {
        let since = tokio::time::Instant::now();
        drop(owner);
        let mut none = [0; 1];
        assert_eq!(client.read(&mut none).await.unwrap(), 0);
        over.await.unwrap().unwrap();
        assert_eq!(since.elapsed(), LINGER);
        drop(client);
    })
    .await;
}

#[tokio::test]
async fn what_the_owner_still_says_reaches_a_client_whose_words_nobody_takes() {
    let (mut client, near_client) = duplex(100);
    let (mut owner, near) = duplex(100);
    owner.write_all(b"goodbye").await.unwrap();
    owner.shutdown().await.unwrap();
    let scratch = RefCell::new(vec![0; 1_024].into());
    let deaf = Deaf(near);
    let spliced = splice(
        &scratch,
        (near_client, b"hello?".to_vec()),
        (deaf, Vec::new()),
        LINGER,
    );
    let reads = async {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        drop(client);
        text
    };
    let (ended, text) = tokio::join!(spliced, reads);
    ended.unwrap();
    assert_eq!(text, "goodbye");
    let mut heard = [0; 1];
    assert_eq!(owner.read(&mut heard).await.unwrap(), 0);
}

/// Speaks, and fails whoever writes to it.
struct Deaf(DuplexStream);

impl AsyncRead for Deaf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
