//! What a run has found, for those who were not there: one HTML page, and figures and tables for papers.
//!
//! Everything follows from files of the run's directory, so that the page of an older run can be made anew: the
//! evaluation is `evaluation.json` in the folder of the report, or `summary.json` of a parent of folds and seeds. A part
//! that is missing leaves its section out. Sections hold tables and figures, from which page, CSV and
//! LaTeX are written alike. Nothing is written here: [`Report`] gives bytes.

mod calibration;
mod classifier;
mod epochs;
mod error;
mod latex;
mod listen;
mod origin;
mod page;
mod parent;
mod regressor;
mod section;
mod source;
mod table;
mod text;

use std::path::Path;

use emorun_figures::{PRINT_DPI, confusion_matrix};

pub use error::ReportError;
use section::{Block, Section};
use source::Source;

/// A file's name below the folder of the report, and its bytes.
pub type NamedFile = (String, Vec<u8>);

/// The report of a run.
#[derive(Debug)]
pub struct Report {
    title: String,
    sections: Vec<Section>,
}

impl Report {
    /// Reads what a run has left; `folder` is where its evaluation lies: `report/`, or that of `emorun eval`.
    ///
    /// # Errors
    /// `run.json` or the evaluation cannot be read or are damaged, or there is neither an evaluation nor a parent's summary.
    pub fn of(run: &Path, folder: &Path) -> Result<Self, ReportError> {
        let source = Source::read(run, folder)?;
        let mut sections = vec![origin::summary(&source)];
        if let Some(summary) = &source.summary {
            sections.extend(parent::sections(summary, source.evaluation.as_ref()));
        }
        if let Some(evaluation) = &source.evaluation {
            for (side, own) in evaluation.sides.iter().rev() {
                for (head, found) in &own.classifiers {
                    sections.push(classifier::section(evaluation, (side, head), found));
                }
                for (head, found) in &own.regressors {
                    sections.push(regressor::section((side, head), found));
                }
            }
            sections.extend(origin::conditions(evaluation));
        }
        sections.extend(epochs::curves(&source));
        sections.extend(epochs::confusions(&source));
        sections.extend(listen::sections(&source)?);
        sections.extend(origin::sections(&source));
        let title = text::plain(&source.title());
        Ok(Self { title, sections })
    }

    /// The page: a file that needs nothing beside itself.
    ///
    /// # Errors
    /// None but a mistake of ours.
    pub fn page(&self) -> Result<String, ReportError> {
        page::render(&self.title, &self.sections)
    }

    /// Figures as SVG and as PNG with 300 dots per inch in `figures/`, tables as LaTeX and CSV in `tables/`.
    ///
    /// # Errors
    /// A figure is too large for a picture.
    pub fn for_papers(&self) -> Result<Vec<NamedFile>, ReportError> {
        let mut files = Vec::new();
        for section in &self.sections {
            for block in &section.blocks {
                match block {
                    Block::Figures(figures) => {
                        for drawn in figures {
                            let name = format!("figures/{}.{}", section.id, drawn.name);
                            files.push((format!("{name}.svg"), drawn.figure.to_svg().into_bytes()));
                            files.push((format!("{name}.png"), drawn.figure.to_png_at(PRINT_DPI)?.bytes));
                        }
                    }
                    Block::Table(table) => {
                        let name = format!("tables/{}.{}", section.id, table.name);
                        files.push((format!("{name}.csv"), table.csv()?));
                        files.push((format!("{name}.tex"), latex::table(table).into_bytes()));
                    }
                    Block::Matrix(matrix) => {
                        let name = format!("tables/{}.confusion", section.id);
                        files.push((format!("{name}.csv"), matrix.table().csv()?));
                        files.push((format!("{name}.tex"), latex::table(&matrix.table()).into_bytes()));
                        let name = format!("figures/{}.confusion", section.id);
                        let rows = matrix.rows.iter().map(Vec::as_slice);
                        let figure = confusion_matrix(&section.title, &matrix.labels, rows)?;
                        files.push((format!("{name}.svg"), figure.to_svg().into_bytes()));
                        files.push((format!("{name}.png"), figure.to_png_at(PRINT_DPI)?.bytes));
                        if let Some(animation) = &matrix.animation {
                            files.push((format!("{name}.apng"), animation.clone()));
                        }
                    }
                    Block::Text(_) | Block::Listen(_) | Block::Verbatim { .. } | Block::Image { .. } => {}
                }
            }
        }
        Ok(files)
    }
}
