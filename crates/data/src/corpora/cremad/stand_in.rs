//! A small corpus in CREMA-D's layout.

use super::{Cremad, EMOTIONS, SENTENCES, levels_of};
use crate::fixtures::{FixtureError, tone, write as write_file};
use crate::stand_in::Writer;
use std::path::Path;

/// Writes recordings on which all raters agree, and the tables.
pub(super) fn write(config: &Cremad, writer: &Writer<'_>) -> Result<Cremad, FixtureError> {
    let mut stems = Vec::new();
    for actor in &writer.speakers {
        for (rank, (emotion, _)) in (1..).zip(EMOTIONS) {
            for sentence in ["TSI", "WSI"].into_iter().take(writer.takes) {
                let stem = format!("{actor}_{sentence}_{emotion}_XX");
                writer.tone(&format!("AudioWAV/{stem}.wav"), 16_000, stems.len(), rank)?;
                stems.push(stem);
            }
        }
    }
    write_tables(&writer.root, &writer.speakers, &stems)?;
    let table = writer.root.join("VideoDemographics.csv");
    Ok(Cremad {
        root: writer.root(),
        demographics: config.demographics.as_ref().map(|_| writer.path(&table)),
        ..config.clone()
    })
}

/// Writes the files of these actors (1001 to 1091), 82 each at 16 kHz, as `AudioWAV/1001_DFA_ANG_XX.wav`,
/// `VideoDemographics.csv`, where odd actors are male, and the two tables of votes in `processedResults`.
///
/// # Errors
/// Where a folder or file cannot be written.
pub fn write_cremad(root: &Path, actors: &[u32], seconds: f64) -> Result<usize, FixtureError> {
    let mut stems = Vec::new();
    for actor in actors {
        for (sentence, _) in SENTENCES {
            for (rank, (emotion, _)) in (1..).zip(EMOTIONS) {
                for level in levels_of(sentence, emotion) {
                    let stem = format!("{actor}_{sentence}_{emotion}_{level}");
                    tone(root, &format!("AudioWAV/{stem}.wav"), 16_000, seconds, rank)?;
                    stems.push(stem);
                }
            }
        }
    }
    let actors: Vec<String> = actors.iter().map(u32::to_string).collect();
    write_tables(root, &actors, &stems)?;
    Ok(stems.len())
}

/// Writes the tables: the actors, and votes in which of ten raters eight hear the emotion
/// acted and two another one; of the sentence `TIE` two emotions tie, `IOM` is heard as the other one, and
/// on `TSI` and `WSI` all agree.
fn write_tables(root: &Path, actors: &[String], stems: &[String]) -> Result<(), FixtureError> {
    let mut people = String::from("\"ActorID\",\"Age\",\"Sex\",\"Race\",\"Ethnicity\"\n");
    for actor in actors {
        let odd = actor.ends_with(['1', '3', '5', '7', '9']);
        let sex = if odd { "Male" } else { "Female" };
        people.push_str(&format!("{actor},40,\"{sex}\",\"Caucasian\",\"Not Hispanic\"\n"));
    }
    write_file(&root.join("VideoDemographics.csv"), people.as_bytes())?;
    let letters = ["A", "D", "F", "H", "N", "S"];
    let mut counts = String::from("\"\",\"A\",\"D\",\"F\",\"H\",\"N\",\"S\",\"fileName\",\"numResponses\"\n");
    let mut summary = String::from(
        "\"\",\"FileName\",\"VoiceVote\",\"VoiceLevel\",\"FaceVote\",\"FaceLevel\",\"MultiModalVote\",\"MultiModalLevel\"\n",
    );
    for kind in 1..=3 {
        for (number, stem) in (1..).zip(stems) {
            let mut parts = stem.split('_').skip(1);
            let (sentence, emotion) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let own = letters
                .iter()
                .position(|letter| emotion.starts_with(letter))
                .unwrap_or_default();
            let other = (own + 1) % letters.len();
            // Faces are always recognised.
            let (heard, else_heard) = match sentence {
                "TSI" | "WSI" => (10, 0),
                _ if kind > 1 => (10, 0),
                "TIE" => (5, 5),
                "IOM" => (4, 6),
                _ => (8, 2),
            };
            let votes: Vec<String> = (0..letters.len())
                .map(|at| {
                    if at == own {
                        heard
                    } else if at == other {
                        else_heard
                    } else {
                        0
                    }
                })
                .map(|votes: u32| votes.to_string())
                .collect();
            counts.push_str(&format!("\"{kind}{number:05}\",{},\"{stem}\",10\n", votes.join(",")));
            if kind == 1 {
                let mut winners = match sentence {
                    "TIE" => [letters[own], letters[other]].to_vec(),
                    "IOM" => vec![letters[other]],
                    _ => vec![letters[own]],
                };
                winners.sort_unstable();
                let (voice, own) = (winners.join(":"), letters[own]);
                summary.push_str(&format!(
                    "\"{number}\",\"{stem}\",\"{voice}\",\"60\",\"{own}\",\"60\",\"{own}\",\"60\"\n"
                ));
            }
        }
    }
    write_file(&root.join("processedResults/tabulatedVotes.csv"), counts.as_bytes())?;
    write_file(&root.join("processedResults/summaryTable.csv"), summary.as_bytes())
}
