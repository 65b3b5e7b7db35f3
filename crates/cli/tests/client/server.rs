//! An HTTP server of a few lines, whose answers the test scripts.

use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// What a client asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub body: Vec<u8>,
}

/// What it gets.
pub enum Answer {
    Json(u16, String),
    /// These bytes instead of HTTP.
    Raw(Vec<u8>),
    /// The connection is closed without an answer.
    Close,
    /// Server-sent events, as long as the sender lives.
    Events(mpsc::Receiver<String>),
    /// An answer that takes its time.
    Late(Duration, Box<Answer>),
}

impl Answer {
    pub fn ok(text: impl Into<String>) -> Self {
        Self::Json(200, text.into())
    }

    pub fn refused(status: u16, code: &str, message: &str, remedy: &str) -> Self {
        let error = serde_json::json!({ "code": code, "message": message, "remedy": remedy });
        Self::Json(status, serde_json::json!({ "error": error }).to_string())
    }
}

type Handler = dyn Fn(Request) -> Answer + Send + Sync;

/// A server on a port of its own. Its threads end with the process.
pub struct Server {
    pub url: String,
}

impl Server {
    pub fn new(handler: impl Fn(Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let handler: Arc<Handler> = Arc::new(handler);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let handler = Arc::clone(&handler);
                std::thread::spawn(move || serve(stream.unwrap(), &*handler));
            }
        });
        Self { url }
    }

    /// Answers everything with the same.
    pub fn json(text: &str) -> Self {
        let text = text.to_owned();
        Self::new(move |_| Answer::ok(text.clone()))
    }

    /// The address of a port on which nobody listens.
    pub fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }
}

/// Serves a connection until either end closes it.
fn serve(stream: TcpStream, handler: &Handler) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        if write(&stream, handler(request)).is_none() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim_end().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, body })
}

/// Writes an answer; nothing if the connection is not to be used again.
fn write(mut stream: &TcpStream, answer: Answer) -> Option<()> {
    match answer {
        Answer::Json(status, text) => {
            let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n", text.len());
            stream.write_all((head + &text).as_bytes()).ok()
        }
        Answer::Raw(bytes) => {
            stream.write_all(&bytes).ok()?;
            None
        }
        Answer::Close => None,
        Answer::Late(time, answer) => {
            // Nobody unparks this thread, and a moment more or less does not matter.
            std::thread::park_timeout(time);
            write(stream, *answer)
        }
        Answer::Events(events) => {
            let head = "HTTP/1.1 200 x\r\nContent-Type: text/event-stream\r\n\
                        Transfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).ok()?;
            for text in events {
                write!(stream, "{:x}\r\n{text}\r\n", text.len()).ok()?;
            }
            None
        }
    }
}
