//! Which recordings are taken for noise and for rooms.

use super::tests::{apply, rng, speech};
use super::*;
use crate::{Clip, write_wav};

const RATE_HZ: u32 = 16_000;

fn write(folder: &std::path::Path, name: &str, samples: &[f32]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let samples = samples.to_vec();
    write_wav(&path, &Clip { samples, rate_hz: RATE_HZ }).unwrap();
}

/// Noise of even power, and the same as it decays by 60 dB in so many seconds.
fn noise(seconds: f64, rt60_s: Option<f64>) -> Vec<f32> {
    let mut rng = rng(11);
    (0..(seconds * f64::from(RATE_HZ)) as usize)
        .map(|at| {
            let fallen = rt60_s.map_or(1.0, |rt60_s| 10_f64.powf(-3.0 * at as f64 / f64::from(RATE_HZ) / rt60_s));
            (0.3 * fallen * (2.0 * rng.random::<f64>() - 1.0)) as f32
        })
        .collect()
}

/// A room: silence, the direct sound, and what comes back.
fn response(seconds: f64, rt60_s: f64) -> Vec<f32> {
    let mut samples = vec![0.0; 200];
    samples.push(0.9);
    samples.extend(noise(seconds, Some(rt60_s)));
    samples
}

fn reverb(root: &std::path::Path) -> Result<Box<dyn Augment>, AugmentError> {
    Reverb {
        response: Response::Folder(root.to_owned()),
        p: 1.0,
    }
    .build(RATE_HZ)
}

#[test]
fn noise_of_openslr_28_is_not_taken_for_a_room_nor_a_room_for_noise() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("RIRS_NOISES");
    let names = [
        "pointsource_noises/noise-free-sound-0000.wav",
        "real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_1.wav",
        "real_rirs_isotropic_noises/RVB2014_type1_rir_largeroom1_far_angla.wav",
        "real_rirs_isotropic_noises/air_type1_air_binaural_aula_carolina_1_1_90_3.wav",
        "simulated_rirs/smallroom/Room001/Room001-00001.wav",
    ];
    for name in names {
        let is_noise = name.contains("noise_") || name.contains("noise-");
        write(&root, name, &if is_noise { noise(1.0, None) } else { response(0.5, 0.3) });
    }
    let of = |augment: &dyn Augment| -> Vec<String> {
        let files = augment.files().into_iter();
        files.map(|file| file.strip_prefix(&root).unwrap().to_string_lossy().into_owned()).collect()
    };
    let rooms = reverb(&root).unwrap();
    assert_eq!(of(&*rooms), names[2..]);
    let [remark] = &rooms.remarks()[..] else { panic!("{:?}", rooms.remarks()) };
    assert!(
        remark.ends_with("2 of 5 recordings are noise of OpenSLR 28 and left out, such as pointsource_noises/noise-free-sound-0000.wav"),
        "{remark}"
    );
    (0..3).for_each(|file| rooms.judge(file, 0.9).unwrap());
    let behind = BackgroundNoise::new(&root).build(RATE_HZ).unwrap();
    assert_eq!(of(&*behind), names[..2]);
    // A folder of it that holds the other alone.
    let message = reverb(&root.join("pointsource_noises")).unwrap_err().to_string();
    assert!(message.ends_with("holds nothing but noise of OpenSLR 28, where impulse responses are wanted; choose another folder of it"), "{message}");
}

#[test]
fn one_channel_of_a_response_is_drawn_and_never_their_mean() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("array.wav");
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: RATE_HZ,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    // The second microphone hears the click 20 samples later: the mean of both would be a comb.
    for at in 0..1000 {
        writer.write_sample(if at == 30 { 1.0_f32 } else { 0.0 }).unwrap();
        writer.write_sample(if at == 50 { 0.5_f32 } else { 0.0 }).unwrap();
    }
    writer.finalize().unwrap();
    let reverb = reverb(folder.path()).unwrap();
    reverb.judge(0, 1.0).unwrap();
    let wave = speech(4000);
    for seed in 0..20 {
        let heard = apply(&*reverb, &wave, seed);
        // A single click in its place leaves speech as it was.
        let worst = heard.iter().zip(&wave).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-5, "seed {seed}: {worst}");
    }
}

#[test]
fn what_is_no_impulse_response_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut late = noise(1.0, None);
    late[14_000] = 0.9;
    let mut early = noise(1.0, None);
    early[10] = 0.9;
    let files: [(&str, Vec<f32>, &str); 8] = [
        ("a_room.wav", response(0.5, 0.4), ""),
        ("b_cut_early.wav", response(0.3, 1.5), ""),
        ("c_hall.wav", response(3.5, 2.5), ""),
        ("d_click.wav", vec![0.0, 0.7, 0.0, 0.0], ""),
        ("e_noise.wav", early, "is no impulse response (its energy does not decay after its peak)"),
        ("f_late.wav", late, "is no impulse response (most of its energy comes before its peak)"),
        ("g_speech.wav", speech(30_000), "is no impulse response"),
        ("h_silent.wav", vec![0.0; 8000], "is silent (no sample above 0)"),
    ];
    for (name, samples, _) in &files {
        write(folder.path(), name, samples);
    }
    let reverb = reverb(folder.path()).unwrap();
    for (at, (name, _, wrong)) in files.iter().enumerate() {
        match reverb.judge(at, 1.0) {
            Ok(()) => assert!(wrong.is_empty(), "{name}"),
            Err(error) => {
                let message = error.to_string();
                assert!(!wrong.is_empty() && message.contains(&format!("{name}: {wrong}")), "{message}");
            }
        }
    }
}

#[test]
fn a_silent_recording_is_no_noise_and_a_silent_response_leaves_speech_alone() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.wav", &vec![0.0; 8000]);
    write(folder.path(), "b.wav", &noise(0.5, None));
    let behind = BackgroundNoise::new(folder.path()).build(RATE_HZ).unwrap();
    let message = behind.judge(0, 0.0).unwrap_err().to_string();
    assert!(message.ends_with("a.wav: is silent (no sample above 0.0001); remove it from the folder"), "{message}");
    behind.judge(1, 0.3).unwrap();
    std::fs::remove_file(folder.path().join("b.wav")).unwrap();
    let wave = speech(4000);
    assert_eq!(apply(&*reverb(folder.path()).unwrap(), &wave, 1), wave);
}

#[test]
fn long_silence_within_noise_is_not_raised() {
    let folder = tempfile::tempdir().unwrap();
    let mut samples = noise(1.0, None);
    samples.resize(3 * RATE_HZ as usize, 0.0);
    write(folder.path(), "mostly.wav", &samples);
    let behind = BackgroundNoise {
        p: 1.0,
        ..BackgroundNoise::new(folder.path())
    };
    let behind = behind.build(RATE_HZ).unwrap();
    let wave = speech(8000);
    for seed in 0..200 {
        let heard = apply(&*behind, &wave, seed);
        // 5 dB below the speech is the loudest that is asked for; a part of a stretch may be above its mean.
        assert!(heard.iter().all(|x| x.abs() < 3.0), "seed {seed}");
    }
}
