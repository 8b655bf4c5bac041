//! Stands between links and a redis-server, and cuts those who read the stream until there is something to read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Redis;

/// Ends with its value.
pub(crate) struct LateReaders {
    path: PathBuf,
    open: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl LateReaders {
    pub(crate) fn before(redis: &Redis) -> Result<Self, Box<dyn std::error::Error>> {
        let path = redis.folder().join("late.sock");
        let listener = UnixListener::bind(&path)?;
        let open = watch::Sender::new(false);
        let (server, may_read) = (Arc::from(redis.socket()), open.subscribe());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, Arc::clone(&server), may_read.clone()));
            }
        });
        Ok(Self {
            path,
            open,
            accepting,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.path.display())
    }

    /// From now on who reads is let through.
    pub(crate) fn let_read(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for LateReaders {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Ends when either side does, or when a reader comes too early: one that never asked who the server is, as the task
/// that sends does at once.
async fn carry(
    mut client: UnixStream,
    server: Arc<Path>,
    may_read: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut server = UnixStream::connect(server).await?;
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut sends = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let bytes = &asked[..read?];
                let has = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
                sends |= has(b"\r\nINFO\r\n");
                let too_early = !sends && !*may_read.borrow() && (has(b"XREAD") || has(b"XREVRANGE"));
                if bytes.is_empty() || too_early {
                    return Ok(());
                }
                server.write_all(bytes).await?;
            }
            read = server.read(&mut answered) => {
                let bytes = &answered[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                client.write_all(bytes).await?;
            }
        }
    }
}
