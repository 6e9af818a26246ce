//! Beside transformers' `generate` over the same formula in place of a model (`golden/make_golden.py`).

use std::convert::Infallible;

use emorun_transcribe::Step;
use emorun_transcribe::rules::{Rules, Timestamps};
use emorun_transcribe::search::{EarlyStopping, Search};
use serde::Deserialize;

const VOCABULARY: usize = 60;
const END: u32 = 40;
const NO_TIMESTAMPS: u32 = 45;

#[derive(Deserialize)]
struct Case {
    seed: u32,
    prompt: Vec<u32>,
    suppress: Vec<u32>,
    begin_suppress: Vec<u32>,
    no_repeat_ngram: usize,
    timestamps: bool,
    max_initial: Option<u32>,
    beams: usize,
    length_penalty: f32,
    early_stopping: String,
    tokens: Vec<u32>,
    score: Option<f32>,
}

/// The formula of `make_golden.py`; holds that the search says truly which row continues which.
struct Formula {
    seed: u32,
    before: Vec<Vec<u32>>,
}

impl Step for Formula {
    type Error = Infallible;

    fn step(&mut self, sequences: &[Vec<u32>], parents: &[usize]) -> Result<Vec<Vec<f32>>, Infallible> {
        if !self.before.is_empty() {
            for (sequence, &parent) in sequences.iter().zip(parents) {
                assert_eq!(self.before[parent], sequence[..sequence.len() - 1]);
            }
        }
        self.before = sequences.to_vec();
        let seed = f64::from(self.seed);
        let row = |sequence: &Vec<u32>| {
            let (n, last) = (sequence.len(), sequence.len() - 1);
            let (a, b) = (f64::from(sequence[last]), f64::from(sequence[last - 1]));
            let score = |v: usize| {
                let place = v as f64;
                let wave = (seed * 1.7 + a * 0.913 + b * 0.377 + place * place * 0.591 + n as f64 * 0.211).sin();
                let end = if v == END as usize { 1.0 } else { 0.0 };
                (4.0 * wave + f64::from(self.seed % 4) * 0.02 * n as f64 * end) as f32
            };
            (0..VOCABULARY).map(score).collect()
        };
        Ok(sequences.iter().map(row).collect())
    }
}

fn search_of(case: &Case) -> Search {
    Search {
        beams: case.beams,
        max_length: 24,
        end: END,
        length_penalty: case.length_penalty,
        early_stopping: match case.early_stopping.as_str() {
            "True" => EarlyStopping::Full,
            "never" => EarlyStopping::Never,
            _ => EarlyStopping::Heuristic,
        },
        rules: Rules {
            suppress: case.suppress.clone(),
            begin_suppress: case.begin_suppress.clone(),
            no_repeat_ngram: case.no_repeat_ngram,
            timestamps: case.timestamps.then_some(Timestamps {
                no_timestamps: NO_TIMESTAMPS,
                end: END,
                max_initial: case.max_initial,
            }),
        },
    }
}

#[test]
fn tokens_and_scores_are_those_of_transformers() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../golden/search.json")).unwrap();
    assert!(cases.len() >= 80);
    for case in cases {
        let mut model = Formula {
            seed: case.seed,
            before: Vec::new(),
        };
        let found = search_of(&case).run(&mut model, &case.prompt).unwrap();
        let what = format!(
            "seed {}, {} beams, {}, penalty {}",
            case.seed, case.beams, case.early_stopping, case.length_penalty
        );
        assert_eq!(found.tokens, case.tokens, "{what}");
        if let Some(score) = case.score {
            assert!(
                (found.score - score).abs() <= 1e-4,
                "{what}: {} beside {score}",
                found.score
            );
        }
    }
}

#[test]
fn a_prompt_as_long_as_all_that_may_be_leaves_no_room() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../golden/search.json")).unwrap();
    let mut model = Formula {
        seed: 1,
        before: Vec::new(),
    };
    let found = search_of(&cases[0]).run(&mut model, &[41; 24]).unwrap();
    assert!(found.tokens.is_empty());
}

/// Answers every sequence with the same rows.
struct Broken(Vec<Vec<f32>>);

impl Step for Broken {
    type Error = Infallible;

    fn step(&mut self, _sequences: &[Vec<u32>], _parents: &[usize]) -> Result<Vec<Vec<f32>>, Infallible> {
        Ok(self.0.clone())
    }
}

#[test]
fn a_model_of_no_sense_ends_without_a_panic() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../golden/search.json")).unwrap();
    for case in cases.iter().take(8) {
        let mut search = search_of(case);
        for at in [NO_TIMESTAMPS, u32::MAX] {
            if let Some(timestamps) = &mut search.rules.timestamps {
                (timestamps.no_timestamps, timestamps.max_initial) = (at, Some(u32::MAX));
            }
            let odd = [
                vec![],
                vec![f32::NAN; 4],
                vec![f32::NEG_INFINITY; VOCABULARY],
                vec![0.0; 2],
            ];
            for row in odd {
                for rows in [0, 1, 5, 7] {
                    let found = search.run(&mut Broken(vec![row.clone(); rows]), &case.prompt).unwrap();
                    assert!(found.tokens.len() + case.prompt.len() <= search.max_length);
                }
            }
        }
    }
}
