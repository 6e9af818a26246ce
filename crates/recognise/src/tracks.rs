//! What was predicted of recordings, as tables and as tracks that other programs open.

use std::path::{Path, PathBuf};

use emorun_metrics::Predicts;
use serde_json::{Map, Value, json};

use crate::{Answer, Prediction, Predictions};

/// Why tracks cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    /// Something on the disk cannot be written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Two recordings of one name would be one file.
    #[error(
        "two recordings would be written to {}: give those of one name one after the other, or use csv or jsonl",
        .0.display()
    )]
    SameName(PathBuf),
    /// A table cannot be made in memory.
    #[error("a table could not be written to memory: {0}")]
    Table(#[from] csv::Error),
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl Fn(std::io::Error) -> TrackError + 'a {
    move |source| TrackError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// How predictions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Columns for people.
    #[default]
    Table,
    /// An object a line.
    Jsonl,
    /// A row a stretch, a column a class.
    Csv,
    /// Lines `SPEAKER`-like, as of NIST's rich transcription: a line a stretch of one answer.
    Rttm,
    /// A label track of Audacity, a file a recording and head.
    Audacity,
    /// A TextGrid of Praat, a file a recording, a tier a head.
    Textgrid,
}

impl Form {
    /// Whether it is a file of its own for each recording.
    pub fn is_by_recording(self) -> bool {
        matches!(self, Self::Audacity | Self::Textgrid)
    }
}

/// A stretch of a recording over which a head says the same.
struct Span<'a> {
    start_s: f64,
    end_s: f64,
    label: &'a str,
    /// Mean probability of the label, calibrated where that can be.
    share: f64,
}

impl Predictions {
    /// All predictions in one text.
    ///
    /// # Errors
    /// A table cannot be made.
    pub fn text(&self, form: Form) -> Result<String, TrackError> {
        Ok(match form {
            Form::Jsonl => self.jsonl(),
            Form::Csv => return self.csv(),
            Form::Rttm => self.rttm(),
            Form::Table | Form::Audacity | Form::Textgrid => self.table(),
        })
    }

    /// A file for each recording in a folder; gives their number.
    ///
    /// # Errors
    /// Two recordings have one name, or a file cannot be written.
    pub fn write_each(&self, form: Form, folder: &Path) -> Result<usize, TrackError> {
        std::fs::create_dir_all(folder).map_err(io("create", folder))?;
        let mut written: Vec<String> = Vec::new();
        for of in self.stretches.chunk_by(|a, b| a.file == b.file) {
            let Some(first) = of.first() else { continue };
            let path = Path::new(&first.file);
            let stem = path
                .file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
            let mut put = |name: String, text: String| {
                if written.contains(&name) {
                    return Err(TrackError::SameName(folder.join(name)));
                }
                let file = folder.join(&name);
                std::fs::write(&file, text).map_err(io("write", &file))?;
                written.push(name);
                Ok(())
            };
            if form == Form::Textgrid {
                put(format!("{stem}.TextGrid"), self.textgrid(of))?;
                continue;
            }
            for at in self.class_heads() {
                let spans = self.spans(of, at);
                let lines = spans
                    .iter()
                    .map(|span| format!("{:.6}\t{:.6}\t{}\n", span.start_s, span.end_s, span.label));
                put(format!("{stem}.{}.txt", self.heads[at].name), lines.collect())?;
            }
        }
        Ok(written.len())
    }

    /// Places of the heads that predict classes.
    fn class_heads(&self) -> impl Iterator<Item = usize> {
        (0..self.heads.len()).filter(|&at| self.heads[at].predicts == Predicts::Classes)
    }

    /// Stretches of one answer: of windows that overlap each counts from the middle between it and the one before to
    /// the middle between it and the next; silence is a label of its own.
    fn spans<'a>(&'a self, of: &'a [Prediction], head: usize) -> Vec<Span<'a>> {
        let middle = |a: &Prediction, b: &Prediction| {
            if b.start_s >= a.end_s {
                return (a.end_s, b.start_s);
            }
            let at = (a.start_s + a.end_s + b.start_s + b.end_s) / 4.0;
            (at, at)
        };
        let mut spans: Vec<(Span<'a>, usize)> = Vec::new();
        for (at, stretch) in of.iter().enumerate() {
            let Some(Answer::Classes(probabilities)) = stretch.answers.get(head) else {
                continue;
            };
            let (label, share) = self.heads[head].surest(probabilities);
            let label = if stretch.silent { "silence" } else { label };
            let before = at.checked_sub(1).and_then(|before| of.get(before));
            let start_s = before.map_or(stretch.start_s, |before| middle(before, stretch).1);
            let end_s = of.get(at + 1).map_or(stretch.end_s, |next| middle(stretch, next).0);
            match spans.last_mut() {
                Some((span, count)) if span.label == label && span.end_s == start_s => {
                    span.end_s = end_s;
                    span.share += f64::from(share);
                    *count += 1;
                }
                _ => spans.push((
                    Span {
                        start_s,
                        end_s,
                        label,
                        share: f64::from(share),
                    },
                    1,
                )),
            }
        }
        spans
            .into_iter()
            .map(|(span, count)| Span {
                share: span.share / count as f64,
                ..span
            })
            .collect()
    }

    fn jsonl(&self) -> String {
        let mut text = String::new();
        for stretch in &self.stretches {
            let mut heads = Map::new();
            for (head, answer) in self.heads.iter().zip(&stretch.answers) {
                let named = |numbers: &[f32]| -> Map<String, Value> {
                    let named = head.outputs.iter().zip(numbers);
                    named.map(|(name, number)| (name.clone(), json!(number))).collect()
                };
                let said = match answer {
                    Answer::Classes(probabilities) => {
                        let (label, probability) = head.likeliest(probabilities);
                        let mut said = json!({ "label": label, "probability": probability, "probabilities": named(probabilities) });
                        if let Some(calibrated) = head.calibrated(probabilities) {
                            said["calibrated"] = named(&calibrated).into();
                        }
                        said
                    }
                    Answer::Numbers(numbers) => json!({ "values": named(numbers) }),
                };
                heads.insert(head.name.clone(), said);
            }
            let line = json!({
                "file": stretch.file,
                "start_s": stretch.start_s,
                "end_s": stretch.end_s,
                "silent": stretch.silent,
                "heads": heads,
            });
            text.push_str(&line.to_string());
            text.push('\n');
        }
        for (file, reason) in &self.unusable {
            text.push_str(&json!({ "file": file, "error": reason }).to_string());
            text.push('\n');
        }
        text
    }

    fn csv(&self) -> Result<String, TrackError> {
        let mut names: Vec<String> = ["file", "start_s", "end_s", "silent"].map(str::to_owned).into();
        for head in &self.heads {
            if head.predicts == Predicts::Classes {
                names.push(head.name.clone());
            }
            names.extend(head.outputs.iter().map(|output| format!("{}.{output}", head.name)));
        }
        for head in self.heads.iter().filter(|head| head.temperature.is_some()) {
            names.extend(
                head.outputs
                    .iter()
                    .map(|output| format!("{}.{output}.calibrated", head.name)),
            );
        }
        let mut rows = vec![names];
        for stretch in &self.stretches {
            let mut cells = vec![
                stretch.file.clone(),
                stretch.start_s.to_string(),
                stretch.end_s.to_string(),
                stretch.silent.to_string(),
            ];
            for (head, answer) in self.heads.iter().zip(&stretch.answers) {
                let numbers = match answer {
                    Answer::Classes(probabilities) => {
                        cells.push(head.likeliest(probabilities).0.to_owned());
                        probabilities
                    }
                    Answer::Numbers(numbers) => numbers,
                };
                cells.extend(numbers.iter().map(f32::to_string));
            }
            for (head, answer) in self.heads.iter().zip(&stretch.answers) {
                if let Answer::Classes(probabilities) = answer
                    && let Some(calibrated) = head.calibrated(probabilities)
                {
                    cells.extend(calibrated.iter().map(f32::to_string));
                }
            }
            rows.push(cells);
        }
        csv_of(&rows)
    }

    fn rttm(&self) -> String {
        let mut text = String::new();
        for of in self.stretches.chunk_by(|a, b| a.file == b.file) {
            for head in self.class_heads() {
                for span in self.spans(of, head) {
                    // Names of files and labels are words there.
                    let word = |text: &str| text.split_whitespace().collect::<Vec<_>>().join("_");
                    let file = of.first().map_or_else(String::new, |first| word(&first.file));
                    text.push_str(&format!(
                        "{} {file} 1 {:.3} {:.3} <NA> <NA> {} {:.4} <NA>\n",
                        word(&self.heads[head].name).to_uppercase(),
                        span.start_s,
                        span.end_s - span.start_s,
                        word(span.label),
                        span.share
                    ));
                }
            }
        }
        text
    }

    /// Praat's long text form.
    fn textgrid(&self, of: &[Prediction]) -> String {
        let end_s = of.iter().map(|stretch| stretch.end_s).fold(0.0, f64::max);
        let heads: Vec<usize> = self.class_heads().collect();
        let mut text = format!(
            "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\nxmin = 0\nxmax = {end_s}\ntiers? <exists>\nsize = {}\nitem []:\n",
            heads.len()
        );
        for (number, &head) in heads.iter().enumerate() {
            let spans = self.spans(of, head);
            text.push_str(&format!(
                "    item [{}]:\n        class = \"IntervalTier\"\n        name = \"{}\"\n        xmin = 0\n        xmax = {end_s}\n        intervals: size = {}\n",
                number + 1,
                praat(&self.heads[head].name),
                spans.len()
            ));
            for (at, span) in spans.iter().enumerate() {
                text.push_str(&format!(
                    "        intervals [{}]:\n            xmin = {}\n            xmax = {}\n            text = \"{}\"\n",
                    at + 1,
                    span.start_s,
                    span.end_s,
                    praat(span.label)
                ));
            }
        }
        text
    }

    fn table(&self) -> String {
        let is_whole = self.stretches.chunk_by(|a, b| a.file == b.file).all(|of| of.len() == 1);
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut names = vec!["file".to_owned()];
        if !is_whole {
            names.push("seconds".to_owned());
        }
        names.extend(self.heads.iter().map(|head| match head.temperature {
            Some(_) => format!("{} (calibrated)", head.name),
            None => head.name.clone(),
        }));
        rows.push(names);
        for stretch in &self.stretches {
            let mut row = vec![stretch.file.clone()];
            if !is_whole {
                row.push(format!("{:.2}–{:.2}", stretch.start_s, stretch.end_s));
            }
            for (head, answer) in self.heads.iter().zip(&stretch.answers) {
                row.push(match answer {
                    Answer::Classes(_) if stretch.silent => "(silence)".to_owned(),
                    Answer::Classes(probabilities) => {
                        let (label, share) = head.surest(probabilities);
                        format!("{label} {:.0} %", 100.0 * share)
                    }
                    Answer::Numbers(numbers) => {
                        let named = head.outputs.iter().zip(numbers);
                        let named: Vec<String> = named.map(|(name, number)| format!("{name} {number:.2}")).collect();
                        named.join(", ")
                    }
                });
            }
            rows.push(row);
        }
        let columns = rows.first().map_or(0, Vec::len);
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// Rows as CSV.
fn csv_of(rows: &[Vec<String>]) -> Result<String, TrackError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn praat(text: &str) -> String {
    text.replace('"', "\"\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Head;
    use emorun_metrics::Temperature;

    fn predictions() -> Predictions {
        let stretch = |start_s: f64, silent: bool, happy: f32| Prediction {
            file: "a/one, \"two\".wav".into(),
            start_s,
            end_s: start_s + 2.0,
            silent,
            answers: vec![Answer::Classes(vec![1.0 - happy, happy]), Answer::Numbers(vec![0.25])],
        };
        Predictions {
            heads: vec![
                Head {
                    name: "emotion".into(),
                    predicts: Predicts::Classes,
                    outputs: vec!["sad".into(), "happy".into()],
                    temperature: None,
                },
                Head {
                    name: "dims".into(),
                    predicts: Predicts::Numbers,
                    outputs: vec!["valence".into()],
                    temperature: None,
                },
            ],
            stretches: vec![
                stretch(0.0, false, 0.75),
                stretch(1.0, false, 0.5625),
                stretch(2.0, false, 0.25),
                stretch(3.0, true, 0.25),
            ],
            unusable: vec![("b.wav".into(), "is no audio".into())],
        }
    }

    #[test]
    fn stretches_of_one_answer_are_one_and_meet_half_way() {
        let predictions = predictions();
        let spans = predictions.spans(&predictions.stretches, 0);
        let found: Vec<_> = spans
            .iter()
            .map(|span| (span.start_s, span.end_s, span.label))
            .collect();
        assert_eq!(found, [(0.0, 2.5, "happy"), (2.5, 3.5, "sad"), (3.5, 5.0, "silence")]);
        assert_eq!(spans[0].share, 0.65625);
    }

    #[test]
    fn every_form_says_the_same() {
        let predictions = predictions();
        let csv = predictions.text(Form::Csv).unwrap();
        assert!(csv.starts_with("file,start_s,end_s,silent,emotion,emotion.sad,emotion.happy,dims.valence\n"));
        assert!(
            csv.contains("\"a/one, \"\"two\"\".wav\",0,2,false,happy,0.25,0.75,0.25\n"),
            "{csv}"
        );
        let lines: Vec<Value> = predictions
            .text(Form::Jsonl)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["heads"]["emotion"]["probabilities"]["happy"], 0.75);
        assert_eq!(lines[0]["heads"]["dims"]["values"]["valence"], 0.25);
        assert_eq!(lines[3]["silent"], true);
        assert_eq!(lines[4], json!({ "file": "b.wav", "error": "is no audio" }));
        let rttm = predictions.text(Form::Rttm).unwrap();
        assert!(
            rttm.starts_with("EMOTION a/one,_\"two\".wav 1 0.000 2.500 <NA> <NA> happy 0.6562 <NA>\n"),
            "{rttm}"
        );
        let table = predictions.text(Form::Table).unwrap();
        assert!(table.contains("0.00–2.00  happy 75 %  valence 0.25"), "{table}");
        let grid = predictions.textgrid(&predictions.stretches);
        assert!(
            grid.contains("intervals: size = 3") && grid.contains("xmax = 3.5"),
            "{grid}"
        );
    }

    #[test]
    fn what_is_calibrated_stands_beside_what_the_model_says() {
        let mut predictions = predictions();
        let plain = predictions.text(Form::Csv).unwrap();
        // A temperature of 2 takes square roots: √0.75 to √0.25 is √3 to 1.
        predictions.heads[0].temperature = Some(Temperature { value: 2.0, items: 9 });
        let calibrated = 3_f32.sqrt() / (1.0 + 3_f32.sqrt());
        let csv = predictions.text(Form::Csv).unwrap();
        for (with, without) in csv.lines().zip(plain.lines()) {
            assert!(with.starts_with(&format!("{without},")), "{with}");
        }
        assert!(csv.starts_with(&format!(
            "{},emotion.sad.calibrated,emotion.happy.calibrated\n",
            plain.lines().next().unwrap()
        )));
        let lines = predictions.text(Form::Jsonl).unwrap();
        let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        let emotion = &first["heads"]["emotion"];
        assert_eq!(emotion["probabilities"]["happy"], 0.75);
        assert!((emotion["calibrated"]["happy"].as_f64().unwrap() as f32 - calibrated).abs() < 1e-6);
        let table = predictions.text(Form::Table).unwrap();
        assert!(
            table.contains("emotion (calibrated)") && table.contains("happy 63 %"),
            "{table}"
        );
    }
}
