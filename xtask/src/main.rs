//! `cargo xtask generate` writes generated files, `cargo xtask tidy` checks that they are fresh and that the rules of
//! the workspace hold.
#![forbid(unsafe_code)]

mod abi;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Generated files: path below the workspace root, and what it should hold.
fn generated(root: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let header = read(&root.join("crates/abi/include/hadal/event.h"))?;
    Ok(vec![(root.join("crates/abi/src/generated.rs"), abi::generate(&header)?)])
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn generate(root: &Path) -> Result<(), String> {
    for (path, content) in generated(root)? {
        std::fs::write(&path, content).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned();
    let outcome = match std::env::args().nth(1).as_deref() {
        Some("generate") => generate(&root),
        Some("tidy") => tidy::check(&root),
        _ => Err("usage: cargo xtask generate|tidy".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
