//! Stands between links and a redis-server, and cuts them off at moments that matter.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Redis;

/// Who is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Nobody,
    /// Those who read the stream.
    Readers,
    /// The next one that runs a script: Redis gets it, and its answer is lost.
    Answer,
}

/// Ends with its value.
pub(crate) struct Between {
    path: PathBuf,
    cut: watch::Sender<Cut>,
    accepting: JoinHandle<()>,
}

impl Between {
    pub(crate) fn put(redis: &Redis, cut: Cut) -> Result<Self, Box<dyn std::error::Error>> {
        let path = redis.folder().join("between.sock");
        let listener = UnixListener::bind(&path)?;
        let cut = watch::Sender::new(cut);
        let (server, told) = (Arc::from(redis.socket()), cut.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, Arc::clone(&server), told.clone()));
            }
        });
        Ok(Self {
            path,
            cut,
            accepting,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.path.display())
    }

    pub(crate) fn cut(&self, who: Cut) {
        self.cut.send_replace(who);
    }

    /// Who is cut off now.
    pub(crate) fn cuts(&self) -> Cut {
        *self.cut.borrow()
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Ends when either side does, or when it cuts.
async fn carry(
    mut client: UnixStream,
    server: Arc<Path>,
    cut: watch::Sender<Cut>,
) -> std::io::Result<()> {
    let mut server = UnixStream::connect(server).await?;
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    // The task that sends asks who the server is; the one that reads doesn't.
    let mut reads = true;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let bytes = &asked[..read?];
                let has = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
                reads &= !has(b"\r\nINFO\r\n");
                let now = *cut.borrow();
                let reads = reads && (has(b"XREAD") || has(b"XREVRANGE"));
                if bytes.is_empty() || (now == Cut::Readers && reads) {
                    return Ok(());
                }
                server.write_all(bytes).await?;
                if now == Cut::Answer && has(b"EVAL") {
                    // Once there is an answer, it was carried out.
                    server.readable().await?;
                    cut.send_replace(Cut::Nobody);
                    return Ok(());
                }
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
