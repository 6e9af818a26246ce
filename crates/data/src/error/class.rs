//! Whether an error lies in the experiment or in the data, and where in the experiment file.

use super::{DataError, RowProblem};

/// Whether an error lies in the experiment or in the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The experiment asks for what the data cannot give.
    Invalid,
    /// Data is missing, unreadable or contradicts itself.
    Data,
}

impl ErrorClass {
    /// The exit code that belongs to the class.
    #[must_use]
    pub const fn exit_code(self) -> i32 {
        match self {
            Self::Invalid => 3,
            Self::Data => 4,
        }
    }
}

impl DataError {
    /// Whether the experiment or the data is at fault.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::RootMissing { .. }
            | Self::RootNotFolder { .. }
            | Self::Unreadable { .. }
            | Self::NoAudio { .. }
            | Self::NoneMatch { .. }
            | Self::BadAudio { .. }
            | Self::ManyBad { .. }
            | Self::Pointers { .. }
            | Self::Table { .. }
            | Self::WindowsPaths { .. }
            | Self::EmptyColumn { .. }
            | Self::Changed { .. }
            | Self::Index { .. }
            | Self::Contradiction { .. }
            | Self::TableMissing { .. }
            | Self::EmptyManifest { .. } => ErrorClass::Data,
            Self::Emobox(error) => error.class(),
            Self::Stream { problem, .. } => problem.class(),
            Self::NothingLeft { bad, .. } if *bad > 0 => ErrorClass::Data,
            Self::Row { problem, .. } => match **problem {
                RowProblem::Label { .. } => ErrorClass::Invalid,
                _ => ErrorClass::Data,
            },
            _ => ErrorClass::Invalid,
        }
    }

    /// The keys that lead to the fault in the experiment file, such as `datasets`, `ravdess`,
    /// `emotions`, `2`.
    #[must_use]
    pub fn document_path(&self) -> Vec<String> {
        let dataset_field = |dataset: &str, field: &str| {
            let mut path = vec!["datasets".to_owned(), dataset.to_owned()];
            path.extend(field.split('.').filter(|part| !part.is_empty()).map(str::to_owned));
            path
        };
        match self {
            Self::RootMissing { dataset, .. }
            | Self::RootNotFolder { dataset, .. }
            | Self::NoAudio { dataset, .. }
            | Self::NoneMatch { dataset, .. } => dataset_field(dataset, "root"),
            Self::Unreadable { dataset, .. }
            | Self::BadAudio { dataset, .. }
            | Self::ManyBad { dataset, .. }
            | Self::Pointers { dataset, .. }
            | Self::Changed { dataset, .. }
            | Self::Contradiction { dataset, .. }
            | Self::NothingLeft { dataset, .. }
            | Self::RepeatedColumn { dataset, .. } => dataset_field(dataset, ""),
            Self::Row { dataset, .. }
            | Self::Table { dataset, .. }
            | Self::WindowsPaths { dataset, .. }
            | Self::EmptyManifest { dataset, .. }
            | Self::ManifestFormat { dataset, .. } => dataset_field(dataset, "path"),
            Self::EmptyColumn { dataset, field, .. } => dataset_field(dataset, field),
            Self::NoLabel { datasets, .. } => match &datasets[..] {
                [(dataset, _)] => dataset_field(dataset, ""),
                _ => vec!["datasets".to_owned()],
            },
            Self::UnusedLabel { dataset, name, .. } => {
                let mut path = dataset_field(dataset, "mapping");
                path.push(name.clone());
                path
            }
            Self::MissingColumn { dataset, field, .. } => dataset_field(dataset, field),
            Self::UnknownEmotion { dataset, field, .. } => {
                let mut path = dataset_field(dataset, "");
                path.extend(field.iter().cloned());
                path
            }
            Self::RepeatedEmotion { dataset, index, .. } => dataset_field(dataset, &format!("emotions.{index}")),
            Self::NoEmotions { dataset } => dataset_field(dataset, "emotions"),
            Self::Field { dataset, field, .. } | Self::TableMissing { dataset, field, .. } => {
                dataset_field(dataset, field)
            }
            Self::SplitField { field, .. }
            | Self::UnknownSpeaker { field, .. }
            | Self::AmbiguousSpeaker { field, .. } => std::iter::once("split".to_owned())
                .chain(field.split('.').map(str::to_owned))
                .collect(),
            Self::FilesField { dataset, field, .. } => dataset_field(dataset, field),
            Self::UnknownCode { dataset, .. } => dataset_field(dataset, "pattern"),
            Self::Stream {
                dataset,
                stream,
                problem,
                ..
            } => {
                let mut path = dataset_field(dataset, "streams");
                path.push(stream.clone());
                path.extend(problem.field().map(str::to_owned));
                path
            }
            Self::Emobox(error) => error.document_path(),
            Self::Index { .. } => vec!["datasets".to_owned()],
            _ => vec!["split".to_owned()],
        }
    }
}
