//! A small corpus in IEMOCAP's layout.

use super::{EMOTIONS, Iemocap, NO_AGREEMENT, Style};
use crate::fixtures::{FixtureError, tone, tone_at, write as write_file};
use crate::stand_in::Writer;
use indexmap::IndexMap;
use std::path::Path;

/// Writes one utterance of each speaker in each category and take.
pub(super) fn write(config: &Iemocap, writer: &Writer<'_>) -> Result<Iemocap, FixtureError> {
    let dialogues = match config.style {
        Style::Scripted => ["script01_1"; 2],
        Style::Improvised => ["impro01"; 2],
        Style::Both => ["impro01", "script01_1"],
    };
    let mut sessions: IndexMap<u32, Vec<char>> = IndexMap::new();
    for speaker in &writer.speakers {
        let mut letters = speaker.chars().rev();
        if let (Some(sex), Some(session)) = (letters.next(), letters.next().and_then(|digit| digit.to_digit(10))) {
            sessions.entry(session).or_default().push(sex);
        }
    }
    let mut number = 0;
    for (session, speakers) in sessions {
        for (take, dialogue) in dialogues.into_iter().take(writer.takes).enumerate() {
            let turns: Vec<Turn> = speakers
                .iter()
                .flat_map(|speaker| (1..).zip(EMOTIONS).map(|(rank, (code, _))| (*speaker, rank, code)))
                .map(|(speaker, rank, code)| {
                    number += 1;
                    Turn {
                        speaker,
                        code,
                        rank,
                        seconds: writer.seconds(number),
                    }
                })
                .collect();
            let marked = ['F', 'M'][take % 2];
            let name = format!("Ses{session:02}{marked}_{dialogue}");
            write_dialogue(
                &writer.root,
                writer.dataset,
                session,
                &name,
                &turns,
                IemocapLabels::Dialogue,
            )?;
        }
    }
    Ok(Iemocap {
        root: writer.root(),
        ..config.clone()
    })
}

/// An utterance to write.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// `F` or `M`.
    speaker: char,
    /// Code of its emotion, `xxx` for none.
    code: &'static str,
    /// How lively it is, from 1.
    rank: u32,
    seconds: f64,
}

/// Where the labels of a written dialogue are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IemocapLabels {
    /// In one file a dialogue, as the corpus is used.
    Dialogue,
    /// Only in the raters' own files.
    Raters,
}

/// Writes these sessions (1 to 5): in each an improvised and a scripted dialogue, in which
/// both actors say one utterance of each category and one that raters did not agree on, 44 a session at
/// 16 kHz.
///
/// # Errors
/// Where a folder or file cannot be written.
pub fn write_iemocap(
    root: &Path,
    sessions: &[u32],
    labels: IemocapLabels,
    seconds: f64,
) -> Result<usize, FixtureError> {
    let codes = EMOTIONS.iter().map(|(code, _)| *code).chain([NO_AGREEMENT]);
    let turns: Vec<Turn> = (1..)
        .zip(codes)
        .flat_map(|(rank, code)| {
            ['F', 'M'].map(|speaker| Turn {
                speaker,
                code,
                rank,
                seconds,
            })
        })
        .collect();
    let mut files = 0;
    for session in sessions {
        for dialogue in [
            format!("Ses{session:02}F_impro01"),
            format!("Ses{session:02}M_script01_1"),
        ] {
            write_dialogue(root, "", *session, &dialogue, &turns, labels)?;
            files += turns.len();
        }
    }
    Ok(files)
}

/// Writes a dialogue: its utterances, the recording of all of it, labels and transcript.
fn write_dialogue(
    root: &Path,
    seed: &str,
    session: u32,
    dialogue: &str,
    turns: &[Turn],
    labels: IemocapLabels,
) -> Result<(), FixtureError> {
    let folder = format!("Session{session}");
    let mut summary = String::from("% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n");
    let mut transcript = String::new();
    let mut raters = [String::new(), String::new(), String::new()];
    let mut attributes = String::new();
    let mut numbers = [0_u32; 2];
    let mut start = 0.5;
    for turn in turns {
        let number = &mut numbers[usize::from(turn.speaker == 'M')];
        let name = format!("{dialogue}_{}{:03}", turn.speaker, *number);
        *number += 1;
        let path = format!("{folder}/sentences/wav/{dialogue}/{name}.wav");
        tone_at(
            &root.join(&path),
            &format!("{seed}{path}"),
            16_000,
            turn.seconds,
            turn.rank,
        )?;
        let word = spoken(turn.code);
        // Two of three raters agree, and nobody on what has no label.
        let votes = match turn.code {
            NO_AGREEMENT => ["Anger", "Surprise", "Neutral"],
            _ => [word, word, if turn.code == "neu" { "Sadness" } else { "Neutral" }],
        };
        let [valence, arousal, dominance] = [1 + turn.rank % 5, 1 + (turn.rank * 2) % 5, 1 + (turn.rank * 3) % 5];
        summary.push_str(&format!(
            "[{start:.4} - {:.4}]\t{name}\t{}\t[{valence}.5000, {arousal}.0000, {dominance}.0000]\n",
            start + turn.seconds,
            turn.code
        ));
        for (at, vote) in votes.iter().enumerate() {
            summary.push_str(&format!("C-E{}:\t{vote};\t()\n", at + 2));
            raters[at].push_str(&format!("{name} :{vote}; ()\n"));
        }
        summary.push_str(&format!("C-{}1:\t{word};\t()\n\n", turn.speaker));
        attributes.push_str(&format!(
            "{name} :act {arousal}; :val  {valence}; :dom  {dominance}; ()\n"
        ));
        transcript.push_str(&format!(
            "{name} [{start:08.4}-{:08.4}]: A generated tone.\n",
            start + turn.seconds
        ));
        start += turn.seconds + 0.25;
    }
    tone(root, &format!("{folder}/dialog/wav/{dialogue}.wav"), 16_000, 0.2, 1)?;
    write_file(
        &root.join(format!("{folder}/dialog/transcriptions/{dialogue}.txt")),
        transcript.as_bytes(),
    )?;
    let evaluation = root.join(format!("{folder}/dialog/EmoEvaluation"));
    if labels == IemocapLabels::Dialogue {
        write_file(&evaluation.join(format!("{dialogue}.txt")), summary.as_bytes())?;
    }
    for (at, text) in raters.iter().enumerate() {
        write_file(
            &evaluation.join(format!("Categorical/{dialogue}_e{}_cat.txt", at + 2)),
            text.as_bytes(),
        )?;
    }
    write_file(
        &evaluation.join(format!("Attribute/{dialogue}_e3_atr.txt")),
        attributes.as_bytes(),
    )
}

/// What raters wrote for a code.
fn spoken(code: &str) -> &'static str {
    match code {
        "neu" => "Neutral",
        "hap" => "Happiness",
        "sad" => "Sadness",
        "ang" => "Anger",
        "fea" => "Fear",
        "dis" => "Disgust",
        "sur" => "Surprise",
        "exc" => "Excited",
        "fru" => "Frustration",
        _ => "Other",
    }
}
