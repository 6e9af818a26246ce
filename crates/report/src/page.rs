//! The page: one file with everything in it, which loads nothing and runs nothing but its own slider.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use minijinja::{AutoEscape, Environment, Value, context};
use sha2::{Digest as _, Sha256};

use crate::ReportError;
use crate::section::{Block, Drawn, Matrix, Recording, Section};
use crate::table::{Cell, Table};
use crate::text::{percent, plain};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Share of a row from which a cell is so strong that text on it has the other colour: black and white have the same contrast
/// there, 4.58, with both sets of colours. `page.js` has it too.
const STRONG: f64 = 0.65;
/// Largest animation that stands on the page itself.
const MOST_ANIMATION: usize = 2 << 20;

/// Writes the page.
pub(crate) fn render(title: &str, sections: &[Section]) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("page", TEMPLATE)?;
    let has_slider = |block: &Block| matches!(block, Block::Matrix(matrix) if !matrix.epochs.is_empty());
    let runs_script = sections.iter().flat_map(|section| &section.blocks).any(has_slider);
    let page = environment.get_template("page")?.render(context! {
        title,
        sections => sections.iter().map(section).collect::<Vec<Value>>(),
        style => Value::from_safe_string(STYLE.to_owned()),
        script => runs_script.then(|| Value::from_safe_string(SCRIPT.to_owned())),
        script_hash => STANDARD.encode(Sha256::digest(SCRIPT)),
    })?;
    Ok(page)
}

fn section(section: &Section) -> Value {
    let at = |(number, own): (usize, &Block)| block(&format!("{}-{number}", section.id), own);
    let blocks: Vec<Value> = section.blocks.iter().enumerate().map(at).collect();
    context! { id => section.id.clone(), title => plain(&section.title), blocks }
}

/// A figure, of which the figures' writer has escaped what stands in it.
fn svg(figure: &emorun_figures::Figure) -> Value {
    Value::from_safe_string(figure.to_svg())
}

/// The same of a figure without a title, which is named by what stands around it.
fn unnamed(figure: &emorun_figures::Figure) -> Value {
    Value::from_safe_string(figure.to_svg().replacen("role=\"img\"", "aria-hidden=\"true\"", 1))
}

fn block(id: &str, block: &Block) -> Value {
    match block {
        Block::Text(lines) => context! { kind => "text", lines },
        Block::Table(own) => context! { kind => "table", table => table(own) },
        Block::Figures(figures) => {
            let figure = |drawn: &Drawn| context! { title => plain(&drawn.title), svg => svg(&drawn.figure) };
            context! { kind => "figures", figures => figures.iter().map(figure).collect::<Vec<Value>>() }
        }
        Block::Matrix(own) => matrix(id, own),
        Block::Listen(recordings) => {
            let recording = |own: &Recording| {
                context! {
                    about => own.about.clone(),
                    file => own.file.clone(),
                    uri => own.uri.clone(),
                    svg => own.spectrogram.as_ref().map(unnamed),
                }
            };
            context! { kind => "listen", recordings => recordings.iter().map(recording).collect::<Vec<Value>>() }
        }
        Block::Verbatim { title, text } => context! { kind => "verbatim", title, text => lines(text) },
        Block::Image { alt, uri } => context! { kind => "image", alt, uri },
    }
}

/// Text with its lines, each without what turns it.
fn lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<String>>().join("\n")
}

fn table(own: &Table) -> Value {
    let cell = |cell: &Cell| context! { text => cell.shown(), number => cell.is_number() };
    let rows = own.rows.iter().map(|row| {
        let cells: Vec<Value> = row.cells.iter().map(cell).collect();
        context! { cells, few => row.few }
    });
    let is_number = |column: usize| {
        let mut cells = own.rows.iter().filter_map(|row| row.cells.get(column));
        cells.any(Cell::is_number)
    };
    let header = own.header.iter().enumerate();
    let header = header.map(|(column, name)| context! { text => plain(name), number => is_number(column) });
    context! {
        caption => plain(&own.caption),
        header => header.collect::<Vec<Value>>(),
        rows => rows.collect::<Vec<Value>>(),
    }
}

fn matrix(id: &str, own: &Matrix) -> Value {
    let row = |(label, counts): (&String, &Vec<u64>)| {
        let total: u64 = counts.iter().sum();
        let cell = |count: &u64| {
            let share = if total == 0 { 0.0 } else { *count as f64 / total as f64 };
            context! {
                count,
                percent => if total == 0 { "–".to_owned() } else { percent(share) },
                share => format!("{share:.3}"),
                strong => share > STRONG,
            }
        };
        context! { label => plain(label), total, cells => counts.iter().map(cell).collect::<Vec<Value>>() }
    };
    let epochs: Vec<u64> = own.epochs.iter().map(|(epoch, _)| *epoch).collect();
    let counts: Vec<&Vec<Vec<u64>>> = own.epochs.iter().map(|(_, counts)| counts).collect();
    let animation = own.animation.as_ref().filter(|bytes| bytes.len() <= MOST_ANIMATION);
    context! {
        kind => "matrix",
        id,
        caption => plain(&own.caption),
        labels => own.labels.iter().map(|label| plain(label)).collect::<Vec<String>>(),
        rows => own.labels.iter().zip(&own.rows).map(row).collect::<Vec<Value>>(),
        last => epochs.len().saturating_sub(1),
        epoch => epochs.last(),
        epochs => (!epochs.is_empty()).then(|| serde_json::json!({ "epochs": epochs, "counts": counts }).to_string()),
        animation => animation.map(|bytes| format!("data:image/png;base64,{}", STANDARD.encode(bytes))),
    }
}
