//! `hadal doctor`: what this host allows.

use std::process::ExitCode;

use hadal_bpf::{Bpf, Capability, CapabilityState};
use hadal_model::LossCause;
use serde_json::json;

use crate::cli::DoctorOptions;
use crate::query;

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

/// What was lost in the last hour, by agent and cause; nothing where no server answers.
fn losses(url: &str) -> Vec<Capability> {
    let sql = "SELECT agent, cause, sum(`count`) FROM hadal.loss WHERE time >= now() - 3600 GROUP BY agent, cause ORDER BY 3 DESC";
    let Ok(rows) = query::rows(url, "hadal", sql) else { return Vec::new() };
    let ok = |why: &str| Capability {
        name: "losses",
        state: CapabilityState::Ok,
        why: why.to_owned(),
        what_to_do: String::new(),
    };
    if rows.is_empty() {
        return vec![ok("nothing was lost in the last hour")];
    }
    let line = |row: &Vec<String>| {
        let [agent, cause, count] = row.as_slice() else { return ok("") };
        Capability {
            name: "losses",
            state: CapabilityState::Degraded,
            why: format!("{agent}: {count} × {cause} in the last hour"),
            what_to_do: LossCause::from_name(cause).map_or("", LossCause::describe).to_owned(),
        }
    };
    rows.iter().map(line).collect()
}

/// Prints each check; exit code 0 if all is well, 1 if something is degraded, 2 if something is missing.
pub(crate) fn run(options: &DoctorOptions) -> ExitCode {
    let loaded = Bpf::load(hadal_bpf::Config { level: options.capture_level, ..hadal_bpf::Config::default() });
    let mut checks = hadal_bpf::capabilities(loaded.as_ref().map(Bpf::capabilities));
    drop(loaded);
    checks.push(library());
    checks.extend(losses(&options.url));
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
