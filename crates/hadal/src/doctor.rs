//! `hadal doctor`: what this host allows.

use std::process::ExitCode;

use hadal_bpf::{Bpf, Capability, CapabilityState};
use serde_json::json;

use crate::cli::DoctorOptions;

fn library() -> Capability {
    let found = hadal_store::find_library();
    Capability {
        name: "embedded store",
        state: if found.is_ok() { CapabilityState::Ok } else { CapabilityState::Missing },
        why: match &found {
            Ok((path, _)) => format!("libchdb is {}", path.display()),
            Err(error) => error.to_string(),
        },
        what_to_do: if found.is_ok() { String::new() } else { "run `make setup`".to_owned() },
    }
}

/// Prints each check; exit code 0 if all is well, 1 if something is degraded, 2 if something is missing.
pub(crate) fn run(options: &DoctorOptions) -> ExitCode {
    let loaded = Bpf::load(hadal_bpf::Config::default()).map(drop);
    let mut checks = hadal_bpf::capabilities(loaded.as_ref().copied());
    checks.push(library());
    for check in &checks {
        if options.json {
            let line = json!({"name": check.name, "state": check.state.as_str(), "why": check.why, "what_to_do": check.what_to_do});
            println!("{line}");
            continue;
        }
        println!("{:<9} {:<26} {}", check.state.as_str(), check.name, check.why);
        if !check.what_to_do.is_empty() {
            println!("{:<9} {:<26} → {}", "", "", check.what_to_do);
        }
    }
    let worst = checks.iter().map(|check| match check.state {
        CapabilityState::Ok => 0,
        CapabilityState::Degraded => 1,
        CapabilityState::Missing => 2,
    });
    ExitCode::from(worst.max().unwrap_or(0))
}
