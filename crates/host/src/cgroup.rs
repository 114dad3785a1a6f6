//! Container and systemd unit from the text of `/proc/<pid>/cgroup`. Pure.

/// What encloses a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Full id of the container.
    pub container_id: Option<String>,
    /// Systemd unit.
    pub systemd_unit: Option<String>,
}

/// Reads the scope off the cgroup paths, v1 and v2 alike (`hierarchy:controllers:path`, cgroups(7)).
pub fn scope_of(cgroup: &str) -> Scope {
    let paths = || cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    Scope {
        container_id: paths().find_map(|path| path.split('/').rev().find_map(container_id)),
        systemd_unit: paths().find_map(|path| path.split('/').rev().find_map(unit)),
    }
}

/// `docker-<id>.scope`, `cri-containerd-<id>.scope`, `crio-<id>`, `<id>`: the last 64 hexadecimal digits.
fn container_id(component: &str) -> Option<String> {
    let name = component.trim_end_matches(".scope");
    let id = name.rsplit(['-', ':']).next()?;
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_owned())
}

/// A service; those of a user's session manager and the session itself say nothing about the program.
fn unit(component: &str) -> Option<String> {
    let is_unit = component.ends_with(".service") && !component.starts_with("user@");
    is_unit.then(|| component.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn check(path: &str, container: bool, unit: Option<&str>) {
        let scope = scope_of(&format!("12:pids:/\n0::{path}\n"));
        let want = Scope { container_id: container.then(|| ID.to_owned()), systemd_unit: unit.map(str::to_owned) };
        assert_eq!(scope, want, "{path}");
    }

    #[test]
    fn scopes() {
        check("/", false, None);
        check("/system.slice/nginx.service", false, Some("nginx.service"));
        check("/user.slice/user-0.slice/user@0.service/app.slice", false, None);
        check(&format!("/docker/{ID}"), true, None);
        check(&format!("/system.slice/docker-{ID}.scope"), true, None);
        check(&format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"), true, None);
        check(&format!("/kubepods/besteffort/pod1/{ID}/init"), true, None);
        check(
            &format!("/system.slice/containerd.service/kubepods:cri-containerd:{ID}"),
            true,
            Some("containerd.service"),
        );
        assert_eq!(scope_of("garbage\n::\n"), Scope::default());
    }
}
