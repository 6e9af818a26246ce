//! A small corpus of EmoBox: metadata and audio, named as in the corpus that it stands in for.

use super::writer::{Writer, labels_for};
use crate::corpora::emobox::{Emobox, EmoboxCorpus, stand_in_lists};
use crate::corpora::{emodb, esd};
use crate::fixtures::{FixtureError, write};
use serde_json::json;

/// Fewest folds that are written.
const FOLDS: usize = 2;
/// Speakers up to which each says every emotion more often.
const FEW: usize = 4;
/// How often.
const MANY_TAKES: usize = 6;

impl Writer<'_> {
    /// Writes the audio, and metadata in which each fold, up to `folds` of them, tests on one speaker.
    pub(super) fn emobox(&self, config: &Emobox, folds: usize) -> Result<Emobox, FixtureError> {
        let labels = labels_for(config.mapping.as_ref(), config.emotions.as_deref());
        let name = config.corpus.name();
        // Few speakers say more, so that validation drawn of their recordings has all that training has.
        let takes = if self.speakers.len() < FEW {
            MANY_TAKES
        } else {
            self.takes
        };
        // Speaker, take and line of each recording.
        let mut lines: Vec<(usize, usize, String)> = Vec::new();
        let (mut speakers, mut balanced) = (String::new(), String::new());
        for (speaker, _) in self.speakers.iter().enumerate() {
            let mut own = 0;
            for (rank, label) in labels.iter().enumerate() {
                for take in 0..takes {
                    let path = path(config.corpus, speaker, own);
                    let seconds = self.tone(&path, 16_000, lines.len(), rank + 1)?;
                    let key = format!("{name}-{speaker}-{own}");
                    let line = json!({ "key": key, "wav": format!("downloads/{name}/{path}"), "length": seconds, "emo": label });
                    lines.push((speaker, take, format!("{line}\n")));
                    speakers.push_str(&format!(
                        "{key} 1 s{speaker} 0 1 <id={key},lang=en,spk=s{speaker},emotion={label}> {label}\n"
                    ));
                    if take == 0 {
                        let line = json!({ "wav_filename": path, "label": label, "speaker": format!("s{speaker}") });
                        balanced.push_str(&format!("{line}\n"));
                    }
                    own += 1;
                }
            }
        }
        let metadata = self.root.join("metadata");
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
        files.extend(stand_in_lists(config.corpus).map(|list| (format!("track2/{list}"), balanced)));
        for fold in 1..=folds.max(FOLDS) {
            // One speaker alone is on both sides, with other takes.
            // The two of a session are never apart.
            let together = if config.corpus == EmoboxCorpus::Iemocap { 2 } else { 1 };
            let is_tested = |speaker: usize, take: usize| match self.speakers.len().div_ceil(together) {
                1 => take == 0,
                count => speaker / together == (fold - 1) % count.max(1),
            };
            let file = |side: &str| format!("{name}/fold_{fold}/{name}_{side}_fold_{fold}.jsonl");
            files.push((file("train"), of(&|speaker, take| !is_tested(speaker, take))));
            files.push((file("test"), of(&is_tested)));
        }
        for (file, text) in files {
            write(&metadata.join(file), text.as_bytes())?;
        }
        Ok(Emobox {
            root: self.path(&self.root),
            metadata: self.path(&metadata),
            ..config.clone()
        })
    }
}

/// The path of a speaker's recording of this number, from 0, as the corpus names its own.
fn path(corpus: EmoboxCorpus, speaker: usize, number: usize) -> String {
    use EmoboxCorpus as C;
    let (s, n) = (speaker + 1, number + 1);
    let pick = |of: [&str; 2]| of[speaker % 2].to_owned();
    let (letter, sex) = (pick(["M", "F"]), pick(["m", "f"]));
    match corpus {
        C::Aesdd => format!("anger/a{n:02} ({s}).wav"),
        C::Ased => format!("05Angry/a5-{n:02}-01-01-{s:02}.wav"),
        C::Asvpesd => format!("Audio/actor_{s}/03-01-05-01-{n:02}-{s:02}-02-02-01.wav"),
        C::Cafe => format!("CaFE_48k/Colère/{s:02}-C-1-{n}.wav"),
        C::Casia => format!("speaker{s}/angry/{n}.wav"),
        C::Cremad => {
            let sentences = crate::corpora::cremad::SENTENCES;
            let levels = crate::corpora::cremad::LEVELS;
            let (sentence, level) = (sentences[number % 12].0, levels[number / 12 % 4].0);
            format!("AudioWAV/{}_{sentence}_ANG_{level}.wav", 1000 + s)
        }
        C::Emns => format!("cleaned_webm/recorded_audio_{s}_{n}.wav"),
        C::Emodb => {
            let (id, _) = emodb::SPEAKERS[speaker % emodb::SPEAKERS.len()];
            let version = char::from(b'a' + (number / 10 % 26) as u8);
            format!("wav/{id}{}W{version}.wav", emodb::TEXTS[number % 10].0)
        }
        C::Emovdb => format!("speaker{s}_Angry/anger_{n:04}.wav"),
        C::Emovo => format!("{sex}{s}/rab-{sex}{s}-b{n}.wav"),
        C::Enterface => format!("subject {s}/anger/sentence {n}/s{s}_an_{n}.wav"),
        C::Esd => format!("{s:04}/Angry/{s:04}_{:06}.wav", esd::EACH as usize + n),
        C::Iemocap => {
            let session = speaker % 10 / 2 + 1;
            format!(
                "Session{session}/sentences/wav/Ses0{session}F_impro01/Ses0{session}F_impro01_{letter}{number:03}.wav"
            )
        }
        C::Jlcorpus => format!("JL(wav+txt)/{}{s}_angry_{n}a_1.wav", pick(["male", "female"])),
        C::Mead => format!("{}{s:03}/audio/angry/level_1/{n:03}.wav", pick(["M", "W"])),
        C::Mesd => format!("MESD/Anger_{letter}_A_word{s}x{n}.wav"),
        C::Oreau => format!("OréauFR_02/{sex}/sessc/{s:02}a{n:02}Ca.wav"),
        C::Polish => format!("m{s}.a_nie{n}_1.wav"),
        C::Ravdess => {
            // Every bit of the number chooses one of two.
            let two = |bit: usize| number / (8 << bit) % 2 + 1;
            let emotion = number % 8 + 1;
            format!(
                "Actor_{s:02}/03-01-{emotion:02}-{:02}-{:02}-{:02}-{s:02}.wav",
                two(2),
                two(1),
                two(0)
            )
        }
        C::Resd => format!("train/dialogue_{s}/{s}_{n}.wav"),
        C::Savee => format!("{}_a{n:02}.wav", ["DC", "JE", "JK", "KL"][speaker % 4]),
        C::Shemo => format!("male/{letter}{s:02}A{n:02}.wav"),
        C::Subesco => format!("{letter}_{s:02}_NAME_S_{n}_ANGRY_1.wav"),
        C::Tess => format!("{}_word{n}_angry.wav", pick(["OAF", "YAF"])),
        C::Turevdb => format!("Sound Source/Angry/{}_sk_{n}.wav", 1000 + s),
        C::Urdu => format!("Angry/S{letter}{s}_F{n}_A{n:03}.wav"),
        C::Emozionalmente | C::M3ed | C::Meld | C::Mer2023 | C::Msppodcast | C::Pavoque => format!("audio/{s}_{n}.wav"),
    }
}

/// Speakers that a corpus stands in with: as many as have names of their own.
pub(super) fn speakers(corpus: EmoboxCorpus, wanted: usize) -> usize {
    match corpus {
        EmoboxCorpus::Savee => wanted.min(4),
        EmoboxCorpus::Tess => wanted.min(2),
        EmoboxCorpus::Emns | EmoboxCorpus::Pavoque => wanted.min(1),
        // Validation is drawn from sessions.
        EmoboxCorpus::Iemocap => wanted.max(10),
        _ => wanted,
    }
}
