//! Whether an experiment fits the machine's memory.

use super::Prepared;
use emorun_data::{Assignment, SplitName};
use emorun_engine::exit::Failure;
use emorun_engine::memory::{Load, free, largest, mib, rss};

/// What a run is estimated to need of the machine's memory, and what there is.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// The largest resident memory that is expected, in bytes.
    pub peak: u64,
    /// The same if every batch were the longest item alone.
    pub least: u64,
    /// Bytes that are free, with those that this process has; `None` where the system does not say.
    pub free: Option<u64>,
    /// Bytes that there are in all.
    pub largest: Option<u64>,
}

impl Prepared {
    /// The need of memory; `None` before corpora were read.
    pub fn need(&self) -> Option<Need> {
        let load = self.load()?;
        Some(Need {
            peak: load.peak_bytes(),
            least: load.of_one_item().peak_bytes(),
            free: free().map(|free| free + rss().unwrap_or(0)),
            largest: largest(),
        })
    }

    /// The longest item of training by name and length.
    pub fn longest_item(&self) -> Option<String> {
        let (item, seconds) = self.longest_in_training()?;
        let name = self.corpus.items.get(item).ok()?.display_path();
        Some(format!("{name} ({seconds:.1} s)"))
    }

    /// What the estimate comes from: the pass, and its longest item by name, length and side.
    fn decided_by(&self, load: &Load) -> (&'static str, String) {
        if !load.is_of_evaluation() {
            return ("training", self.longest_item().unwrap_or_default());
        }
        let durations_s = self.corpus.items.durations_s();
        let sides = self.assignments.iter().flat_map(|assignment| {
            let Assignment {
                train,
                validation,
                test,
                ..
            } = assignment;
            [
                (SplitName::Train, train),
                (SplitName::Validation, validation),
                (SplitName::Test, test),
            ]
        });
        let items = sides.flat_map(|(side, items)| items.iter().map(move |&item| (side, item)));
        let longest = items.max_by(|a, b| durations_s[a.1].total_cmp(&durations_s[b.1]));
        let named = longest.and_then(|(side, item)| {
            let name = self.corpus.items.get(item).ok()?.display_path();
            Some(format!("{name} ({:.1} s, on the {side} side)", durations_s[item]))
        });
        ("evaluation", named.unwrap_or_default())
    }

    /// The longest item of evaluation, where the estimate is that of evaluation.
    pub fn longest_that_decides(&self) -> Option<String> {
        let load = self.load().filter(Load::is_of_evaluation)?;
        Some(self.decided_by(&load).1)
    }

    /// What is to be said where the estimate is more than what is free.
    pub fn memory_remark(&self) -> Option<String> {
        let Need { peak, free, .. } = self.need()?;
        let free = free.filter(|&free| peak > free)?;
        let (pass, longest) = self.decided_by(&self.load()?);
        Some(format!(
            "about {} of memory are needed and {} are free: batches are padded to their longest item, and the longest of {pass} is {longest}; {REMEDY}",
            mib(peak),
            mib(free)
        ))
    }

    /// Refuses what cannot fit, whatever else the machine does.
    ///
    /// # Errors
    /// A batch of the longest item alone is estimated to need more memory than there is.
    pub fn refuse_too_long(&self) -> Result<(), Failure> {
        let Some(Need {
            least,
            largest: Some(largest),
            ..
        }) = self.need()
        else {
            return Ok(());
        };
        if least <= largest {
            return Ok(());
        }
        let (pass, longest) = match self.load() {
            Some(load) => self.decided_by(&load.of_one_item()),
            None => ("training", String::new()),
        };
        let what = match pass {
            "training" => "a training step",
            pass => pass,
        };
        Err(Failure::Input(format!(
            "{what} on {longest} alone needs about {} of memory, and there are {}; {REMEDY}",
            mib(least),
            mib(largest)
        )))
    }
}

/// What helps against long items.
const REMEDY: &str = "cut long recordings into parts or leave them out, train on `random_crop`, or lower training.batch_size and evaluation.batch_size (or bound batches in seconds with training.batching)";
