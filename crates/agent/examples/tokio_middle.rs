//! A server between two others, for the test of traces through tokio: whoever answers a request calls the next server over
//! pooled connections, each of which belongs to a task of its own. `tokio_middle PORT` says which port it serves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

/// What to ask, and who waits for the answer.
type Call = (String, oneshot::Sender<()>);
type Pool = Arc<Mutex<Vec<mpsc::Sender<Call>>>>;

/// The head of the next message; `None` at the end.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = vec![0; 4096];
    let length = stream.read(&mut bytes).await.ok().filter(|length| *length > 0)?;
    bytes.truncate(length);
    String::from_utf8(bytes).ok()
}

async fn serve_calls(mut stream: TcpStream, mut calls: mpsc::Receiver<Call>) {
    while let Some((path, done)) = calls.recv().await {
        let request = format!("GET {path} HTTP/1.1\r\nHost: back\r\n\r\n");
        if stream.write_all(request.as_bytes()).await.is_err() || head(&mut stream).await.is_none() {
            return;
        }
        let _ = done.send(());
    }
}

async fn call(pool: &Pool, port: u16, path: String) -> Option<()> {
    let pooled = pool.lock().ok()?.pop();
    let connection = match pooled {
        Some(connection) => connection,
        None => {
            let (connection, calls) = mpsc::channel(1);
            tokio::spawn(serve_calls(TcpStream::connect(("127.0.0.1", port)).await.ok()?, calls));
            connection
        }
    };
    let (done, answered) = oneshot::channel();
    connection.send((path, done)).await.ok()?;
    answered.await.ok()?;
    pool.lock().ok()?.push(connection);
    Some(())
}

/// Every other request makes its calls at once, in tasks of their own.
async fn answer(mut stream: TcpStream, pool: Pool, port: u16) -> Option<()> {
    while let Some(request) = head(&mut stream).await {
        let number: u64 = request.split(' ').nth(1)?.strip_prefix("/r/")?.parse().ok()?;
        let path = |step| format!("/d/{number}/{step}");
        if number.is_multiple_of(2) {
            let second = tokio::spawn({
                let (pool, path) = (Arc::clone(&pool), path(2));
                async move { call(&pool, port, path).await }
            });
            call(&pool, port, path(1)).await?;
            second.await.ok()??;
        } else {
            call(&pool, port, path(1)).await?;
            tokio::time::sleep(Duration::from_millis(number % 7)).await;
            call(&pool, port, path(2)).await?;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.ok()?;
    }
    Some(())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(80);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    let pool = Pool::default();
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(answer(stream, Arc::clone(&pool), port));
    }
}
