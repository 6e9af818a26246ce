//! Writes the report of a run, to look at: `cargo run --release -p emorun-report --example report -- RUN FOLDER OUT`.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use emorun_report::Report;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [run, folder, out] = arguments.as_slice() else {
        return Err("which run, which folder of it, and where to?".into());
    };
    let (started, out) = (Instant::now(), Path::new(out));
    let report = Report::of(Path::new(run), Path::new(folder))?;
    let page = report.page()?;
    let seconds = started.elapsed().as_secs_f64();
    let files = report.for_papers()?;
    let all = started.elapsed().as_secs_f64();
    println!(
        "page {} bytes in {seconds:.3} s; {} files for papers, {all:.3} s in all",
        page.len(),
        files.len()
    );
    for (name, bytes) in files.into_iter().chain([("index.html".to_owned(), page.into_bytes())]) {
        let path = out.join(name);
        fs::create_dir_all(path.parent().unwrap_or(out))?;
        fs::write(path, bytes)?;
    }
    Ok(())
}
