//! Signals that end a process in order.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// A flag that becomes true on SIGINT or SIGTERM.
pub(crate) fn on_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        // Nobody may be listening any more.
        let _ = sender.send(true);
        // A second signal does not wait.
        tokio::select! {
            _ = interrupt.recv() => std::process::exit(130),
            _ = terminate.recv() => std::process::exit(143),
        }
    });
    Ok(receiver)
}

/// Waits until the flag is true.
pub(crate) async fn stopped(flag: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could set it: the process ends.
    let _ = flag.wait_for(|stop| *stop).await.map(|_| ());
}
