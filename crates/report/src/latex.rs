//! Tables in LaTeX, with the rules of the package booktabs.

use std::fmt::Write as _;

use crate::table::{Cell, Table};
use crate::text::plain;

/// A `table` environment.
pub(crate) fn table(table: &Table) -> String {
    let columns = (0..table.header.len()).map(|column| {
        let mut cells = table.rows.iter().filter_map(|row| row.cells.get(column));
        if cells.any(Cell::is_number) { 'r' } else { 'l' }
    });
    let columns: String = columns.collect();
    let caption = escape(&table.caption);
    // Writing to a String cannot fail.
    let mut out = String::from("% \\usepackage{booktabs}\n\\begin{table}\n  \\centering\n");
    let _ = writeln!(
        out,
        "  \\caption{{{caption}}}\n  \\begin{{tabular}}{{{columns}}}\n    \\toprule"
    );
    let line = |cells: Vec<String>| format!("    {} \\\\\n", cells.join(" & "));
    out.push_str(&line(table.header.iter().map(|name| escape(name)).collect()));
    out.push_str("    \\midrule\n");
    for row in &table.rows {
        let cell = |cell: &Cell| match row.few {
            true => format!("\\textit{{{}}}", escape(cell.shown())),
            false => escape(cell.shown()),
        };
        out.push_str(&line(row.cells.iter().map(cell).collect()));
    }
    out.push_str("    \\bottomrule\n  \\end{tabular}\n\\end{table}\n");
    out
}

/// Text that LaTeX prints as it is.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for letter in plain(text).chars() {
        match letter {
            '\\' => out.push_str("\\textbackslash{}"),
            '{' | '}' | '$' | '&' | '#' | '_' | '%' => out.extend(['\\', letter]),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '|' => out.push_str("\\textbar{}"),
            '"' => out.push_str("\\textquotedbl{}"),
            // At the start of a row it would be an option of the line break before it.
            '[' | ']' => out.extend(['{', letter, '}']),
            '–' => out.push_str("--"),
            '±' => out.push_str("\\ensuremath{\\pm}"),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_latex_would_run_is_printed() {
        assert_eq!(
            escape("\\input{/etc/passwd} 5 % & $x_1^2$ #~\n[a]"),
            "\\textbackslash{}input\\{/etc/passwd\\} 5 \\% \\& \\$x\\_1\\textasciicircum{}2\\$ \\#\\textasciitilde{} {[}a{]}"
        );
    }
}
