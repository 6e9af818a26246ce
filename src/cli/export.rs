//! `emorun runs export`: runs shown elsewhere.

use std::path::Path;

use emorun_catalogue::plain;
use emorun_engine::exit::Failure;
use emorun_fetch::Network;
use emorun_mlflow::{Credentials, Exported, MlflowError, Server};

use super::runs::{catalogue_of, failed as not_found};
use super::{print, tell};

/// Exports runs to the tracking server at an address.
pub(super) fn export(root: &Path, names: &[String], address: &str) -> Result<(), Failure> {
    let server = Server::new(address, &Credentials::from_env(), &Network::from_env()).map_err(failed)?;
    let catalogue = catalogue_of(root, names)?;
    for run in catalogue.find_all(names).map_err(not_found)? {
        for (place, exported) in emorun_mlflow::export(&server, &catalogue, run).map_err(failed)? {
            for remark in &exported.remarks {
                tell(&format!("{}: {remark}", plain(&place)));
            }
            print(&format!("{}\n", line(&server, &place, &exported)));
        }
    }
    Ok(())
}

fn line(server: &Server, place: &str, exported: &Exported) -> String {
    let Exported {
        run_id,
        experiment_id,
        is_new,
        points,
        params,
        files,
        ..
    } = exported;
    let what = if *is_new { "new" } else { "was there" };
    format!(
        "{}: {what}; added {points} point(s) of metrics and {params} parameter(s), put {files} file(s): {}/#/experiments/{experiment_id}/runs/{run_id}",
        plain(place),
        server.address()
    )
}

/// An error with the exit code of its kind.
fn failed(error: MlflowError) -> Failure {
    let message = error.to_string();
    match error {
        MlflowError::Address { .. } | MlflowError::Run { .. } => Failure::Usage(message),
        MlflowError::Deleted { .. } => Failure::Conflict(message),
        MlflowError::Read { path, source } => Failure::Io {
            action: "read",
            path,
            source,
        },
        MlflowError::Network(_)
        | MlflowError::NoAnswer { .. }
        | MlflowError::Refused { .. }
        | MlflowError::Answer { .. } => Failure::Input(message),
    }
}
