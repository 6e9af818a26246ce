//! Where the weights of a network come from, as far as it is to be known before it is built.

use crate::ancestry::{self, Ancestry};
use emorun_engine::settings::{FileLayout, InitFrom};

/// What is wrong with how `init_from` is written: the field, as a dotted path behind it, what is wrong and what helps.
pub(super) fn mistake(from: &InitFrom) -> Option<(&'static str, String, &'static str)> {
    let of_a_file = [
        (".map", from.map.is_empty()),
        (".layout", from.layout == FileLayout::default()),
        (".classes", from.classes.is_empty()),
    ];
    match (&from.run, &from.file) {
        (Some(_), Some(_)) => Some((
            ".file",
            "weights come from a run or from a file, not from both".into(),
            "leave one of them out",
        )),
        (None, None) => Some((
            "",
            "it is not said where the weights come from".into(),
            "give `run: DIRECTORY` or `file: FILE`",
        )),
        (Some(_), None) => {
            let (field, _) = of_a_file.into_iter().find(|(_, is_absent)| !is_absent)?;
            let message = format!("`{}` is only for `file`", &field[1..]);
            Some((
                field,
                message,
                "leave it out: a run says by itself what its tensors and classes are",
            ))
        }
        (None, Some(_)) => (!from.nodes.is_empty()).then(|| {
            (
                ".nodes",
                "`nodes` is only for `run`".into(),
                "say with `map` which of the file's tensors are taken",
            )
        }),
    }
}

/// The runs that weights come from.
///
/// # Errors
/// There is no such run or file; with the field that names it.
pub(super) fn ancestry(from: &InitFrom) -> Result<Ancestry, (&'static str, String)> {
    if let Some(run) = &from.run {
        if !run.as_path().join("run.json").is_file() {
            return Err((
                "run",
                format!("{} is no run directory: it has no run.json", run.as_str()),
            ));
        }
        return ancestry::of_run(run.as_path()).map_err(|failure| ("run", failure.to_string()));
    }
    let Some(file) = &from.file else {
        return Ok(Ancestry::new());
    };
    if !file.as_path().is_file() {
        return Err(("file", format!("there is no file {}", file.as_str())));
    }
    if let Some(run) = ancestry::checkpointed_run(file.as_path()) {
        return ancestry::of_run(run).map_err(|failure| ("file", failure.to_string()));
    }
    Ok(vec![ancestry::unknown(file.as_str())])
}
