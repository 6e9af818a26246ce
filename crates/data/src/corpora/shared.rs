//! The fields that datasets share, each documented here once.

use crate::labelling::Mapping;
use emorun_audio::Channel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What to do with audio that cannot be decoded, is too short or is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBadAudio {
    /// Stop and name every such file.
    #[default]
    Error,
    /// Leave such files out, counted and listed.
    Skip,
}

/// What to do with one recording under several names. A few corpora were published with such; see each one's remarks in
/// `check`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnCopies {
    /// Where speaker and labels are the same. By default `once`, but `keep` for those that the corpus was published with.
    #[serde(default)]
    pub same_labels: Option<SameLabels>,
    /// Where they are not. By default `error`, but `drop` for those that the corpus was published with.
    #[serde(default)]
    pub other_labels: Option<OtherLabels>,
}

/// What to do with copies that agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SameLabels {
    /// The first is used.
    Once,
    /// Each is used; a split keeps them on one side.
    Keep,
}

/// What to do with copies that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OtherLabels {
    /// Stop and name them.
    Error,
    /// None of them is used: nobody knows which label is right.
    Drop,
    /// Each is used with its own label; a split keeps them on one side.
    Keep,
}

/// What the fields that datasets share say; the default is what is meant where a dataset does not have the field. Written
/// by [`dataset!`].
pub(crate) trait SharedFields {
    /// Folder that holds the corpus.
    fn root(&self) -> Option<&Path> {
        None
    }
    /// Emotions to keep, in the order of their numbers.
    fn emotions(&self) -> Option<&[String]> {
        None
    }
    /// New classes for the corpus' labels.
    fn mapping(&self) -> Option<&Mapping> {
        None
    }
    /// Keeps every class as the corpus has it.
    fn keep_all_classes(&mut self) {}
    /// What to do with files that cannot be used.
    fn on_bad_audio(&self) -> OnBadAudio {
        OnBadAudio::default()
    }
    /// What to do with one recording under several names.
    fn on_copies(&self) -> OnCopies {
        OnCopies::default()
    }
    /// Name of its people, where the dataset gives one.
    fn named_people(&self) -> Option<&str> {
        None
    }
    /// Which channel of its files is heard.
    fn channel(&self) -> Channel {
        Channel::Mix
    }
}

/// Writes the configuration of a dataset: its own fields as they stand, and `shared NAME` for those that datasets share, in
/// the order of the schema. What is particular about a shared field stands behind it:
/// - `shared classes`, which are `emotions` and `mapping`: what is kept by default, and whose labels are mapped;
/// - `shared on_bad_audio`: what such a file is;
/// - `shared people`: whose name is the default, as `of KIND` or in words.
///
/// Fields are not gathered with `flatten`, which serde cannot combine with refusing unknown keys.
macro_rules! dataset {
    ($(#[$meta:meta])* pub struct $name:ident { $($body:tt)* }) => {
        $crate::corpora::shared::dataset!(@ [$(#[$meta])*] $name [] [] $($body)*);
    };
    (@ [$($meta:tt)*] $name:ident [$($fields:tt)*] [$($methods:tt)*]) => {
        $($meta)*
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize, ::schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($fields)* }

        impl $crate::corpora::SharedFields for $name { $($methods)* }
    };
    (@ $head:tt $name:ident [$($fields:tt)*] [$($methods:tt)*] shared root, $($rest:tt)*) => {
        $crate::corpora::shared::dataset!(@ $head $name [
            $($fields)*
            /// Folder that holds the corpus, relative to the working directory.
            pub root: ::emorun_lang::DataPath,
        ] [
            $($methods)*
            fn root(&self) -> Option<&::std::path::Path> {
                Some(self.root.as_path())
            }
        ] $($rest)*);
    };
    (@ $head:tt $name:ident $fields:tt $methods:tt shared classes, $($rest:tt)*) => {
        $crate::corpora::shared::dataset!(
            @ $head $name $fields $methods
            shared classes: "all by default.", "a label of the corpus", "applied before `emotions`.",
            $($rest)*
        );
    };
    (@ $head:tt $name:ident [$($fields:tt)*] [$($methods:tt)*]
        shared classes: $default:literal, $label:literal, $when:literal, $($rest:tt)*) => {
        $crate::corpora::shared::dataset!(@ $head $name [
            $($fields)*
            #[doc = concat!("Emotions to keep, numbered in this order; ", $default)]
            #[serde(default)]
            pub emotions: Option<Vec<String>>,
            #[doc = concat!("New class for ", $label, ", or `null` to drop its items; ", $when)]
            #[serde(default)]
            pub mapping: Option<$crate::Mapping>,
        ] [
            $($methods)*
            fn emotions(&self) -> Option<&[String]> {
                self.emotions.as_deref()
            }
            fn mapping(&self) -> Option<&$crate::Mapping> {
                self.mapping.as_ref()
            }
            fn keep_all_classes(&mut self) {
                (self.emotions, self.mapping) = (None, None);
            }
        ] $($rest)*);
    };
    (@ $head:tt $name:ident $fields:tt $methods:tt shared on_bad_audio, $($rest:tt)*) => {
        $crate::corpora::shared::dataset!(
            @ $head $name $fields $methods
            shared on_bad_audio: "cannot be decoded or is too short",
            $($rest)*
        );
    };
    (@ $head:tt $name:ident [$($fields:tt)*] [$($methods:tt)*]
        shared on_bad_audio: $what:literal, $($rest:tt)*) => {
        $crate::corpora::shared::dataset!(@ $head $name [
            $($fields)*
            #[doc = concat!("What to do with a file that ", $what, ".")]
            #[serde(default)]
            pub on_bad_audio: $crate::OnBadAudio,
        ] [
            $($methods)*
            fn on_bad_audio(&self) -> $crate::OnBadAudio {
                self.on_bad_audio
            }
        ] $($rest)*);
    };
    (@ $head:tt $name:ident [$($fields:tt)*] [$($methods:tt)*] shared on_copies, $($rest:tt)*) => {
        $crate::corpora::shared::dataset!(@ $head $name [
            $($fields)*
            /// What to do with one recording under several names.
            #[serde(default)]
            pub on_copies: $crate::OnCopies,
        ] [
            $($methods)*
            fn on_copies(&self) -> $crate::OnCopies {
                self.on_copies
            }
        ] $($rest)*);
    };
    (@ $head:tt $name:ident $fields:tt $methods:tt shared people: of $kind:ident, $($rest:tt)*) => {
        $crate::corpora::shared::dataset!(
            @ $head $name $fields $methods
            shared people: concat!("`", stringify!($kind), "`, whatever\nthe dataset is called."),
            $($rest)*
        );
    };
    (@ $head:tt $name:ident [$($fields:tt)*] [$($methods:tt)*] shared people: $default:expr, $($rest:tt)*) => {
        $crate::corpora::shared::dataset!(@ $head $name [
            $($fields)*
            #[doc = concat!(
                "Name of the people whom its speakers' ids tell apart: datasets of the same people share their speakers and ",
                "groups, and\na split keeps all that one person says on one side. By default ",
                $default
            )]
            #[serde(default)]
            pub people: Option<String>,
        ] [
            $($methods)*
            fn named_people(&self) -> Option<&str> {
                self.people.as_deref()
            }
        ] $($rest)*);
    };
    (@ $head:tt $name:ident [$($fields:tt)*] [$($methods:tt)*] shared channel, $($rest:tt)*) => {
        $crate::corpora::shared::dataset!(@ $head $name [
            $($fields)*
            /// Which channel of each file is heard: `mix` (the mean of all), `left`, `right`, or a number from 0 on.
            #[serde(default)]
            pub channel: ::emorun_audio::Channel,
        ] [
            $($methods)*
            fn channel(&self) -> ::emorun_audio::Channel {
                self.channel
            }
        ] $($rest)*);
    };
    (@ $head:tt $name:ident [$($fields:tt)*] $methods:tt $(#[$meta:meta])* pub $field:ident: $type:ty, $($rest:tt)*) => {
        $crate::corpora::shared::dataset!(@ $head $name [
            $($fields)*
            $(#[$meta])*
            pub $field: $type,
        ] $methods $($rest)*);
    };
}
pub(crate) use dataset;
