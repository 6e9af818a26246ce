//! `emorun schema`: the JSON Schemas of the files, from the same types that read them.

use std::path::PathBuf;

use clap::Args;
use emorun_prepare::Preparation;

use super::print;
use emorun_engine::exit::Failure;
use emorun_engine::train::checkpoint::write_atomically;
use emorun_experiment::prepare::language;
use emorun_runs::run::sweep::SweepFile;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Write nothing; fail if a schema on disk is not up to date.
    #[arg(long)]
    check: bool,
    /// Folder of the schemas.
    #[arg(long, default_value = "schemas")]
    folder: PathBuf,
}

/// File names and texts of all schemas.
///
/// # Errors
/// There is no current directory.
pub fn schemas() -> Result<Vec<(&'static str, String)>, Failure> {
    let pretty = |schema: &serde_json::Value| format!("{schema:#}\n");
    let titled = |mut schema: serde_json::Value, title: &str| {
        if let Some(object) = schema.as_object_mut() {
            object.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
            object.insert("title".into(), title.into());
        }
        schema
    };
    let sweep = titled(emorun_lang::schema_of::<SweepFile>(), "emorun model_runs file");
    let preparation = titled(emorun_lang::schema_of::<Preparation>(), "emorun preparation file");
    Ok(vec![
        ("experiment.schema.json", pretty(&language()?.schema())),
        ("model_runs.schema.json", pretty(&sweep)),
        ("preparation.schema.json", pretty(&preparation)),
    ])
}

pub(super) fn schema(arguments: &Arguments) -> Result<(), Failure> {
    for (name, text) in schemas()? {
        let path = arguments.folder.join(name);
        if arguments.check {
            let found = std::fs::read_to_string(&path).map_err(Failure::io("read", &path))?;
            if found != text {
                return Err(Failure::Usage(format!(
                    "{} is not up to date; write it anew with: emorun schema",
                    path.display()
                )));
            }
            print(&format!("{} is up to date\n", path.display()));
        } else {
            std::fs::create_dir_all(&arguments.folder).map_err(Failure::io("create", &arguments.folder))?;
            write_atomically(&emorun_files::Files::default(), &path, text.as_bytes())?;
            print(&format!("wrote {}\n", path.display()));
        }
    }
    Ok(())
}
