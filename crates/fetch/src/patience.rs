//! When a busy server is asked again.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use ureq::http::{HeaderMap, StatusCode};

use crate::client::text;

/// First wait where the server says none; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// Longest wait where the server says none.
const LONGEST: Duration = Duration::from_secs(60);
/// Most that is waited in all where the server says nothing.
const UNASKED: Duration = Duration::from_secs(5 * 60);
/// Most that is waited in all where the server says for how long.
const ASKED: Duration = Duration::from_secs(15 * 60);

/// What time it is, and how time is let pass. Tests have their own.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    sleep: Arc<dyn Fn(Duration) + Send + Sync>,
}

impl Clock {
    /// A clock of one's own.
    pub fn new(
        now: impl Fn() -> SystemTime + Send + Sync + 'static,
        sleep: impl Fn(Duration) + Send + Sync + 'static,
    ) -> Self {
        Self {
            now: Arc::new(now),
            sleep: Arc::new(sleep),
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.now)()
    }

    pub(crate) fn sleep(&self, time: Duration) {
        (self.sleep)(time);
    }
}

impl Default for Clock {
    /// The system's.
    fn default() -> Self {
        Self::new(SystemTime::now, std::thread::sleep)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Whether a status says that the same request may be answered later.
pub(crate) fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// How long one server was waited for.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    tries: u32,
    waited: Duration,
}

impl Patience {
    /// How long to wait before a busy server is asked again: as long as it says in `Retry-After`, else longer each time.
    ///
    /// # Errors
    /// It is not worth waiting longer; why, in words.
    pub(crate) fn next(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> Result<Duration, String> {
        let asked = text(headers, "retry-after").and_then(|value| retry_after(value, now));
        let grown = FIRST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        // A server that asks for no time at all gets some nevertheless.
        let (wait, most) = asked.map_or((grown, UNASKED), |asked| (asked.max(FIRST), ASKED));
        let all = self.waited.saturating_add(wait);
        if all > most {
            return Err(match asked {
                Some(asked) => format!(
                    "the server answers {status} and asks to be left alone for {} s; try again after that",
                    asked.as_secs()
                ),
                None => format!(
                    "the server answers {status}, also after {} s of waiting",
                    self.waited.as_secs()
                ),
            });
        }
        self.tries += 1;
        self.waited = all;
        Ok(wait)
    }
}

/// The time that `Retry-After` asks for: seconds, or until a date.
///
/// # Source
/// RFC 9110, 10.2.3.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    // A date that has passed, or a clock that is wrong: now.
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn headers(retry_after: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", retry_after.parse().unwrap());
        headers
    }

    /// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110, 5.6.7.
    fn example() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    #[test]
    fn seconds_and_the_three_forms_of_dates_are_read() {
        let minute_before = example() - Duration::from_secs(60);
        for (value, seconds) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(60)),
            ("Sun Nov  6 08:49:37 1994", Some(60)),
            ("Sat, 05 Nov 1994 08:49:37 GMT", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(value, minute_before), expected, "{value}");
        }
    }

    #[test]
    fn without_a_word_of_the_server_waits_grow_to_minutes_and_end() {
        let mut patience = Patience::default();
        let mut waits = Vec::new();
        let gave_up = loop {
            match patience.next(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new(), example()) {
                Ok(wait) => waits.push(wait.as_secs()),
                Err(reason) => break reason,
            }
        };
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(gave_up.contains("503") && gave_up.contains("243 s"), "{gave_up}");
    }

    #[test]
    fn the_servers_word_counts_unless_it_is_for_too_long() {
        let mut patience = Patience::default();
        let status = StatusCode::TOO_MANY_REQUESTS;
        for (value, seconds) in [("30", 30), ("0", 1), ("300", 300)] {
            let wait = patience.next(status, &headers(value), example()).unwrap();
            assert_eq!(wait.as_secs(), seconds);
        }
        for value in ["3600", "99999999999999999999999"] {
            let reason = patience.next(status, &headers(value), example()).unwrap_err();
            assert!(reason.contains("429") && reason.contains("left alone"), "{reason}");
        }
    }
}
