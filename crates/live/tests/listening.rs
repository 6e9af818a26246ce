//! A listener driven by samples, with a model that answers as it is told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use emorun_audio::synthetic::{Gender, SyntheticEmotion, VoiceSpec, synthesise};
use emorun_live::{Event, Gate, Hearing, Listener, Model, Preset, Settings, Update, VoiceActivity};
use emorun_metrics::Predicts;
use emorun_recognise::{Answer, Head, Recogniser, RecogniserError};

/// Says what it is told, and remembers what it was asked.
struct Scripted {
    heads: Vec<Head>,
    rate_hz: u32,
    shortest: usize,
    asked: Vec<Vec<f32>>,
    happy: Box<dyn FnMut(usize) -> f32 + Send>,
}

impl Scripted {
    fn at(rate_hz: u32) -> Self {
        Self {
            heads: vec![Head {
                name: "emotion".into(),
                predicts: Predicts::Classes,
                outputs: vec!["sad".into(), "happy".into()],
                temperature: None,
            }],
            rate_hz,
            shortest: 400,
            asked: Vec::new(),
            happy: Box::new(|_| 0.8),
        }
    }
}

impl Recogniser for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn heads(&self) -> &[Head] {
        &self.heads
    }

    fn shortest(&self) -> usize {
        self.shortest
    }

    fn recognise(&mut self, clips: &[&[f32]]) -> Result<Vec<Vec<Answer>>, RecogniserError> {
        let mut answers = Vec::new();
        for clip in clips {
            assert!(clip.len() >= self.shortest, "{} samples", clip.len());
            assert!(clip.iter().all(|sample| sample.is_finite()));
            let happy = (self.happy)(self.asked.len());
            self.asked.push(clip.to_vec());
            answers.push(vec![Answer::Classes(vec![1.0 - happy, happy])]);
        }
        Ok(answers)
    }
}

/// A generated voice, between so many seconds of a little noise.
fn spoken(rate_hz: u32, before_s: f64, after_s: f64) -> Vec<f32> {
    let voice = synthesise(&VoiceSpec {
        speaker: 3,
        gender: Gender::Male,
        emotion: SyntheticEmotion::Angry,
        sentence: 1,
        take: 0,
        seed: 1,
        rate_hz,
        overlap: 0.0,
    });
    let noise = |seconds: f64| noise((seconds * f64::from(rate_hz)) as usize, 1e-4);
    let mut samples = noise(before_s);
    samples.extend(voice.samples);
    samples.extend(noise(after_s));
    samples
}

fn noise(count: usize, amplitude: f32) -> Vec<f32> {
    let mut state = 3_u64;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            amplitude * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
        })
        .collect()
}

fn listener(settings: &Settings, model: &Scripted, rate_hz: u32) -> Listener {
    Listener::new(settings, Model::of(model), rate_hz).unwrap()
}

fn heard(settings: &Settings, model: &mut Scripted, samples: &[f32], rate_hz: u32) -> Vec<Event> {
    let mut listener = listener(settings, model, rate_hz);
    let mut events = Vec::new();
    for piece in samples.chunks(rate_hz as usize / 50) {
        events.extend(listener.hear(model, piece).unwrap());
    }
    events.extend(listener.hear_end(model).unwrap());
    assert!(listener.is_done());
    assert_eq!(listener.skipped(), 0);
    events
}

fn updates(events: &[Event]) -> Vec<&Update> {
    let events = events.iter();
    events
        .filter_map(|event| match event {
            Event::Update(update) => Some(update),
            _ => None,
        })
        .collect()
}

/// Where speech is by its energy: the first and last 10 ms within 30 dB of the loudest.
fn energy_oracle(samples: &[f32], rate_hz: u32) -> (f64, f64) {
    let levels: Vec<f64> = samples
        .chunks(rate_hz as usize / 100)
        .map(|bin| bin.iter().map(|&sample| f64::from(sample).powi(2)).sum())
        .collect();
    let least = levels.iter().copied().fold(0.0, f64::max) / 1000.0;
    let first = levels.iter().position(|&level| level > least).unwrap();
    let last = levels.iter().rposition(|&level| level > least).unwrap();
    (first as f64 / 100.0, (last + 1) as f64 / 100.0)
}

fn segments(events: &[Event]) -> Vec<(f64, f64)> {
    let ended = |event: &Event| match *event {
        Event::SpeechEnded { from_s, to_s, .. } => Some((from_s, to_s)),
        _ => None,
    };
    events.iter().filter_map(ended).collect()
}

#[test]
fn generated_speech_is_found_where_its_energy_is_at_any_rate() {
    for (rate_hz, model_hz) in [
        (16_000, 16_000),
        (8_000, 16_000),
        (192_000, 16_000),
        (44_100, 22_050),
        (48_000, 8_000),
    ] {
        let samples = spoken(rate_hz, 1.0, 1.5);
        let (from_s, to_s) = energy_oracle(&samples, rate_hz);
        let mut model = Scripted::at(model_hz);
        let events = heard(&Preset::Default.settings(), &mut model, &samples, rate_hz);
        let found = segments(&events);
        assert_eq!(found.len(), 1, "{rate_hz} Hz: {found:?}");
        let pre_roll_s = VoiceActivity::default().pre_roll_s;
        let off = (found[0].0 + pre_roll_s - from_s, found[0].1 - to_s);
        println!("{rate_hz} to {model_hz} Hz: {found:?}, by energy {from_s}–{to_s}");
        // Scores fall behind the voice, later where there is nothing above 4 kHz.
        let behind_s = if rate_hz.min(model_hz) == 8000 { 0.25 } else { 0.13 };
        assert!(off.0.abs() < 0.1 && off.1.abs() < behind_s, "{rate_hz} Hz: {off:?}");
        // The model hears what was said: the last clip is that stretch, at its rate.
        let last = *updates(&events).last().unwrap();
        assert!(last.last && last.segment == 1);
        assert_eq!((last.from_s, last.to_s), found[0]);
        let whole = emorun_audio::resample(&samples, rate_hz, model_hz).unwrap();
        let at = |seconds: f64| (seconds * f64::from(model_hz)).round() as usize;
        let expected = &whole[at(last.from_s)..at(last.to_s)];
        let asked = model.asked.last().unwrap();
        assert_eq!(asked.len(), expected.len());
        let difference = asked
            .iter()
            .zip(expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(difference < 1e-5, "{rate_hz} Hz: {difference}");
    }
}

#[test]
fn something_is_said_four_times_a_second_once_enough_is_heard() {
    let samples = spoken(16_000, 1.0, 1.5);
    let mut model = Scripted::at(16_000);
    let events = heard(&Preset::Default.settings(), &mut model, &samples, 16_000);
    assert!(matches!(events[0], Event::SpeechStarted { segment: 1, time_s, from_s } if time_s - from_s < 0.3));
    let Event::NotEnough {
        heard_s, last: false, ..
    } = events[1]
    else {
        panic!("{:?}", events[1])
    };
    assert!((heard_s - 0.25).abs() < 1e-9);
    let said = updates(&events);
    for (at, update) in said.iter().filter(|update| !update.last).enumerate() {
        assert!((update.heard_s - 0.25 * (at + 2) as f64).abs() < 1e-9, "{update:?}");
        // All of it, with what was before.
        assert!(
            (update.to_s - update.from_s - update.heard_s - 0.2).abs() < 1e-9,
            "{update:?}"
        );
    }
    assert!(said.len() >= 3, "{}", said.len());
    assert_eq!(said.iter().filter(|update| update.last).count(), 1);
}

#[test]
fn events_do_not_depend_on_how_samples_come_in() {
    let samples = spoken(44_100, 0.7, 1.0);
    let run = |piece: usize| {
        let mut model = Scripted::at(16_000);
        let mut listener = listener(&Preset::Default.settings(), &model, 44_100);
        let mut events = Vec::new();
        for piece in samples.chunks(piece) {
            events.extend(listener.hear(&mut model, piece).unwrap());
        }
        events.extend(listener.hear_end(&mut model).unwrap());
        (events, model.asked)
    };
    let expected = run(samples.len());
    assert_eq!(updates(&expected.0).len(), expected.1.len());
    for piece in [1, 100, 4410] {
        assert_eq!(run(piece), expected, "pieces of {piece}");
    }
}

#[test]
fn a_caller_that_falls_behind_loses_the_older_questions_and_is_told() {
    let samples = spoken(16_000, 1.0, 1.0);
    let model = Scripted::at(16_000);
    let mut listener = listener(&Preset::Default.settings(), &model, 16_000);
    let mut events = listener.push(&samples);
    events.extend(listener.finish());
    let told: u64 = events
        .iter()
        .map(|event| {
            if let Event::Skipped { count, .. } = event {
                *count
            } else {
                0
            }
        })
        .sum();
    assert!(told >= 2);
    assert_eq!(listener.skipped(), told);
    // What is left is the newest, and one question is out at a time.
    let question = listener.question().unwrap();
    assert!(question.is_last());
    assert!(listener.question().is_none() && !listener.is_done());
    let events = listener.answer(question, vec![Answer::Classes(vec![0.3, 0.7])]);
    assert!(matches!(&events[..], [Event::Update(update)] if update.last));
    assert!(listener.question().is_none() && listener.is_done());
}

#[test]
fn the_last_question_of_a_stretch_outlives_newer_ones_but_not_without_end() {
    let mut samples = Vec::new();
    for _ in 0..7 {
        samples.extend(spoken(16_000, 0.3, 0.8));
    }
    let model = Scripted::at(16_000);
    let mut listener = listener(&Preset::Default.settings(), &model, 16_000);
    let mut events = listener.push(&samples);
    events.extend(listener.finish());
    let stretches = segments(&events).len();
    assert!(stretches >= 5, "{stretches}");
    let mut left = Vec::new();
    while let Some(question) = listener.question() {
        assert!(question.is_last());
        left.push(question.to_s());
        let _ = listener.give_up(question);
    }
    assert_eq!(left.len(), 4);
    assert!(left.is_sorted());
    assert!(listener.skipped() >= 4 + stretches as u64 - 4);
}

#[test]
fn silence_and_noise_and_hum_are_no_speech() {
    let hum: Vec<f32> = (0..160_000)
        .map(|at| 0.1 * (at as f32 * 50.0 * std::f32::consts::TAU / 16_000.0).sin())
        .collect();
    for (name, samples) in [
        ("silence", vec![0.0; 160_000]),
        ("quiet noise", noise(160_000, 1e-3)),
        ("noise", noise(160_000, 0.01)),
        ("hum", hum),
        ("a constant", vec![0.5; 160_000]),
    ] {
        let mut model = Scripted::at(16_000);
        let events = heard(&Preset::Default.settings(), &mut model, &samples, 16_000);
        assert_eq!(events, [], "{name}");
        assert!(model.asked.is_empty());
    }
}

#[test]
fn nothing_at_all_is_a_stream_too() {
    for (_, preset) in Preset::ALL {
        let mut model = Scripted::at(16_000);
        assert_eq!(heard(&preset.settings(), &mut model, &[], 48_000), []);
        let mut again = listener(&preset.settings(), &model, 48_000);
        again.finish();
        // What comes behind the end is not heard, and the end comes once.
        assert_eq!(again.push(&spoken(48_000, 0.0, 0.0)), []);
        assert_eq!(again.finish(), []);
        assert_eq!(again.level_db(), f64::NEG_INFINITY);
    }
}

#[test]
fn samples_that_are_no_numbers_are_silence_and_are_told_once() {
    let mut samples = spoken(16_000, 1.0, 1.0);
    for at in (0..samples.len()).step_by(97) {
        samples[at] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 32_767.0][at % 4];
    }
    let count = samples
        .iter()
        .filter(|sample| sample.is_nan() || sample.abs() > 256.0)
        .count();
    let mut model = Scripted::at(16_000);
    let mut listener = listener(&Preset::Default.settings(), &model, 16_000);
    let mut told = 0;
    for piece in samples.chunks(320) {
        let events = listener.hear(&mut model, piece).unwrap();
        told += events
            .iter()
            .filter(|event| matches!(event, Event::BadSamples { .. }))
            .count();
    }
    assert_eq!(told, 1);
    assert_eq!(listener.bad_samples(), count as u64);
}

#[test]
fn samples_far_beyond_full_scale_are_heard() {
    let loud: Vec<f32> = spoken(16_000, 1.0, 1.0).iter().map(|sample| sample * 200.0).collect();
    let mut model = Scripted::at(16_000);
    let events = heard(&Preset::Default.settings(), &mut model, &loud, 16_000);
    assert!(!segments(&events).is_empty());
}

#[test]
fn long_speech_is_cut_and_goes_on() {
    let mut samples = Vec::new();
    for _ in 0..6 {
        samples.extend(spoken(16_000, 0.1, 0.0));
    }
    samples.extend(noise(16_000, 1e-4));
    let mut settings = Preset::Default.settings();
    settings.hearing = Hearing::Speech(VoiceActivity {
        longest_s: 2.0,
        ..VoiceActivity::default()
    });
    let mut model = Scripted::at(16_000);
    let events = heard(&settings, &mut model, &samples, 16_000);
    let forced = events
        .iter()
        .filter(|event| matches!(event, Event::SpeechEnded { forced: true, .. }))
        .count();
    assert!(forced >= 3, "{forced}");
    let found = segments(&events);
    for (before, after) in found.iter().zip(&found[1..]) {
        assert!(before.1 <= after.0, "{found:?}");
        assert!(after.1 - after.0 < 2.0 + 0.21, "{found:?}");
    }
}

#[test]
fn a_clip_is_the_windows_length_at_most() {
    let samples = spoken(16_000, 1.0, 1.0);
    let mut model = Scripted::at(16_000);
    let settings = Preset::Default.with_window(0.6);
    let events = heard(&settings, &mut model, &samples, 16_000);
    assert!(model.asked.iter().all(|clip| clip.len() <= 9600));
    let last = *updates(&events).last().unwrap();
    assert!((last.to_s - last.from_s - 0.6).abs() < 1e-9 && last.heard_s > 0.9);
}

#[test]
fn a_model_that_takes_long_clips_alone_is_asked_nothing_shorter() {
    let mut model = Scripted::at(16_000);
    model.shortest = 16_000;
    let events = heard(
        &Preset::Default.settings(),
        &mut model,
        &spoken(16_000, 1.0, 1.0),
        16_000,
    );
    assert!(!updates(&events).is_empty());
    model.shortest = 1_000_000;
    model.asked.clear();
    let events = heard(
        &Preset::Default.settings(),
        &mut model,
        &spoken(16_000, 1.0, 1.0),
        16_000,
    );
    assert!(updates(&events).is_empty());
    assert!(matches!(events.last(), Some(Event::NotEnough { last: true, .. })));
}

#[test]
fn windows_follow_each_other_and_quiet_ones_are_left_out() {
    // 5 s of quiet, 10 s and 2 s of sound; root mean squares of 0.0058 and 0.029.
    let mut samples = noise(5 * 16_000, 0.01);
    samples.extend(noise(12 * 16_000, 0.05));
    let mut model = Scripted::at(16_000);
    let events = heard(&Preset::Windowed.settings(), &mut model, &samples, 16_000);
    let said: Vec<_> = updates(&events)
        .iter()
        .map(|update| (update.from_s, update.to_s))
        .collect();
    // What is left is in a window that ends with the stream.
    assert_eq!(said, [(5.0, 10.0), (10.0, 15.0), (12.0, 17.0)]);
    assert_eq!(segments(&events), [(5.0, 17.0)]);
    let gate = |least| Hearing::Windows(Gate::Rms(least));
    let mut settings = Preset::Windowed.settings();
    settings.hearing = gate(0.03);
    assert_eq!(heard(&settings, &mut model, &samples, 16_000), []);
    settings.hearing = gate(0.0);
    assert_eq!(updates(&heard(&settings, &mut model, &samples, 16_000)).len(), 4);
}

#[test]
fn the_ring_is_asked_ten_times_a_second_smoothed_and_held() {
    let samples = noise(4 * 16_000, 0.05);
    let mut model = Scripted::at(16_000);
    model.happy = Box::new(|at| if at < 5 { 0.9 } else { 0.1 });
    let events = heard(&Preset::Ring.settings(), &mut model, &samples, 16_000);
    let said = updates(&events);
    assert_eq!(said.len(), 36);
    for (at, update) in said.iter().enumerate() {
        let to_s = 0.5 + at as f64 / 10.0;
        assert!((update.to_s - to_s).abs() < 1e-9);
        assert!((update.to_s - update.from_s - to_s.min(3.0)).abs() < 1e-9);
    }
    // ln(happy/sad) is ln 9 at first; then 0.7 of what it was less 0.3 ln 9, which is below 0 from the seventh update on.
    let labels: Vec<_> = said
        .iter()
        .map(|update| update.estimates[0].label.clone().unwrap())
        .collect();
    assert_eq!(labels[..8], ["happy"; 8]);
    assert_eq!(labels[8..12], ["sad"; 4]);
    let second = said[6].estimates[0].smoothed[1];
    let odds = 9f32.powf(0.7 * 0.4 - 0.3);
    assert!((second - odds / (1.0 + odds)).abs() < 1e-5, "{second}");
}

#[test]
fn ten_hours_of_silence_are_no_more_memory_than_ten_seconds() {
    let model = Scripted::at(16_000);
    // At the lowest rate there is, so that it takes no time.
    let mut model = Model::of(&model);
    model.rate_hz = 1000;
    let mut listener = Listener::new(&Preset::Ring.settings(), model.clone(), 1000).unwrap();
    let mut speech = Listener::new(&Preset::Default.settings(), model, 1000).unwrap();
    let second = noise(1000, 1e-4);
    let size = |listener: &Listener| format!("{listener:?}").len();
    let mut largest = 0;
    for at in 0..36_000 {
        listener.push(&second);
        if at % 40 == 0 {
            speech.push(&second);
        }
        if at == 100 {
            largest = size(&listener).max(size(&speech));
        }
        if at % 6000 == 5999 {
            assert!(size(&listener).max(size(&speech)) < 3 * largest);
        }
    }
    assert!((listener.time_s() - 36_000.0).abs() < 0.1);
}

#[test]
fn settings_and_rates_that_cannot_be_are_refused() {
    let model = Model::of(&Scripted::at(16_000));
    for rate_hz in [0, 10, 1_000_000] {
        let error = Listener::new(&Preset::Default.settings(), model.clone(), rate_hz).unwrap_err();
        assert!(error.to_string().contains("is not a sampling rate"), "{error}");
    }
    let error = Listener::new(&Preset::Default.with_window(1e4), model, 16_000).unwrap_err();
    assert_eq!(error.to_string(), "the window is 10000: use 0.1 to 60 seconds");
}

#[test]
fn events_are_written_as_they_are_documented() {
    let samples = spoken(16_000, 1.0, 1.0);
    let mut model = Scripted::at(16_000);
    model.heads[0].name = "a \"head\"".into();
    let events = heard(&Preset::Default.settings(), &mut model, &samples, 16_000);
    for event in &events {
        let json = event.json(&model.heads);
        let again: serde_json::Value = serde_json::from_str(&json.to_string()).unwrap();
        assert_eq!(again, json);
        assert!(!json.to_string().contains('\n'));
        if let Event::Update(update) = event {
            assert_eq!(json["event"], "update");
            let head = &json["heads"]["a \"head\""];
            assert_eq!(head["label"], "happy");
            assert!((head["probabilities"]["happy"].as_f64().unwrap() - 0.8).abs() < 1e-6);
            assert!((head["smoothed"]["sad"].as_f64().unwrap() - 0.2).abs() < 1e-5);
            assert!((json["to_s"].as_f64().unwrap() - update.to_s).abs() < 1e-6);
        }
    }
}

#[test]
fn a_model_that_fails_ends_the_stream() {
    struct Broken(Scripted);
    impl Recogniser for Broken {
        fn name(&self) -> &str {
            "broken"
        }
        fn rate_hz(&self) -> u32 {
            self.0.rate_hz
        }
        fn heads(&self) -> &[Head] {
            &self.0.heads
        }
        fn shortest(&self) -> usize {
            1
        }
        fn recognise(&mut self, _: &[&[f32]]) -> Result<Vec<Vec<Answer>>, RecogniserError> {
            Err(RecogniserError::Model("it is broken".into()))
        }
    }
    let mut model = Broken(Scripted::at(16_000));
    let mut listener = Listener::new(&Preset::Default.settings(), Model::of(&model), 16_000).unwrap();
    let error = listener.hear(&mut model, &spoken(16_000, 1.0, 1.0)).unwrap_err();
    assert_eq!(error.to_string(), "it is broken");
}
