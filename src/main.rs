//! The `emorun` program.

use std::process::ExitCode;

/// Keeps large blocks (see `main`) instead of handing them back to the system after every operation: clearing
/// fresh pages costs a training step on the CPU a tenth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`, which the bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> ExitCode {
    // SAFETY: sets an integer option of the allocator, before other threads exist.
    #[expect(unsafe_code, reason = "the allocator's options are set through its C interface")]
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, -1);
    }
    ExitCode::from(emorun::cli::main(std::env::args_os()) as u8)
}
