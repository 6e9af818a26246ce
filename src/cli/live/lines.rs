//! Events as lines of text.

use emorun_live::{Estimate, Event, Update};
use emorun_metrics::Predicts;
use emorun_recognise::Head;

/// An event as a line for people, without its end.
pub(super) fn line(event: &Event, heads: &[Head]) -> String {
    match event {
        Event::SpeechStarted { from_s, .. } => format!("{from_s:8.2} s  speech"),
        Event::SpeechEnded {
            to_s, forced: false, ..
        } => format!("{to_s:8.2} s  end of speech"),
        Event::SpeechEnded { to_s, forced: true, .. } => format!("{to_s:8.2} s  end of speech, which was cut here"),
        Event::Update(update) => format!("{:8.2} s  {}", update.to_s, said(update, heads)),
        Event::NotEnough { time_s, heard_s, .. } => format!("{time_s:8.2} s  not enough heard ({heard_s:.2} s)"),
        Event::Skipped { time_s, count } => format!("{time_s:8.2} s  {count} question(s) skipped"),
        Event::BadSamples { time_s, .. } => {
            format!("{time_s:8.2} s  samples that are no numbers of sound; they are heard as silence")
        }
    }
}

/// What heads say: labels with their smoothed probabilities, and numbers.
fn said(update: &Update, heads: &[Head]) -> String {
    let several = heads.len() > 1;
    let parts = heads.iter().zip(&update.estimates).map(|(head, estimate)| {
        let said = head_said(head, estimate);
        if several {
            format!("{}: {said}", plain(&head.name))
        } else {
            said
        }
    });
    let end = if update.last { "  (all of it)" } else { "" };
    format!("{}{end}", parts.collect::<Vec<_>>().join("   "))
}

fn head_said(head: &Head, estimate: &Estimate) -> String {
    match estimate.predicts {
        Predicts::Classes => {
            let label = estimate.label.as_deref().unwrap_or_default();
            let at = head.outputs.iter().position(|output| output == label);
            let calibrated = head.calibrated(&estimate.smoothed);
            let shares = calibrated.as_ref().unwrap_or(&estimate.smoothed);
            let share = at.and_then(|at| shares.get(at)).copied().unwrap_or_default();
            format!("{} {:.0} %", plain(label), 100.0 * share)
        }
        Predicts::Numbers | Predicts::Frames => {
            let numbers = head.outputs.iter().zip(&estimate.smoothed);
            let numbers = numbers.map(|(name, number)| format!("{} {number:.2}", plain(name)));
            numbers.collect::<Vec<_>>().join(" ")
        }
    }
}

/// A name without what would move a terminal's cursor or end a line.
pub(super) fn plain(name: &str) -> String {
    name.chars()
        .map(|letter| if letter.is_control() { '\u{fffd}' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_happened_and_nothing_moves_the_cursor() {
        let heads = [
            Head {
                name: "emotion".into(),
                predicts: Predicts::Classes,
                outputs: vec!["sad".into(), "ha\u{1b}[2Jppy\n".into()],
                temperature: None,
            },
            Head {
                name: "dims".into(),
                predicts: Predicts::Numbers,
                outputs: vec!["valence".into()],
                temperature: None,
            },
        ];
        let estimate = |predicts, smoothed: &[f32], label: Option<&str>| Estimate {
            predicts,
            raw: smoothed.to_vec(),
            smoothed: smoothed.to_vec(),
            label: label.map(str::to_owned),
        };
        let event = Event::Update(Update {
            segment: 1,
            from_s: 0.5,
            to_s: 1.5,
            heard_s: 0.8,
            last: true,
            estimates: vec![
                estimate(Predicts::Classes, &[0.25, 0.75], Some("ha\u{1b}[2Jppy\n")),
                estimate(Predicts::Numbers, &[0.125], None),
            ],
        });
        assert_eq!(
            line(&event, &heads),
            "    1.50 s  emotion: ha\u{fffd}[2Jppy\u{fffd} 75 %   dims: valence 0.12  (all of it)"
        );
    }
}
