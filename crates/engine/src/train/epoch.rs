//! What happens between two epochs: measuring, choosing, telling.

use emorun_kernels::on_cores;
use emorun_metrics::Predicts;

use super::evaluate::evaluate;
use super::journal::Line;
use super::policy::Observation;
use super::progress::TrainingProgress;
use super::result::{HeadResult, SplitResult};
use super::schedule::LrSchedule;
use super::state::LoopState;
use super::{Abort, Session, Trainer};
use crate::settings::SchedulerConfig;
use emorun_nodes::network::Network;

/// Classes of a head beyond which a table of counts is too long for a line after every epoch.
const MOST_CLASSES: usize = 64;

impl Trainer<'_> {
    /// Ends an epoch: its line, validation, the choices that follow from it, what policies learn, and whether training ends.
    pub(super) fn end_epoch(
        &self,
        session: &mut Session,
        schedule: &LrSchedule,
        progress: &mut TrainingProgress,
        seconds: f64,
    ) -> Result<(), Abort> {
        if let Some(average) = &mut session.average {
            let state = &mut session.state;
            average.after_epoch(&session.network, state.epoch + 1, &mut state.averaged);
        }
        let evaluated = (!self.validation.is_empty()).then(|| session.evaluated());
        // That of the epoch's last step.
        let lr = schedule.lr(session.state.step.saturating_sub(1), &session.state.plateau);
        session.state.epoch += 1;
        session.state.batch = 0;
        let train = self.trained_epoch(session, seconds);
        let mut summary = format!(
            "epoch {}/{}  train {}",
            session.state.epoch,
            self.settings.training.epochs,
            losses_text(&train)
        );
        let (train_loss, measured) = (train.loss, evaluated.is_some());
        let shown = if let Some(network) = evaluated {
            let validation = self.validated(session, &network, lr)?;
            summary.push_str(&format!("  validation {}", losses_text(&validation)));
            validation
        } else {
            train
        };
        self.show_heads(&shown, session, &mut summary);
        let sight = Observation {
            progress: session.state.epoch as f64 / self.settings.training.epochs as f64,
            train_loss,
            validation: measured.then_some(&shown),
        };
        let Session {
            journal,
            state,
            names,
            policies,
            network: live,
            ..
        } = session;
        let metrics = on_cores(&self.device, || policies.after_epoch(live, state, names, &sight))?;
        if !metrics.is_empty() {
            let wall = Vec::new();
            journal.line(
                state.step,
                state.epoch,
                "policy",
                &Line {
                    metrics,
                    wall,
                    ..Line::default()
                },
            );
        }
        state.finished = self.is_finished(state);
        if self.is_stale(state) {
            summary.push_str(&format!(
                "  stopped early: no improvement in {} epochs",
                state.stale_epochs
            ));
        }
        progress.epoch(state.step, &summary);
        Ok(())
    }

    /// What the epoch that has ended has seen of the training items, as its line in the journal.
    fn trained_epoch(&self, session: &mut Session, seconds: f64) -> SplitResult {
        let seen = std::mem::take(&mut session.state.seen);
        let heads = seen.heads.iter();
        let train = SplitResult {
            n: seen.items,
            loss: seen.losses.total(),
            losses: seen.losses.by_node(&session.network),
            heads: heads
                .map(|(name, counts)| (name.clone(), HeadResult::of_counts(name, counts, self.settings)))
                .collect(),
        };
        let line = Line {
            metrics: train.named(),
            wall: vec![
                ("seconds", seconds),
                ("checkpoint_wait_s", std::mem::take(&mut session.checkpoint_wait_s)),
            ],
            ..Line::default()
        };
        let state = &session.state;
        session.journal.line(state.step, state.epoch, "train_epoch", &line);
        train
    }

    /// Measures a network on the validation items, and notes what follows from it: the line in the journal, the best
    /// epoch, the plateau.
    fn validated(&self, session: &mut Session, network: &Network, lr: f64) -> Result<SplitResult, Abort> {
        let state = &mut session.state;
        let device = self.device.clone().inner();
        let names = &session.names;
        let validation = evaluate(network, &self.feed, self.validation, self.settings, names, &device)
            .map_err(|abort| abort.within(&format!("validation after epoch {}", state.epoch)))?;
        let heads = validation.classifiers();
        let heads = heads.filter(|(_, _, rows)| rows.confusion().labels().len() <= MOST_CLASSES);
        let line = Line {
            metrics: validation.named(),
            confusion: heads
                .map(|(head, _, rows)| {
                    let counts = rows.confusion().rows().map(<[u64]>::to_vec);
                    (head.to_owned(), counts.collect())
                })
                .collect(),
            ..Line::default()
        };
        session.journal.line(state.step, state.epoch, "validation", &line);
        self.choose(state, &validation);
        if let SchedulerConfig::Plateau(plateau) = &self.settings.training.scheduler {
            let metric = plateau.metric.as_deref().unwrap_or("loss");
            state
                .plateau
                .after_epoch(plateau, metric, validation.metric(metric), lr);
        }
        Ok(validation)
    }

    /// Adds the metrics of the heads to an epoch's line for people, and draws what they confuse.
    fn show_heads(&self, shown: &SplitResult, session: &mut Session, summary: &mut String) {
        let mut show = |head: &str, result: &HeadResult, predicts| {
            for metric in self.settings.evaluation.shown(predicts) {
                if let Some(value) = result.metric(metric) {
                    summary.push_str(&format!("  {head} {} {}", metric.title(), metric.unit().short(value)));
                }
            }
        };
        for (head, result, rows) in shown.regressors() {
            let predicts = if rows.of_frames() {
                Predicts::Frames
            } else {
                Predicts::Numbers
            };
            show(head, result, predicts);
        }
        for (head, result, rows) in shown.classifiers() {
            show(head, result, Predicts::Classes);
            let title = format!("{head}, epoch {}", session.state.epoch);
            let counts = rows.confusion();
            let figure = emorun_figures::confusion_matrix(&title, counts.labels(), counts.rows());
            match figure.and_then(|figure| figure.to_png()) {
                Ok(png) => {
                    let tag = format!("figures/confusion/{head}");
                    session.journal.image(&tag, session.state.step, &png.bytes);
                }
                Err(error) => tracing::warn!("no confusion matrix was drawn: {error}"),
            }
        }
    }

    /// Notes the best epoch and how long nothing has improved.
    fn choose(&self, state: &mut LoopState, validation: &SplitResult) {
        let keep = self.settings.training.checkpoints.keep_best;
        state.rank(&self.best_metric, validation.metric(&self.best_metric), keep);
        if let Some(stopping) = &self.settings.training.early_stopping {
            let metric = stopping.metric.as_ref().unwrap_or(&self.best_metric);
            state.watch(metric, validation.metric(metric), stopping.min_delta);
        }
    }
}

/// The loss of a result for people, with its parts where there are several.
fn losses_text(result: &SplitResult) -> String {
    let number = |value: Option<f64>| format!("{:.4}", value.unwrap_or(f64::NAN));
    let mut text = format!("loss {}", number(result.loss));
    if result.losses.len() > 1 {
        let parts = result.losses.iter();
        let parts: Vec<String> = parts
            .map(|(node, loss)| format!("{node} {}", number(loss.value)))
            .collect();
        text.push_str(&format!(" ({})", parts.join(", ")));
    }
    text
}
