//! A verification in words.

use super::{Count, PartReport, Verification};
use std::fmt::Write as _;

/// Names listed at most.
const SHOWN: usize = 10;

impl Verification {
    /// What is wrong in one line; `None` where the corpus is complete.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        if self.complete {
            return None;
        }
        let mut problems = Vec::new();
        for part in self.parts.iter().filter(|part| !part.is_complete()) {
            let missing = part.expected.saturating_sub(part.found).max(part.missing.len());
            let extra = part.found.saturating_sub(part.expected).max(part.extra.len());
            for (files, what) in [(missing, "missing"), (extra, "not published")] {
                if files > 0 {
                    problems.push(format!("{files} of {} {} files are {what}", part.expected, part.name));
                }
            }
            if missing == 0 && extra == 0 {
                problems.push(format!("{} files are labelled otherwise than published", part.name));
            }
        }
        for (count, what) in [
            (self.unusable.len(), "files cannot be used"),
            (
                self.contradictions.len(),
                "files have the bytes of another one under another name",
            ),
        ] {
            if count > 0 {
                problems.push(format!("{count} {what}"));
            }
        }
        Some(format!("dataset `{}`: {}", self.dataset, problems.join("; ")))
    }

    /// The report for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{} ({}): {}\n", self.dataset, self.kind, self.root);
        if self.parts.is_empty() {
            let _ = writeln!(
                text,
                "  {} recordings; no published counts to hold them against",
                self.found
            );
        }
        for part in &self.parts {
            part.write(&mut text);
        }
        write_list(
            &mut text,
            "copies of other files, counted once",
            self.copies.len(),
            || {
                self.copies
                    .iter()
                    .map(|pair| format!("{:?} of {:?}", pair.copy, pair.kept))
            },
        );
        write_list(
            &mut text,
            "the bytes of another file under another name",
            self.contradictions.len(),
            || {
                self.contradictions
                    .iter()
                    .map(|pair| format!("{:?} and {:?}", pair.copy, pair.kept))
            },
        );
        write_list(
            &mut text,
            "the bytes of another file under another name, as the corpus was published",
            self.published.len(),
            || {
                self.published
                    .iter()
                    .map(|pair| format!("{:?} and {:?}", pair.copy, pair.kept))
            },
        );
        write_list(
            &mut text,
            "files that are none of the corpus",
            self.unknown.len(),
            || {
                self.unknown
                    .iter()
                    .map(|file| format!("{:?}: {}", file.path, file.problem))
            },
        );
        write_list(&mut text, "files that cannot be used", self.unusable.len(), || {
            self.unusable.iter().map(|file| file.problem.clone())
        });
        for remark in &self.remarks {
            let _ = writeln!(text, "  {remark}");
        }
        let _ = match self.problem() {
            None => writeln!(text, "  complete"),
            Some(_) => writeln!(text, "  NOT COMPLETE"),
        };
        text
    }
}

impl PartReport {
    fn write(&self, text: &mut String) {
        if self.absent {
            let _ = writeln!(text, "  {}: not here ({} files published)", self.name, self.expected);
            return;
        }
        let _ = writeln!(text, "  {}: {} of {} files", self.name, self.found, self.expected);
        let of = |column: &'static str| self.counts.iter().filter(move |count| count.column == column);
        for column in ["class", "session", "speakers"] {
            for Count {
                value, expected, found, ..
            } in of(column)
            {
                let mark = if found == expected { "" } else { "  <" };
                let what = if value.is_empty() { "speakers" } else { value.as_str() };
                let what = if column == "session" {
                    format!("session {what}")
                } else {
                    what.to_owned()
                };
                let _ = writeln!(text, "    {what:<16} {found:>6} of {expected:>6}{mark}");
            }
        }
        let absent: Vec<&str> = of("speaker")
            .filter(|count| count.found == 0)
            .map(|count| count.value.as_str())
            .collect();
        let all = of("speaker").count();
        if all > 0 {
            let _ = writeln!(text, "    {} of {all} speakers", all - absent.len());
        }
        if !absent.is_empty() {
            let _ = writeln!(text, "    missing speakers: {}", absent.join(" "));
        }
        for count in of("speaker").filter(|count| count.found != count.expected && count.found > 0) {
            let _ = writeln!(
                text,
                "    speaker {}: {} of {}",
                count.value, count.found, count.expected
            );
        }
        write_list(
            text,
            "  missing files of the speakers who are here",
            self.scattered.len(),
            || self.scattered.iter().cloned(),
        );
        write_list(text, "  files that were not published", self.extra.len(), || {
            self.extra.iter().map(|path| format!("{path:?}"))
        });
    }
}

fn write_list<I: Iterator<Item = String>>(text: &mut String, what: &str, count: usize, items: impl Fn() -> I) {
    if count == 0 {
        return;
    }
    let _ = writeln!(text, "  {what}: {count}");
    for item in items().take(SHOWN) {
        let _ = writeln!(text, "      {item}");
    }
    if count > SHOWN {
        let _ = writeln!(text, "      and {} more", count - SHOWN);
    }
}
