//! The proxy does what its modes say.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use lakh_chaos::proxy::{Cut, Flow, Gate, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::timeout;

type Tested = Result<(), Box<dyn Error>>;

/// Long enough to tell silence from slowness where silence is what is expected.
const SILENCE: Duration = Duration::from_millis(100);

struct Line {
    gates: Arc<[Gate]>,
    listener: TcpListener,
    proxy: Proxy,
}

impl Line {
    async fn new() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let gates = Gate::row(1);
        let target = listener.local_addr()?;
        let proxy = Proxy::listen(0, vec![target], Arc::clone(&gates), |_| Some(0)).await?;
        Ok(Self {
            gates,
            listener,
            proxy,
        })
    }

    async fn connect(&self) -> io::Result<(TcpStream, TcpStream)> {
        let near = TcpStream::connect(self.proxy.address).await?;
        let (far, _) = self.listener.accept().await?;
        Ok((near, far))
    }
}

async fn passes(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
    from.write_all(b"hello").await?;
    let mut bytes = [0; 5];
    to.read_exact(&mut bytes).await?;
    assert_eq!(&bytes, b"hello");
    Ok(())
}

fn is_reset<T: std::fmt::Debug>(result: io::Result<T>) {
    let kind = result.map_err(|error| error.kind());
    assert_eq!(kind.err(), Some(io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn what_is_open_passes_both_ways_to_its_end() -> Tested {
    let local = LocalSet::new();
    let tested = local.run_until(async {
        let line = Line::new().await?;
        let (mut near, mut far) = line.connect().await?;
        passes(&mut near, &mut far).await?;
        passes(&mut far, &mut near).await?;
        near.shutdown().await?;
        assert_eq!(far.read(&mut [0; 1]).await?, 0);
        passes(&mut far, &mut near).await?;
        Ok(())
    });
    tested.await
}

#[tokio::test]
async fn a_reset_reaches_both_sides_and_spares_the_next_connection() -> Tested {
    let local = LocalSet::new();
    let tested = local.run_until(async {
        let line = Line::new().await?;
        let (mut near, mut far) = line.connect().await?;
        passes(&mut near, &mut far).await?;
        line.gates[0].cut(Cut::Reset);
        is_reset(near.read(&mut [0; 1]).await);
        is_reset(far.read(&mut [0; 1]).await);
        let (mut near, mut far) = line.connect().await?;
        passes(&mut near, &mut far).await?;
        Ok(())
    });
    tested.await
}

#[tokio::test]
async fn the_far_side_of_a_half_open_connection_is_not_told() -> Tested {
    let local = LocalSet::new();
    let tested = local.run_until(async {
        let line = Line::new().await?;
        let (mut near, mut far) = line.connect().await?;
        passes(&mut near, &mut far).await?;
        line.gates[0].cut(Cut::HalfOpen);
        is_reset(near.read(&mut [0; 1]).await);
        // It may write, and hears nothing.
        far.write_all(b"are you there").await?;
        let heard = timeout(SILENCE, far.read(&mut [0; 1])).await;
        assert!(heard.is_err(), "{heard:?}");
        Ok(())
    });
    tested.await
}

#[tokio::test]
async fn what_is_held_comes_later_with_new_connections_and_ends() -> Tested {
    let local = LocalSet::new();
    let tested = local.run_until(async {
        let line = Line::new().await?;
        let (mut near, mut far) = line.connect().await?;
        line.gates[0].set(Flow::Held);
        near.write_all(b"hello").await?;
        near.shutdown().await?;
        let _other = TcpStream::connect(line.proxy.address).await?;
        let mut bytes = Vec::new();
        let heard = timeout(SILENCE, far.read_to_end(&mut bytes)).await;
        assert!(heard.is_err() && bytes.is_empty(), "{heard:?} {bytes:?}");
        let come = timeout(SILENCE, line.listener.accept()).await;
        assert!(come.is_err(), "{come:?}");
        line.gates[0].set(Flow::Open);
        far.read_to_end(&mut bytes).await?;
        assert_eq!(bytes, b"hello");
        line.listener.accept().await?;
        Ok(())
    });
    tested.await
}

#[tokio::test]
async fn what_is_refused_is_reset() -> Tested {
    let local = LocalSet::new();
    let tested = local.run_until(async {
        let line = Line::new().await?;
        let (mut near, mut far) = line.connect().await?;
        line.gates[0].set(Flow::Refused);
        passes(&mut near, &mut far).await?;
        let mut refused = TcpStream::connect(line.proxy.address).await?;
        is_reset(refused.read(&mut [0; 1]).await);
        Ok(())
    });
    tested.await
}
