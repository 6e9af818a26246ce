//! Faces as a page that plays them: one file, which fetches nothing.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use super::{FaceFrame, Faces, LINES};
use crate::{
    colour::{Rgb, category},
    svg::escape,
};

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");

impl Faces<'_> {
    /// A page of HTML that plays the faces, with the sound of a WAV file where one is given. It holds everything that it
    /// shows, and its policy lets in nothing else.
    pub fn page(&self, wav: Option<&[u8]>) -> String {
        let names: Vec<String> = self.panels.iter().map(|panel| panel.name.clone()).collect();
        let audio = wav.map_or_else(String::new, |wav| {
            let sound = STANDARD.encode(wav);
            format!("<audio id=\"voice\" preload=\"auto\" src=\"data:audio/wav;base64,{sound}\"></audio>\n")
        });
        let hash = STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()));
        let parts = [
            ("hash", hash),
            ("title", escape(self.title)),
            ("label", escape(&format!("Faces side by side: {}", names.join(", ")))),
            ("audio", audio),
            ("data", self.data()),
            ("script", SCRIPT.to_owned()),
        ];
        // One pass, so that what a name holds is not taken for a place.
        let mut page = String::new();
        let mut rest = PAGE;
        while let Some(at) = rest.find('{') {
            page.push_str(&rest[..at]);
            let found = parts.iter().find_map(|(name, text)| {
                let after = rest[at + 1..].strip_prefix(name)?.strip_prefix('}')?;
                Some((text, after))
            });
            match found {
                Some((text, after)) => {
                    page.push_str(text);
                    rest = after;
                }
                None => {
                    page.push('{');
                    rest = &rest[at + 1..];
                }
            }
        }
        page.push_str(rest);
        page
    }

    /// What the script draws, as JSON in which no markup begins.
    fn data(&self) -> String {
        let rate = if self.rate_hz > 0.0 { self.rate_hz } else { 25.0 };
        let mut data = format!("{{\"rate\":{rate},\"frames\":{},\"lines\":[", self.frames());
        let lines = LINES.iter().map(|(points, is_closed)| {
            let closed = u8::from(*is_closed);
            format!("[{},{},{closed}]", points.start(), points.end())
        });
        data.push_str(&lines.collect::<Vec<String>>().join(","));
        data.push_str("],\"panels\":[");
        for (at, panel) in self.panels.iter().enumerate() {
            let Rgb(r, g, b) = category(at);
            let comma = if at > 0 { "," } else { "" };
            let _ = write!(
                data,
                "{comma}{{\"name\":\"{}\",\"colour\":\"#{r:02x}{g:02x}{b:02x}\",\"frames\":[",
                quoted(&panel.name)
            );
            for (at, frame) in panel.frames.iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                let face = frame
                    .as_ref()
                    .filter(|face| face.is_known())
                    .map_or_else(|| "0".to_owned(), numbers);
                data.push_str(comma);
                data.push_str(&face);
            }
            data.push_str("]}");
        }
        data.push_str("]}");
        data
    }
}

/// Points and pupils of a face, to a tenth of a pixel.
fn numbers(face: &FaceFrame) -> String {
    let points = face.points.iter().flatten().map(|value| f64::from(*value));
    let pupils = face.pupils().into_iter().flat_map(|at| [at.x, at.y]);
    let all: Vec<String> = points
        .chain(pupils)
        .map(|value| format!("{}", (value * 10.0).round() / 10.0))
        .collect();
    format!("[{}]", all.join(","))
}

/// The inside of a JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
