//! Rights: the server gives up root before it touches data, the agent keeps what it needs.

use std::path::Path;

use anyhow::{Context, bail};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, User, chown, geteuid, getppid, setgroups, setresgid, setresuid};

/// Makes the kernel end this process when its supervisor ends. After a change of user, which would undo it.
pub(crate) fn end_with_parent() -> anyhow::Result<()> {
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    if getppid().as_raw() == 1 {
        bail!("the supervisor has ended already");
    }
    Ok(())
}

/// As root: creates `data` for `user` and becomes that user for good. As anybody else: nothing.
pub(crate) fn drop_to(user: &str, data: &Path) -> anyhow::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let found = User::from_name(user).ok().flatten();
    let found =
        found.with_context(|| format!("there is no user {user}: create it, or choose another one with --user"))?;
    if found.uid.is_root() {
        return Ok(());
    }
    own(data, found.uid, found.gid)?;
    setgroups(&[])?;
    setresgid(found.gid, found.gid, found.gid)?;
    setresuid(found.uid, found.uid, found.uid)?;
    prctl::set_no_new_privs()?;
    Ok(())
}

fn own(data: &Path, uid: Uid, gid: Gid) -> anyhow::Result<()> {
    std::fs::create_dir_all(data)
        .and_then(|()| std::fs::metadata(data))
        .with_context(|| format!("cannot create the data directory {}", data.display()))?;
    chown(data, Some(uid), Some(gid)).with_context(|| format!("cannot give {} to the server's user", data.display()))
}
