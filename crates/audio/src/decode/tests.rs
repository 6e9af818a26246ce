//! Files by hand: headers, lengths, channels, segments.

use std::fs::File;
use std::path::PathBuf;

use super::*;
use crate::write_wav;

/// A WAV file of these chunks.
fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut body = b"WAVE".to_vec();
    for (name, content) in chunks {
        body.extend_from_slice(*name);
        body.extend_from_slice(&(content.len() as u32).to_le_bytes());
        body.extend_from_slice(content);
        if content.len() % 2 == 1 {
            body.push(0);
        }
    }
    let mut file = b"RIFF".to_vec();
    file.extend_from_slice(&(body.len() as u32).to_le_bytes());
    file.extend_from_slice(&body);
    file
}

/// A format chunk's content.
fn format(tag: u16, channels: u16, rate_hz: u32, bits: u16, bytes: u16) -> Vec<u8> {
    let align = channels * bytes;
    let mut chunk = Vec::new();
    chunk.extend_from_slice(&tag.to_le_bytes());
    chunk.extend_from_slice(&channels.to_le_bytes());
    chunk.extend_from_slice(&rate_hz.to_le_bytes());
    chunk.extend_from_slice(&(rate_hz.wrapping_mul(u32::from(align))).to_le_bytes());
    chunk.extend_from_slice(&align.to_le_bytes());
    chunk.extend_from_slice(&bits.to_le_bytes());
    chunk
}

fn pcm16(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn wav16(samples: &[i16]) -> Vec<u8> {
    riff(&[(b"fmt ", &format(1, 1, 16_000, 16, 2)), (b"data", &pcm16(samples))])
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

#[test]
fn refuses_each_kind_of_bad_file_by_name() {
    let folder = Folder::new();
    let good = wav16(&[100; 2000]);
    let float = |samples: &[f32]| {
        let data: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
        riff(&[(b"fmt ", &format(3, 1, 16_000, 32, 4)), (b"data", &data)])
    };
    let with_format = |content: Vec<u8>| riff(&[(b"fmt ", &content), (b"data", &[0; 768])]);
    let flac = include_bytes!("../../tests/golden/signed16.flac");
    let mut damaged_flac = flac.to_vec();
    damaged_flac[600] ^= 0x10;
    let mut wrong_sum_flac = flac.to_vec();
    wrong_sum_flac[26] ^= 1;
    let many_chunks: Vec<(&[u8; 4], &[u8])> = vec![(b"LIST", b""); 5000];
    let cases: [(&str, Vec<u8>, &str); 18] = [
        (
            "text",
            b"this is not audio".to_vec(),
            "is no audio that is known here (it starts with \"this is not \")",
        ),
        ("no bytes", Vec::new(), "holds no samples"),
        ("no samples", wav16(&[]), "holds no samples"),
        (
            "cut",
            good[..3000].to_vec(),
            "is truncated (2956 of 4000 bytes of samples)",
        ),
        (
            "cut in its header",
            good[..30].to_vec(),
            "is truncated (30 of 36 bytes)",
        ),
        ("without data", good[..36].to_vec(), "no data chunk"),
        ("without format", riff(&[(b"data", &[0; 100])]), "no valid fmt chunk"),
        ("endless chunks", riff(&many_chunks), "more than 4096 chunks"),
        (
            "gsm",
            with_format(format(0x31, 1, 8000, 0, 65)),
            "is WAV that holds GSM 6.10 (format 0x0031)",
        ),
        ("no channels", with_format(format(1, 0, 16_000, 16, 2)), "has 0 channels"),
        (
            "many channels",
            with_format(format(1, 96, 16_000, 16, 2)),
            "has 96 channels",
        ),
        ("slow", with_format(format(1, 1, 100, 16, 2)), "has a rate of 100 Hz"),
        (
            "wide",
            with_format(format(1, 1, 16_000, 40, 5)),
            "stores 40-bit samples in 5 bytes",
        ),
        ("not a number", float(&[0.0, f32::NAN]), "sample 1 is NaN"),
        ("infinite", float(&[f32::NEG_INFINITY]), "sample 0 is -inf"),
        (
            "integers as floats",
            float(&[0.0, 0.5, 12_000.0]),
            "sample 2 is 12000, beyond ±256",
        ),
        ("cut.flac", flac[..500].to_vec(), "is truncated (0 of 400 frames)"),
        ("damaged.flac", damaged_flac, "is truncated (0 of 400 frames)"),
    ];
    for (name, content, expected) in cases {
        let path = folder.file(name, &content);
        let message = load(&path, 16_000, None).unwrap_err().to_string();
        assert!(message.starts_with(&path.display().to_string()), "{name}: {message}");
        assert!(message.contains(expected), "{name}: {message}");
    }
    let path = folder.file("wrong sum.flac", &wrong_sum_flac);
    let message = load(&path, 16_000, None).unwrap_err().to_string();
    assert!(message.contains("MD5"), "{message}");
}

#[test]
fn refuses_what_is_not_a_file() {
    let folder = Folder::new();
    let error = probe(folder.0.path()).unwrap_err();
    assert!(matches!(error, AudioError::NotAFile { .. }), "{error}");
    let error = probe(&folder.0.path().join("missing.wav")).unwrap_err();
    assert!(matches!(error, AudioError::Open { .. }), "{error}");
    #[cfg(unix)]
    {
        let link = folder.0.path().join("endless.wav");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        let pipe = folder.0.path().join("pipe.wav");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [link.as_path(), &pipe, Path::new("/dev/zero")] {
            for error in [probe(path).unwrap_err(), load(path, 16_000, None).unwrap_err()] {
                assert!(matches!(error, AudioError::NotAFile { .. }), "{error}");
            }
        }
    }
}

#[test]
fn a_length_that_streams_are_written_with_means_all_there_is() {
    let folder = Folder::new();
    let read = |name: &str, content: &[u8]| {
        let path = folder.file(name, content);
        let info = probe(&path);
        let samples = load(&path, 16_000, None).map(|clip| clip.samples.len() as u64);
        if let (Ok(info), Ok(samples)) = (&info, &samples) {
            assert_eq!(info.frames, *samples, "{name}");
        }
        info.map(|info| (info.frames, info.remark)).map_err(|error| error.to_string())
    };
    let with_length = |length: u32| {
        let mut content = wav16(&[1; 1000]);
        content[40..44].copy_from_slice(&length.to_le_bytes());
        content
    };
    let streamed = Ok((1000, Some(Remark::Streamed)));
    // ffmpeg, SoX, a recorder that was killed, arecord, and what others leave.
    for length in [u32::MAX, 0x7fff_f000, 0, 0x8000_0000, 0x7fff_ffff, u32::MAX - 36, 0x7fff_f024] {
        assert_eq!(read("streamed.wav", &with_length(length)), streamed, "{length:#x}");
    }
    assert_eq!(read("right.wav", &with_length(2000)), Ok((1000, None)));
    for length in [2001, 2016, 2044, 2128] {
        assert_eq!(read("short.wav", &with_length(length)), Ok((1000, Some(Remark::Short))), "{length}");
    }
    // That much is missing of a copy that broke off.
    for length in [4000, 1 << 20, 0x7ff0_0000] {
        let message = read("cut.wav", &with_length(length)).unwrap_err();
        assert!(message.contains("is truncated (2000 of"), "{message}");
    }
    let mut half = with_length(2001);
    half.extend([7, 0]);
    assert_eq!(read("half a frame.wav", &half), Ok((1000, Some(Remark::PartialFrame))));
    let mut half = with_length(u32::MAX);
    half.push(7);
    assert_eq!(read("half a frame at the end.wav", &half), streamed);
    // No samples, and a chunk behind them.
    let empty = riff(&[
        (b"fmt ", &format(1, 1, 16_000, 16, 2)),
        (b"data", &[]),
        (b"LIST", b"INFOISFT\x04\0\0\0Lavf"),
    ]);
    assert!(read("empty.wav", &empty).unwrap_err().contains("holds no samples"));
}

#[test]
fn a_file_beyond_four_gibibytes_says_its_length_elsewhere() {
    let folder = Folder::new();
    for signature in [b"RF64", b"BW64"] {
        let mut sizes = 72_u64.to_le_bytes().to_vec();
        sizes.extend(2000_u64.to_le_bytes());
        sizes.extend(1000_u64.to_le_bytes());
        sizes.extend([0; 4]);
        let mut content = riff(&[
            (b"ds64", &sizes),
            (b"fmt ", &format(1, 1, 16_000, 16, 2)),
            (b"data", &pcm16(&[9; 1000])),
            (b"LIST", b"behind the data"),
        ]);
        content[..4].copy_from_slice(signature);
        content[4..8].fill(0xff);
        let data = content.windows(4).position(|name| name == b"data").unwrap();
        content[data + 4..data + 8].fill(0xff);
        let info = probe(&folder.file("long.wav", &content)).unwrap();
        assert_eq!((info.frames, info.remark), (1000, None));
        // One that went through a pipe knows no length either.
        content[28..36].fill(0xff);
        content.truncate(data + 8 + 2000);
        let info = probe(&folder.file("streamed.wav", &content)).unwrap();
        assert_eq!((info.frames, info.remark), (1000, Some(Remark::Streamed)));
    }
}

#[test]
fn format_chunks_of_odd_sizes_and_chunks_without_padding_are_read() {
    let folder = Folder::new();
    let load = |content: &[u8]| load(&folder.file("odd.wav", content), 16_000, None).unwrap().samples;
    let samples = pcm16(&[16_384; 800]);
    for extra in [0, 2, 4, 6, 10, 24, 34, 300] {
        let mut chunk = format(1, 1, 16_000, 16, 2);
        chunk.resize(16 + extra, 0);
        assert_eq!(load(&riff(&[(b"fmt ", &chunk), (b"data", &samples)])), [0.5; 800]);
    }
    // The oldest form has no number of bits.
    let chunk = format(1, 1, 16_000, 16, 2)[..14].to_vec();
    assert_eq!(load(&riff(&[(b"fmt ", &chunk), (b"data", &samples)])), [0.5; 800]);
    // A list of odd length whose writer forgot the padding byte.
    let mut content = riff(&[(b"fmt ", &format(1, 1, 16_000, 16, 2)), (b"LIST", b"odd"), (b"data", &samples)]);
    let list = content.windows(4).position(|name| name == b"LIST").unwrap();
    content.remove(list + 11);
    assert_eq!(load(&content), [0.5; 800]);
}

#[test]
fn a_huge_file_is_probed_and_cut_but_not_loaded_whole() {
    let folder = Folder::new();
    let mut content = riff(&[(b"fmt ", &format(1, 1, 16_000, 8, 1)), (b"data", &[])]);
    let bytes = 300_000_000_u32;
    content[40..44].copy_from_slice(&bytes.to_le_bytes());
    let path = folder.file("huge.wav", &content);
    // A sparse file: the length is real, the disk space is not.
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(44 + u64::from(bytes)).unwrap();
    assert_eq!(probe(&path).unwrap().frames, u64::from(bytes));
    let error = load(&path, 16_000, None).unwrap_err();
    assert!(matches!(error, AudioError::TooLong { .. }), "{error}");
    let segment = Segment {
        start_s: 18_000.0,
        end_s: 18_000.5,
    };
    let clip = load(&path, 16_000, Some(segment)).unwrap();
    assert_eq!(clip.samples, vec![-1.0; 8000]);
}

#[test]
fn chunks_of_odd_length_and_what_follows_the_data_are_skipped() {
    let folder = Folder::new();
    let content = riff(&[
        (b"LIST", b"odd"),
        (b"fmt ", &format(1, 1, 22_050, 16, 2)),
        (b"junk", b"x"),
        (b"data", &pcm16(&[16_384, -16_384])),
        (b"LIST", b"after"),
    ]);
    let clip = load(&folder.file("chunks.wav", &content), 22_050, None).unwrap();
    assert_eq!(clip.samples, [0.5, -0.5]);
}

#[test]
fn a_flac_stream_of_unknown_length_is_read_to_its_end() {
    let folder = Folder::new();
    let known = include_bytes!("../../tests/golden/signed16.flac");
    let mut content = known.to_vec();
    content[21] &= 0xf0;
    content[22..26].fill(0);
    // Nor could its checksum be written.
    content[26..42].fill(0);
    let path = folder.file("streamed.flac", &content);
    let info = probe(&path).unwrap();
    assert_eq!((info.frames, info.remark), (400, Some(Remark::Streamed)));
    let whole = load(&folder.file("known.flac", known), 16_000, None).unwrap();
    assert_eq!(load(&path, 16_000, None).unwrap(), whole);
}

#[test]
fn a_channel_is_taken_as_it_is_and_one_that_is_missing_is_an_error() {
    let folder = Folder::new();
    let frames: Vec<i16> = (0..1000).flat_map(|_| [16_384, -16_384, 8192]).collect();
    let content = riff(&[(b"fmt ", &format(1, 3, 16_000, 16, 2)), (b"data", &pcm16(&frames))]);
    let path = folder.file("three.wav", &content);
    let take = |channel| load_channel(&path, 16_000, None, channel).map(|clip| clip.samples[500]);
    assert_eq!(take(Channel::Left).unwrap(), 0.5);
    assert_eq!(take(Channel::Right).unwrap(), -0.5);
    assert_eq!(take(Channel::Number(2)).unwrap(), 0.25);
    assert!((take(Channel::Mix).unwrap() - 0.25 / 3.0).abs() < 1e-6);
    let message = take(Channel::Number(3)).unwrap_err().to_string();
    assert!(message.contains("has 3 channel(s), so that `channel: 3` names none"), "{message}");
    assert!(check_channel(&path, None, Channel::Number(3), 0.0).is_err());
    let mut all = Vec::new();
    let info = each_block(&path, None, &mut |block| all.extend_from_slice(block)).unwrap();
    assert_eq!((info.channels, all.len()), (3, 3000));
    assert_eq!(all[1500..1503], [0.5, -0.5, 0.25]);
}

#[test]
fn channels_that_cancel_each_other_are_remarked_on() {
    let folder = Folder::new();
    let remark = |name: &str, factor: f32, channel| {
        let wave = |frame: usize| 8000.0 * (frame as f32 * 0.3).sin();
        let frames: Vec<i16> = (0..2000)
            .flat_map(|frame| [wave(frame) as i16, (factor * wave(frame)) as i16])
            .collect();
        let content = riff(&[(b"fmt ", &format(1, 2, 16_000, 16, 2)), (b"data", &pcm16(&frames))]);
        check_channel(&folder.file(name, &content), None, channel, 0.05).unwrap().remark
    };
    assert_eq!(remark("opposite.wav", -1.0, Channel::Mix), Some(Remark::Cancels));
    assert_eq!(remark("nearly.wav", -0.9, Channel::Mix), Some(Remark::Cancels));
    assert_eq!(remark("opposite.wav", -1.0, Channel::Left), None);
    assert_eq!(remark("alike.wav", 1.0, Channel::Mix), None);
    assert_eq!(remark("one side.wav", 0.0, Channel::Mix), None);
    assert_eq!(remark("silence.wav", 0.0, Channel::Right), None);
}

#[test]
fn segments_outside_the_file_are_refused() {
    let folder = Folder::new();
    let path = folder.file("second.wav", &wav16(&[1; 16_000]));
    let load = |start_s, end_s| load(&path, 16_000, Some(Segment { start_s, end_s }));
    for (start_s, end_s) in [
        (-0.1, 0.5),
        (0.5, 0.5),
        (0.6, 0.5),
        (0.5, 1.1),
        (1.0, 1.005),
        (f64::NAN, 0.5),
        (0.0, f64::INFINITY),
    ] {
        let error = load(start_s, end_s).unwrap_err();
        assert!(
            matches!(error, AudioError::SegmentOutside { .. }),
            "{start_s} to {end_s}: {error}"
        );
    }
    // Rounded a little beyond the end.
    assert_eq!(load(0.5, 1.009).unwrap().samples.len(), 8000);
}

#[test]
fn loading_resamples_to_the_rate_asked_for() {
    let folder = Folder::new();
    let path = folder.file("second.wav", &wav16(&[8192; 16_000]));
    let clip = load(&path, 8000, None).unwrap();
    assert_eq!((clip.samples.len(), clip.rate_hz), (8000, 8000));
    assert!((clip.samples[4000] - 0.25).abs() < 1e-4);
    let error = load(&path, 10, None).unwrap_err().to_string();
    assert!(error.starts_with(&path.display().to_string()), "{error}");
    assert!(error.contains("10 Hz is not a sampling rate"), "{error}");
}

#[test]
fn a_written_clip_reads_back_to_16_bits() {
    let folder = Folder::new();
    let path = folder.0.path().join("clip.wav");
    let clip = Clip {
        samples: vec![0.0, 0.25, -1.0, 0.123_456, 1.7, -3.0],
        rate_hz: 44_100,
    };
    write_wav(&path, &clip).unwrap();
    let read = load(&path, 44_100, None).unwrap();
    for (read, wrote) in read.samples.iter().zip(&clip.samples) {
        assert!((read - wrote.clamp(-1.0, 1.0)).abs() <= 1.0 / 32_768.0);
    }
    let missing = folder.0.path().join("missing/clip.wav");
    let error = write_wav(&missing, &clip).unwrap_err();
    assert!(matches!(error, AudioError::Write { .. }), "{error}");
}

#[test]
fn check_clip_refuses_what_cannot_be_analysed() {
    let check = |samples: Vec<f32>| {
        let clip = Clip {
            samples,
            rate_hz: 16_000,
        };
        check_clip(Path::new("a.wav"), &clip, MIN_DURATION_S)
    };
    assert!(check(vec![0.0; 800]).is_ok());
    let error = check(vec![0.0; 799]).unwrap_err();
    assert!(matches!(error, AudioError::TooShort { .. }), "{error}");
    let error = check(vec![]).unwrap_err();
    assert!(matches!(error, AudioError::Empty { .. }), "{error}");
    let mut samples = vec![0.0; 800];
    samples[7] = f32::INFINITY;
    let error = check(samples).unwrap_err();
    assert!(matches!(error, AudioError::NonFinite { index: 7, .. }), "{error}");
}
