//! A small corpus of EmoBox: metadata and audio, named as in the corpus that it stands in for.

use super::Emobox;
use super::list::Voice;
use crate::fixtures::{FixtureError, write};
use crate::stand_in::{Writer, labels_for};
use serde_json::json;

/// Fewest folds that are written.
const FOLDS: usize = 2;
/// Speakers up to which each says every emotion more often.
const FEW: usize = 4;
/// How often.
const MANY_TAKES: usize = 6;

impl Emobox {
    /// Writes the audio, and metadata in which each fold tests on one speaker.
    pub(super) fn write(&self, writer: &Writer<'_>) -> Result<Self, FixtureError> {
        let labels = labels_for(self.mapping.as_ref(), self.emotions.as_deref());
        let known = self.corpus.known();
        let name = known.name;
        let own = self.own_kind();
        // Few speakers say more, so that validation drawn of their recordings has all that training has.
        let takes = if writer.speakers.len() < FEW {
            MANY_TAKES
        } else {
            writer.takes
        };
        // Speaker, take and line of each recording.
        let mut lines: Vec<(usize, usize, String)> = Vec::new();
        let (mut speakers, mut balanced) = (String::new(), String::new());
        for (speaker, _) in writer.speakers.iter().enumerate() {
            let mut said = 0;
            for (rank, label) in labels.iter().enumerate() {
                for take in 0..takes {
                    let path = match &own {
                        Some(own) => own.corpus().stand_in_path(speaker, said),
                        None => (known.path)(Voice {
                            speaker: speaker + 1,
                            number: said + 1,
                        }),
                    };
                    let seconds = writer.tone(&path, 16_000, lines.len(), rank + 1)?;
                    let key = format!("{name}-{speaker}-{said}");
                    let line = json!({ "key": key, "wav": format!("downloads/{name}/{path}"), "length": seconds, "emo": label });
                    lines.push((speaker, take, format!("{line}\n")));
                    speakers.push_str(&format!(
                        "{key} 1 s{speaker} 0 1 <id={key},lang=en,spk=s{speaker},emotion={label}> {label}\n"
                    ));
                    if take == 0 {
                        let line = json!({ "wav_filename": path, "label": label, "speaker": format!("s{speaker}") });
                        balanced.push_str(&format!("{line}\n"));
                    }
                    said += 1;
                }
            }
        }
        let metadata = writer.root.join("metadata");
        let of = |wanted: &dyn Fn(usize, usize) -> bool| -> String {
            let own = lines.iter().filter(|(speaker, take, _)| wanted(*speaker, *take));
            own.map(|(_, _, line)| line.as_str()).collect()
        };
        let map: serde_json::Map<String, serde_json::Value> =
            labels.iter().map(|label| (label.clone(), json!(label))).collect();
        let mut files = vec![
            (format!("{name}/{name}.jsonl"), of(&|_, _| true)),
            (format!("{name}/label_map.json"), json!(map).to_string()),
            (format!("{name}/data.seg.wrd.stm"), speakers),
        ];
        files.extend(known.balanced.map(|list| (format!("track2/{list}"), balanced)));
        for fold in 1..=writer.folds.max(FOLDS) {
            // One speaker alone is on both sides, with other takes.
            let is_tested = |speaker: usize, take: usize| match writer.speakers.len().div_ceil(known.together) {
                1 => take == 0,
                count => speaker / known.together == (fold - 1) % count.max(1),
            };
            let file = |side: &str| format!("{name}/fold_{fold}/{name}_{side}_fold_{fold}.jsonl");
            files.push((file("train"), of(&|speaker, take| !is_tested(speaker, take))));
            files.push((file("test"), of(&is_tested)));
        }
        for (file, text) in files {
            write(&metadata.join(file), text.as_bytes())?;
        }
        Ok(Self {
            root: writer.root(),
            metadata: writer.path(&metadata),
            ..self.clone()
        })
    }
}
