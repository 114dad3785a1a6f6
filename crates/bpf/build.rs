//! Compiles the kernel programs with clang. The object is embedded in the library; nothing is compiled at run time.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let manifest = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let sources = manifest.join("src/c");
    let abi = manifest.join("../abi/include");
    println!("cargo:rerun-if-changed={}", sources.display());
    println!("cargo:rerun-if-changed={}", abi.display());
    println!("cargo:rerun-if-env-changed=CLANG");

    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let libbpf = std::env::var("DEP_BPF_INCLUDE").expect("libbpf-sys exports its include folder");
    // The kernels of level C know no atomic instructions that give the old value.
    for (level, cpu) in [("a", "v3"), ("b", "v3"), ("c", "v2")] {
        let source = sources.join(format!("level_{level}.bpf.c"));
        let status = Command::new(&clang)
            .args(["-target", "bpf", "-O2", "-g", "-Wall", "-Wextra", "-Werror"])
            .args(["-Wno-unused-parameter", "-Wno-unused-function"])
            .args([format!("-mcpu={cpu}"), format!("-D__TARGET_ARCH_{}", target_arch())])
            .args(["-I", &libbpf])
            .args([Path::new("-I"), &abi, Path::new("-I"), &sources, Path::new("-c"), &source])
            .arg("-o")
            .arg(out.join(format!("level_{level}.bpf.o")))
            .status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => panic!("{clang} failed with {status}"),
            Err(error) => {
                panic!("cannot run {clang}: {error}; install it (Debian: apt-get install clang) or set CLANG")
            }
        }
    }
}

fn target_arch() -> &'static str {
    match std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => "x86",
        Ok("aarch64") => "arm64",
        other => panic!("no kernel programs for {other:?}: x86_64 and aarch64 only"),
    }
}
