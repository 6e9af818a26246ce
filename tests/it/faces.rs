//! Faces side by side: pages, animations and tables of what OpenFace or a model wrote.

use std::fs;

use crate::streams::floats;
use crate::support::Lab;

#[test]
fn generated_faces_become_a_page_an_animation_and_a_table_that_is_read_again() {
    let lab = Lab::new();
    let made = lab.emorun(&["data", "dyads", "d", "--dyads", "1", "--clips", "1", "--frames", "30"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let faces = ["speaker=d/000_00_speaker.csv", "listener=d/000_00_listener.csv"];
    let show = |arguments: &[&str]| lab.emorun(&[&["data", "faces"], arguments].concat());
    let page = show(&[faces[0], faces[1], "--out", "clip.html", "--audio", "d/000_00.wav"]);
    assert_eq!(page.code, 0, "{}", page.stderr);
    assert_eq!(
        page.stdout,
        "speaker: 30 frames, 0 not seen\nlistener: 30 frames, 0 not seen\nclip.html\n"
    );
    let text = fs::read_to_string(lab.path("clip.html")).unwrap();
    assert!(text.contains("\"name\":\"listener\"") && text.contains("data:audio/wav;base64,"));
    let animation = show(&[faces[0], "--out", "clip.png"]);
    assert_eq!(animation.code, 0, "{}", animation.stderr);
    assert!(
        fs::read(lab.path("clip.png"))
            .unwrap()
            .windows(4)
            .any(|part| part == b"acTL")
    );
    let table = show(&[faces[0], "--out", "speaker.csv"]);
    assert_eq!(table.code, 0, "{}", table.stderr);
    let again = show(&["speaker=speaker.csv", "--out", "again.csv"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    let written = fs::read_to_string(lab.path("speaker.csv")).unwrap();
    assert!(written.starts_with("frame, face_id, timestamp, confidence, success, AU01_r, "));
    assert_eq!(fs::read_to_string(lab.path("again.csv")).unwrap(), written);
    // Samples of a model are a face each.
    lab.write("samples.npy", floats(&[2, 5, 22], &[0.1; 220]));
    let samples = show(&["sample=samples.npy", "--out", "samples.html"]);
    assert_eq!(
        samples.stdout,
        "sample 1: 5 frames, 0 not seen\nsample 2: 5 frames, 0 not seen\nsamples.html\n"
    );
}

#[test]
fn what_is_no_face_is_refused_with_its_place() {
    let lab = Lab::new();
    lab.write("face.csv", "frame, gaze_angle_x, gaze_angle_y\n1, 0.1, 0.2\n");
    lab.write("face.npy", floats(&[5, 3], &[0.0; 15]));
    for (arguments, code, expected) in [
        (["face.csv", "x.html"], 2, "`face.csv` is no NAME=FILE"),
        (["a=face.csv", "x.gif"], 2, "an animation in .png"),
        (["a=face.csv", "x.html"], 4, "face.csv has no column `AU01_r`"),
        (["a=face.npy", "x.html"], 4, "[5, 3] is not [time, 22]"),
        (["a=none.csv", "x.html"], 7, "none.csv"),
    ] {
        let outcome = lab.emorun(&["data", "faces", arguments[0], "--out", arguments[1]]);
        assert_eq!(outcome.code, code, "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(expected), "{arguments:?}: {}", outcome.stderr);
        assert!(!lab.path(arguments[1]).exists());
    }
}
