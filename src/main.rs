//! The `emorun` program.

use std::alloc::{GlobalAlloc, Layout};
use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Keeps large blocks (see `main`) instead of handing them back to the system after every operation: clearing
/// fresh pages costs a training step on the CPU a tenth of its time.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Mimalloc, which notes what it could not give, so that the end of the program can be told.
struct Allocator;

// SAFETY: all is handed on to mimalloc as it comes, and what that gives is handed back.
#[expect(unsafe_code, reason = "an allocator is a promise that only its author can give")]
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        noted(unsafe { MiMalloc.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        noted(unsafe { MiMalloc.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { MiMalloc.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        noted(unsafe { MiMalloc.realloc(block, layout, size) }, size)
    }
}

fn noted(block: *mut u8, size: usize) -> *mut u8 {
    if block.is_null() {
        emorun_engine::memory::refuse(size);
    }
    block
}

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
