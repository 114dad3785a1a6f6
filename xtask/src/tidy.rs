//! The rules of the workspace that the compiler does not check.

use std::path::Path;

/// Ring of each crate: a crate imports lower rings only, plus the same-ring imports listed in [`SAME_RING`].
const RINGS: &[(&str, u8)] = &[
    ("abi", 0),
    ("model", 0),
    ("l7", 1),
    ("flow", 1),
    ("tag", 1),
    ("sql", 1),
    ("trace", 1),
    ("testkit", 1),
    ("bpf", 2),
    ("host", 2),
    ("link", 2),
    ("store", 2),
    ("agent", 3),
    ("server", 3),
    ("hadal", 4),
];

/// Imports inside one ring, also named in ARCHITECTURE.md.
const SAME_RING: &[(&str, &str)] = &[("flow", "l7")];

/// Crates with `unsafe` code; all others must forbid it.
const UNSAFE_CRATES: &[&str] = &["abi", "bpf", "store"];

/// Helpers by which a kernel program could change what it observes.
const WRITE_HELPERS: &[&str] = &[
    "bpf_probe_write_user",
    "bpf_override_return",
    "bpf_skb_store_bytes",
    "bpf_setsockopt",
    "bpf_msg_push_data",
    "bpf_msg_redirect",
    "bpf_sk_redirect",
    "bpf_send_signal",
    "bpf_copy_to_user",
];

/// Runs every check; the error lists all violations.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let mut problems = Vec::new();
    problems.extend(stale_files(root)?);
    problems.extend(ring_violations(root)?);
    problems.extend(missing_forbid(root)?);
    problems.extend(write_helpers(root)?);
    problems.extend(module_files(root)?);
    if problems.is_empty() {
        println!("tidy: ok");
        return Ok(());
    }
    Err(problems.join("\n       "))
}

fn stale_files(root: &Path) -> Result<Vec<String>, String> {
    let stale = crate::generated(root)?
        .into_iter()
        .filter(|(path, content)| std::fs::read_to_string(path).map_or(true, |existing| existing != *content));
    Ok(stale.map(|(path, _)| format!("{} is stale: run `cargo xtask generate`", path.display())).collect())
}

fn ring(name: &str) -> Option<u8> {
    RINGS.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, ring)| *ring)
}

fn ring_violations(root: &Path) -> Result<Vec<String>, String> {
    let mut problems = Vec::new();
    for name in crates(root)? {
        let Some(own) = ring(&name) else {
            problems.push(format!("crate {name} has no ring: add it to xtask/src/tidy.rs and ARCHITECTURE.md"));
            continue;
        };
        let manifest = crate::read(&root.join("crates").join(&name).join("Cargo.toml"))?;
        for dependency in dependencies(&manifest) {
            let allowed = ring(&dependency).is_some_and(|ring| ring < own)
                || SAME_RING.contains(&(name.as_str(), dependency.as_str()));
            if !allowed {
                problems.push(format!("crate {name} (ring {own}) must not import {dependency}"));
            }
        }
    }
    Ok(problems)
}

/// Workspace crates in `[dependencies]`; tests may import what they like.
fn dependencies(manifest: &str) -> Vec<String> {
    let normal = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let normal = normal.split("\n[").next().unwrap_or_default();
    let names = normal.lines().filter_map(|line| line.strip_prefix("hadal-"));
    names.filter_map(|rest| rest.split(['.', ' ', '=']).next()).map(str::to_owned).collect()
}

fn crates(root: &Path) -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(root.join("crates")).map_err(|error| format!("cannot list crates: {error}"))?;
    let mut names: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

fn missing_forbid(root: &Path) -> Result<Vec<String>, String> {
    let mut problems = Vec::new();
    for name in crates(root)?.into_iter().filter(|name| !UNSAFE_CRATES.contains(&name.as_str())) {
        let source = root.join("crates").join(&name).join("src");
        let root_file = [source.join("lib.rs"), source.join("main.rs")].into_iter().find(|path| path.exists());
        let text = root_file.map(|path| crate::read(&path)).transpose()?.unwrap_or_default();
        if !text.contains("#![forbid(unsafe_code)]") {
            problems.push(format!("crate {name} must say #![forbid(unsafe_code)]"));
        }
    }
    Ok(problems)
}

fn write_helpers(root: &Path) -> Result<Vec<String>, String> {
    let mut problems = Vec::new();
    walk(&root.join("crates/bpf/src/c"), &mut |path| {
        let text = crate::read(path)?;
        let found = WRITE_HELPERS.iter().filter(|helper| text.contains(**helper));
        problems.extend(found.map(|helper| format!("{} calls {helper}: the agent is passive", path.display())));
        Ok(())
    })?;
    Ok(problems)
}

fn module_files(root: &Path) -> Result<Vec<String>, String> {
    let mut problems = Vec::new();
    walk(&root.join("crates"), &mut |path| {
        if path.ends_with("mod.rs") {
            problems.push(format!("{}: modules are foo.rs + foo/, no mod.rs", path.display()));
        }
        Ok(())
    })?;
    Ok(problems)
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path) -> Result<(), String>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            walk(&path, visit)?;
        } else {
            visit(&path)?;
        }
    }
    Ok(())
}
