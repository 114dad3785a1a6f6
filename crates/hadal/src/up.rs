//! `hadal up`: server and agent as two processes; each is started again if it dies.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::cli::UpOptions;
use crate::{EXIT_SETUP, server, stop};

/// How long a process may take to end before it is killed.
const END_WITHIN: Duration = Duration::from_secs(20);

/// A process that will not run, whatever is tried; it has said why.
#[derive(Debug)]
pub(crate) struct ChildFailed {
    name: &'static str,
    pub(crate) code: u8,
}

impl std::fmt::Display for ChildFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {} cannot run (see above)", self.name)
    }
}

impl std::error::Error for ChildFailed {}

/// Runs until a signal, or until a process cannot run.
pub(crate) fn run(options: &UpOptions) -> anyhow::Result<()> {
    let config = server::configuration(&options.server)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = stop::on_signal()?;
        let (server_arguments, agent_arguments) = (server_arguments(options), agent_arguments(options, config.agents));
        let (end_server, server_stop) = watch::channel(false);
        let (pid_in, server_pid) = watch::channel(0);
        let mut server = tokio::spawn(supervise("server", server_arguments, server_stop, pid_in));
        let mut early_stop = stop.clone();
        tokio::select! {
            () = ready(config.http, server_pid) => println!("Hadal is ready: http://{}", config.http),
            () = stop::stopped(&mut early_stop) => {}
            ended = &mut server => return ended?,
        }
        let agent = supervise("agent", agent_arguments, stop, watch::Sender::new(0));
        // The agent ends first, so that the server takes its last rows.
        let outcome = tokio::select! {
            ended = agent => ended,
            ended = &mut server => return ended?,
        };
        let _ = end_server.send(true);
        server.await??;
        outcome
    })
}

fn server_arguments(options: &UpOptions) -> Vec<String> {
    let mut arguments = vec!["server".to_owned(), "--supervised".to_owned()];
    let server = &options.server;
    let mut add = |flag: &str, value: Option<String>| {
        arguments.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    };
    add("--config", server.common.config.as_ref().map(|path| path.display().to_string()));
    add("--data", server.data.as_ref().map(|path| path.display().to_string()));
    add("--http", server.http.map(|address| address.to_string()));
    add("--agents", server.agents.map(|address| address.to_string()));
    add("--user", Some(server.user.clone()));
    arguments
}

fn agent_arguments(options: &UpOptions, agents: SocketAddr) -> Vec<String> {
    let mut arguments =
        vec!["agent".to_owned(), "--supervised".to_owned(), "--server".to_owned(), format!("http://{agents}")];
    let config = options.server.common.config.as_ref().map(|path| path.display().to_string());
    arguments.extend(config.into_iter().flat_map(|path| ["--config".to_owned(), path]));
    arguments.extend(options.name.iter().flat_map(|name| ["--name".to_owned(), name.clone()]));
    arguments.extend(options.capture_level.iter().flat_map(|level| ["--capture-level".to_owned(), level.clone()]));
    arguments
}

/// Waits until our own server answers; another one may have the port.
async fn ready(address: SocketAddr, pid: watch::Receiver<u32>) {
    loop {
        // Copied out first: the guard would keep the supervisor from writing while we wait.
        let pid = *pid.borrow();
        if answers(address, pid).await.unwrap_or(false) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn answers(address: SocketAddr, pid: u32) -> std::io::Result<bool> {
    let mut connection = tokio::net::TcpStream::connect(address).await?;
    connection.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer.contains(&format!("x-hadal-pid: {pid}\r\n")))
}

fn start(arguments: &[String]) -> anyhow::Result<Child> {
    let executable = std::env::current_exe().context("cannot find the own executable")?;
    let mut command = Command::new(executable);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    // A terminal's interrupt reaches the whole group; only the supervisor acts on it, in its order.
    command.process_group(0);
    command.spawn().context("cannot start a process")
}

/// Keeps a process running until `stop`, and tells its id; an error if it says that it cannot run.
async fn supervise(
    name: &'static str,
    arguments: Vec<String>,
    mut stop: watch::Receiver<bool>,
    pid: watch::Sender<u32>,
) -> anyhow::Result<()> {
    let mut wait = Duration::from_millis(200);
    loop {
        let started = tokio::time::Instant::now();
        let mut child = start(&arguments)?;
        pid.send_replace(child.id().unwrap_or(0));
        tokio::select! {
            () = stop::stopped(&mut stop) => return end(name, &mut child).await,
            status = child.wait() => {
                let status = status?;
                if status.code() == Some(i32::from(EXIT_SETUP)) {
                    return Err(ChildFailed { name, code: EXIT_SETUP }.into());
                }
                tracing::error!("the {name} ended ({status}); starting it again in {wait:?}");
            }
        }
        wait = if started.elapsed() > Duration::from_secs(60) { Duration::from_millis(200) } else { wait };
        tokio::select! {
            () = stop::stopped(&mut stop) => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(Duration::from_secs(10));
    }
}

async fn end(name: &str, child: &mut Child) -> anyhow::Result<()> {
    if let Some(pid) = child.id() {
        kill(Pid::from_raw(pid as i32), Signal::SIGTERM)?;
    }
    if tokio::time::timeout(END_WITHIN, child.wait()).await.is_err() {
        tracing::error!("the {name} does not end; killing it");
        child.kill().await?;
    }
    Ok(())
}
