//! A broker that speaks Kafka's protocol: the mock cluster of librdkafka, inside a Python process of the test's own. It keeps
//! nothing over its end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Makes the topics that it is told, and answers each line with one.
const PROGRAM: &str = r#"
import sys
from confluent_kafka import Producer
p = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 3})
broker = next(iter(p.list_topics(timeout=30).brokers.values()))
print(f"{broker.host}:{broker.port}", flush=True)
for line in sys.stdin:
    p.list_topics(line.strip(), timeout=30)
    print("made", flush=True)
"#;

/// The mock cluster. It ends with this.
pub(crate) struct Mock {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) url: String,
}

impl Mock {
    /// Starts one with the Python that `KAFKA_PYTHON` names, which has `confluent-kafka`.
    pub(crate) fn start() -> Self {
        let python = std::env::var("KAFKA_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut command = Command::new(python);
        command.args(["-c", PROGRAM]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut mock = Self {
            child,
            input,
            output: BufReader::new(output),
            url: String::new(),
        };
        mock.url = format!("kafka://{}", mock.line());
        mock
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).unwrap();
        assert!(read > 0, "it ended: is confluent-kafka installed for it?");
        line.trim().to_owned()
    }

    pub(crate) fn make(&mut self, topic: &str) {
        writeln!(self.input, "{topic}").unwrap();
        assert_eq!(self.line(), "made");
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        // It may have ended already; either way nothing is left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
