//! The files of a latent space: a table, pictures, numbers, and TensorBoard's projector.

use std::fmt::Write as _;
use std::path::Path;

use emorun_figures::{PRINT_DPI, Scatter};
use emorun_files::Files;
use emorun_latent::{Labelling, Plane};
use emorun_tensorboard::{CONFIG_FILE, MOST_PICTURES, ProjectorTensor, metadata_tsv, projector_config, vectors_tsv};

use super::{Latent, pictures};
use crate::run::dir::write_json;
use emorun_engine::exit::Failure;
use emorun_engine::train::checkpoint::write_atomically;

/// Written last: what holds it is whole.
const WHOLE: &str = "latent.json";
/// Folder of the projector, which `tensorboard --logdir` takes.
const PROJECTOR: &str = "projector";

/// Refuses a folder that holds a latent space, unless it may be replaced.
///
/// # Errors
/// It does.
pub fn free(folder: &Path, force: bool) -> Result<(), Failure> {
    if !force && folder.join(WHOLE).exists() {
        return Err(Failure::Conflict(format!(
            "{} holds a latent space already; replace it with --force, or choose another --out",
            folder.display()
        )));
    }
    Ok(())
}

/// Writes `latent.csv`, a picture for each way to a plane and each labelling as SVG and PNG, the projector's files and,
/// last, `latent.json`.
///
/// # Errors
/// A file cannot be written.
pub fn write(latent: &Latent, folder: &Path) -> Result<(), Failure> {
    let files = Files::default();
    let projector = folder.join(PROJECTOR);
    files
        .create_dir_all(&projector)
        .map_err(Failure::io("create", &projector))?;
    let whole = folder.join(WHOLE);
    if whole.exists() {
        files.remove_file(&whole).map_err(Failure::io("remove", &whole))?;
    }
    write_atomically(&files, &folder.join("latent.csv"), &table(latent)?)?;
    for plane in &latent.analysis.planes {
        for labelling in latent.seen.labellings.iter().filter(|one| !one.names.is_empty()) {
            draw(&files, folder, latent, plane, labelling)?;
        }
    }
    project(&files, &projector, latent)?;
    write_json(&files, &whole, latent)
}

fn label(labelling: &Labelling, item: usize) -> String {
    let class = labelling.classes.get(item).copied().flatten();
    class.map_or_else(String::new, |class| labelling.names[class].clone())
}

/// A line for each item: what it is, its classes, its places.
fn table(latent: &Latent) -> Result<Vec<u8>, Failure> {
    let unwritten = |error: csv::Error| Failure::Bug(error.to_string());
    let mut table = csv::Writer::from_writer(Vec::new());
    let (planes, labellings) = (&latent.analysis.planes, &latent.seen.labellings);
    let mut header = vec!["item".to_owned()];
    header.extend(labellings.iter().map(|labelling| labelling.name.clone()));
    for plane in planes {
        header.extend([1, 2].map(|axis| format!("{}_{axis}", plane.method.name())));
    }
    table.write_record(&header).map_err(unwritten)?;
    for (at, item) in latent.seen.items.iter().enumerate() {
        let mut fields = vec![item.key.to_string()];
        fields.extend(labellings.iter().map(|labelling| label(labelling, at)));
        for plane in planes {
            fields.extend(plane.places[at].map(|place| place.to_string()));
        }
        table.write_record(&fields).map_err(unwritten)?;
    }
    table.into_inner().map_err(|error| unwritten(error.into_error().into()))
}

fn draw(files: &Files, folder: &Path, latent: &Latent, plane: &Plane, labelling: &Labelling) -> Result<(), Failure> {
    let method = plane.method.title();
    let points: Vec<(f64, f64)> = plane.places.iter().map(|[x, y]| (*x, *y)).collect();
    let classes: Vec<usize> = labelling
        .classes
        .iter()
        .map(|class| class.unwrap_or(usize::MAX))
        .collect();
    let figure = Scatter {
        title: &format!("{} by {}, {method}", latent.node, labelling.name),
        x_label: &format!("{method} 1"),
        y_label: &format!("{method} 2"),
        points: &points,
        classes: &classes,
        labels: &labelling.names,
    }
    .draw();
    let stem = format!("{}.{}", plane.method.name(), labelling.name);
    let svg = figure.to_svg();
    write_atomically(files, &folder.join(format!("{stem}.svg")), svg.as_bytes())?;
    match figure.to_png_at(PRINT_DPI) {
        Ok(image) => write_atomically(files, &folder.join(format!("{stem}.png")), &image.bytes),
        Err(error) => {
            tracing::warn!("{stem}.png was not drawn: {error}");
            Ok(())
        }
    }
}

fn project(files: &Files, folder: &Path, latent: &Latent) -> Result<(), Failure> {
    let labellings = &latent.seen.labellings;
    let mut columns = vec!["item"];
    columns.extend(labellings.iter().map(|labelling| labelling.name.as_str()));
    let rows = latent.seen.items.iter().enumerate().map(|(at, item)| {
        let labels = labellings.iter().map(|labelling| label(labelling, at));
        std::iter::once(item.key.to_string()).chain(labels).collect()
    });
    let metadata = metadata_tsv(&columns, rows);
    write_atomically(
        files,
        &folder.join("tensors.tsv"),
        vectors_tsv(&latent.vectors).as_bytes(),
    )?;
    write_atomically(files, &folder.join("metadata.tsv"), metadata.as_bytes())?;
    let side = pictures::SIDE as u32;
    let sprite = (latent.seen.items.len() <= MOST_PICTURES).then_some(("sprite.png", [side, side]));
    if let Some((name, _)) = sprite {
        let image = pictures::spectrograms(&latent.seen.items, latent.rate_hz)?;
        write_atomically(files, &folder.join(name), &image.bytes)?;
    }
    let config = projector_config(&[ProjectorTensor {
        name: &latent.node,
        vectors: "tensors.tsv",
        metadata: "metadata.tsv",
        sprite,
    }]);
    write_atomically(files, &folder.join(CONFIG_FILE), config.as_bytes())
}

/// What was found, for people.
pub fn text(latent: &Latent) -> String {
    let analysis = &latent.analysis;
    let mut text = format!(
        "`{}` on the {} side: {} of {} items, {} numbers each\n",
        latent.node, latent.split, analysis.items, latent.items_of_split, analysis.width
    );
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    // Writing to a String does not fail.
    let _ = write!(text, "\n{:<18}{:>8}", "silhouette", "vectors");
    for plane in &analysis.planes {
        let _ = write!(text, "{:>8}", plane.method.title());
    }
    text.push('\n');
    for (at, separation) in analysis.silhouettes.iter().enumerate() {
        let classes = format!("{} ({})", separation.labelling, separation.classes);
        let _ = write!(text, "{classes:<18}{:>8}", number(separation.silhouette));
        for plane in &analysis.planes {
            let of_plane = plane.silhouettes.get(at).and_then(|one| one.silhouette);
            let _ = write!(text, "{:>8}", number(of_plane));
        }
        text.push('\n');
    }
    let _ = write!(text, "{:<26}", "trustworthiness");
    for plane in &analysis.planes {
        let _ = write!(text, "{:>8.3}", plane.trustworthiness);
    }
    text.push('\n');
    match &analysis.speaker_probe {
        Some(probe) => {
            let _ = writeln!(
                text,
                "\nspeaker probe: {:.1} % of {} items of {} speakers found (chance {:.1} %, the most frequent {:.1} %)",
                100.0 * probe.accuracy,
                probe.items,
                probe.speakers,
                100.0 * probe.chance,
                100.0 * probe.majority
            );
        }
        None => text.push_str("\nspeaker probe: fewer than 2 speakers have 2 items\n"),
    }
    match &analysis.mmd_and_confusion {
        Some(found) => {
            let _ = writeln!(
                text,
                "discrepancy of emotions beside their confusion: correlation {:.3}, of ranks {:.3}, over {} pairs",
                found.pearson, found.spearman, found.pairs
            );
        }
        None => text.push_str("discrepancy of emotions beside their confusion: not known of 3 pairs or more\n"),
    }
    text
}
