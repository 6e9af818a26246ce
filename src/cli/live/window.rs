//! A session as a window on the terminal: the level, what heads say, and how it went.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;

use emorun_engine::exit::Failure;
use emorun_engine::terminal::{Screen, screen, shows_screen};
use emorun_live::{Event, Listener, Update};
use emorun_metrics::Predicts;
use emorun_recognise::Head;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Gauge, LineGauge, Paragraph};

use super::lines::{line, plain};

/// Level at which the gauge is empty, in dB relative to full scale.
const FLOOR_DB: f64 = -60.0;
/// Events that are remembered for the track.
const TRACK: usize = 200;

/// The terminal while it is a window; it is given back when this is dropped.
pub(super) struct Window {
    terminal: Terminal<CrosstermBackend<Screen>>,
    title: String,
    update: Option<Update>,
    track: VecDeque<Event>,
    is_open: bool,
}

impl Window {
    /// Whether there is a terminal to draw on.
    pub(super) fn can_open() -> bool {
        shows_screen()
    }

    /// Makes the terminal a window.
    pub(super) fn open(model: &str, input: &str) -> Result<Self, Failure> {
        let drawn = || -> io::Result<Terminal<CrosstermBackend<Screen>>> {
            enable_raw_mode()?;
            execute!(screen(), EnterAlternateScreen)?;
            Terminal::new(CrosstermBackend::new(screen()))
        };
        Ok(Self {
            terminal: drawn().map_err(undrawn)?,
            title: format!(" {} hears {} ", plain(model), plain(input)),
            update: None,
            track: VecDeque::new(),
            is_open: true,
        })
    }

    /// Remembers an event.
    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::Update(update) => {
                self.update = Some(update.clone());
                if !update.last {
                    return;
                }
            }
            Event::NotEnough { last: false, .. } => return,
            _ => {}
        }
        self.track.push_back(event.clone());
        if self.track.len() > TRACK {
            self.track.pop_front();
        }
    }

    /// Draws it, and gives whether somebody wants to leave.
    pub(super) fn look(&mut self, listener: &Listener) -> Result<bool, Failure> {
        let (title, update, track) = (&self.title, self.update.as_ref(), &self.track);
        let drawn = self.terminal.draw(|frame| {
            let block = Block::bordered().title(title.as_str()).title_bottom(" q ends ");
            let area = block.inner(frame.area());
            frame.render_widget(block, frame.area());
            let heads = listener.heads();
            let bars = heads.iter().map(|head| head.outputs.len() as u16 + 1).sum();
            let rows = [Constraint::Length(2), Constraint::Length(bars), Constraint::Min(0)];
            let [top, middle, bottom] = Layout::vertical(rows).areas(area);
            draw_level(frame, top, listener);
            draw_heads(frame, middle, heads, update);
            draw_track(frame, bottom, heads, track);
        });
        drawn.map_err(undrawn)?;
        is_left().map_err(undrawn)
    }

    /// Gives the terminal back.
    pub(super) fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            // A terminal that has gone away needs nothing back.
            let _ = disable_raw_mode();
            let _ = execute!(screen(), LeaveAlternateScreen);
            let _ = self.terminal.show_cursor();
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.close();
    }
}

fn undrawn(error: io::Error) -> Failure {
    Failure::io("draw on", Path::new("the terminal"))(error)
}

/// Whether q, Escape or Ctrl-C, which is no signal here, was typed.
fn is_left() -> io::Result<bool> {
    while event::poll(Duration::ZERO)? {
        if let Input::Key(key) = event::read()? {
            let is_ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if is_ctrl_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn draw_level(frame: &mut ratatui::Frame<'_>, area: Rect, listener: &Listener) {
    let ratio = ((listener.level_db() - FLOOR_DB) / -FLOOR_DB).clamp(0.0, 1.0);
    let state = if listener.is_speech() { "speech" } else { "silence" };
    let skipped = if listener.skipped() > 0 {
        format!("  {} skipped", listener.skipped())
    } else {
        String::new()
    };
    let gauge = LineGauge::default()
        .ratio(if ratio.is_finite() { ratio } else { 0.0 })
        .label(format!("{:7.1} s  {state:<7}{skipped}", listener.time_s()));
    frame.render_widget(gauge, area);
}

fn draw_heads(frame: &mut ratatui::Frame<'_>, area: Rect, heads: &[Head], update: Option<&Update>) {
    let mut rows = area.rows();
    for (at, head) in heads.iter().enumerate() {
        let estimate = update.and_then(|update| update.estimates.get(at));
        let label = estimate.and_then(|estimate| estimate.label.as_deref());
        let Some(row) = rows.next() else { return };
        let title = format!("{}  {}", plain(&head.name), plain(label.unwrap_or("")));
        frame.render_widget(Line::from(title).bold(), row);
        // As sure as they are right, where that is known.
        let numbers = estimate.map(|estimate| {
            let calibrated = head.calibrated(&estimate.smoothed);
            calibrated.unwrap_or_else(|| estimate.smoothed.clone())
        });
        for (output, name) in head.outputs.iter().enumerate() {
            let Some(row) = rows.next() else { return };
            let number = numbers.as_ref().and_then(|numbers| numbers.get(output)).copied();
            let number = number.unwrap_or_default();
            if head.predicts == Predicts::Numbers {
                frame.render_widget(Line::from(format!("  {} {number:.2}", plain(name))), row);
                continue;
            }
            let [names, bars] = Layout::horizontal([Constraint::Length(16), Constraint::Min(0)]).areas(row);
            let style = if label == Some(name) {
                Style::new().bold()
            } else {
                Style::new()
            };
            frame.render_widget(Line::styled(format!("  {}", plain(name)), style), names);
            let ratio = f64::from(number).clamp(0.0, 1.0);
            frame.render_widget(
                Gauge::default().ratio(if ratio.is_finite() { ratio } else { 0.0 }),
                bars,
            );
        }
    }
}

/// The newest events at the bottom.
fn draw_track(frame: &mut ratatui::Frame<'_>, area: Rect, heads: &[Head], track: &VecDeque<Event>) {
    let block = Block::bordered().title(" so far ");
    let count = usize::from(block.inner(area).height);
    let newest = track.iter().skip(track.len().saturating_sub(count));
    let lines: Vec<Line<'_>> = newest.map(|event| Line::from(line(event, heads))).collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
