//! The `emorun` program.

use std::process::ExitCode;

/// Keeps large blocks instead of handing them back to the system after every operation: clearing
/// fresh pages costs a training step on the CPU a tenth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(emorun::cli::main(std::env::args_os()) as u8)
}
