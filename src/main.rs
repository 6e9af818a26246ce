//! The `emorun` program.

use std::alloc::{GlobalAlloc, Layout};
#[cfg(not(feature = "wgpu"))]
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

#[cfg(not(feature = "wgpu"))]
fn main() -> ExitCode {
    ExitCode::from(run())
}

#[cfg(feature = "wgpu")]
fn main() {
    end(run())
}

/// Runs the program and gives its exit code.
fn run() -> u8 {
    // SAFETY: sets an integer option of the allocator, before other threads exist.
    #[expect(unsafe_code, reason = "the allocator's options are set through its C interface")]
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, -1);
    }
    emorun::cli::main(std::env::args_os()) as u8
}

/// Ends the program without what drivers have left to be done at its end: they take apart what threads of Burn's GPU
/// runtime, which nobody joins, still hold, and the program ends with SIGSEGV after all its work is done (tracel-ai/cubecl
/// #77, gfx-rs/wgpu #8365; seen with Mesa's software device). Everything of ours is written by now, stdout apart.
#[cfg(feature = "wgpu")]
fn end(code: u8) -> ! {
    emorun_engine::terminal::flush();
    // SAFETY: ends the process; nothing runs afterwards.
    #[expect(
        unsafe_code,
        reason = "the standard library always runs what was left to be done at exit"
    )]
    unsafe {
        libc::_exit(code.into())
    }
}
