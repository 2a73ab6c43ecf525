//! Compiles the eBPF program with clang, once for each way of reading kernel memory. A user's machine needs neither clang nor
//! headers: the objects are part of the binary.

use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = "src/observe/program.bpf.c";
const HEADERS: [&str; 12] = [
    "src/observe/kernel.h",
    "src/observe/state.h",
    "src/observe/files.h",
    "src/observe/tasks.h",
    "src/observe/bucket.h",
    "src/observe/shed.h",
    "src/observe/aio.h",
    "src/observe/changes.h",
    "src/observe/slots.h",
    "src/observe/uring.h",
    "src/observe/compat.h",
    "src/observe/places.h",
];

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    HEADERS.iter().for_each(|header| println!("cargo::rerun-if-changed={header}"));
    println!("cargo::rerun-if-env-changed=CLANG");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    compile(&out.join("program.casts.o"), &["-DCASTS"]);
    compile(&out.join("program.reads.o"), &[]);
}

/// v3 has the 32-bit jumps that keep the program small (Linux 5.1).
fn compile(object: &Path, defines: &[&str]) {
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let mut command = Command::new(&clang);
    command.args(["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-Wno-unused-function", "-Werror"]);
    run(command.args(defines).args(["-c", SOURCE, "-o"]).arg(object), "clang");
    // Debug information, but not BTF, which the kernel wants.
    run(Command::new("llvm-strip").arg("-g").arg(object), "llvm");
}

fn run(command: &mut Command, package: &str) {
    let status = command.status().unwrap_or_else(|cause| {
        panic!("{command:?}: {cause}. Install it: tools/deps.sh build (the package is {package})")
    });
    assert!(status.success(), "{command:?}: {status}");
}
