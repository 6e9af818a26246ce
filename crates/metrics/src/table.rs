//! Every metric. One more is one more row here, beside its formula.

use crate::agreement::mean_absolute_error;
use crate::calibration::ece;
use crate::classification::{accuracy, macro_f1, matthews, uar, weighted_f1};
use crate::metric::{Definition, Direction, Formula, Merge, Metric, Unit};
use crate::probabilities::{brier, log_loss};
use crate::ranking::{average_precision, roc_auc, top_k};
use crate::{Agreement, cohen_kappa};

/// Where no item has a known class, or number.
const NO_ITEMS: &str = "no item has the label";

/// Makes a constant of every row, documented by its definition, and the list of them all.
macro_rules! table {
    ($($constant:ident => { $($field:ident: $value:expr,)* })*) => {
        impl Metric {
            $(
                /// The metric of this name; see [`Metric::about`].
                pub const $constant: Self = Self(&Definition { $($field: $value,)* });
            )*

            /// Every metric, in the order in which they are listed.
            pub const ALL: &'static [Self] = &[$(Self::$constant,)*];
        }
    };
}

table! {
    UAR => {
        name: "uar",
        title: "UAR",
        about: "Unweighted average recall: the mean of the classes' recalls (scikit-learn's\n`balanced_accuracy_score`).",
        undefined: NO_ITEMS,
        direction: Direction::Higher,
        unit: Unit::Percent,
        formula: Formula::Counts(uar),
    }
    WA => {
        name: "wa",
        title: "WA",
        about: "Weighted accuracy: the share of items predicted rightly.",
        undefined: NO_ITEMS,
        direction: Direction::Higher,
        unit: Unit::Percent,
        formula: Formula::Counts(accuracy),
    }
    MACRO_F1 => {
        name: "macro_f1",
        title: "macro F1",
        about: "Mean of the classes' F1 scores.",
        undefined: NO_ITEMS,
        direction: Direction::Higher,
        unit: Unit::Percent,
        formula: Formula::Counts(macro_f1),
    }
    WEIGHTED_F1 => {
        name: "weighted_f1",
        title: "weighted F1",
        about: "Mean of the classes' F1 scores, each weighted by its number of items.",
        undefined: NO_ITEMS,
        direction: Direction::Higher,
        unit: Unit::Percent,
        formula: Formula::Counts(weighted_f1),
    }
    LOG_LOSS => {
        name: "log_loss",
        title: "log loss",
        about: "Mean of `−ln p` over the items, of the probability that their true class was given (scikit-learn's\n`log_loss`).",
        undefined: NO_ITEMS,
        direction: Direction::Lower,
        unit: Unit::Number,
        formula: Formula::Scores(log_loss, Merge::ItemMean),
    }
    MICRO_F1 => {
        name: "micro_f1",
        title: "micro F1",
        about: "F1 score of all decisions together, which is the share of items predicted rightly.",
        undefined: NO_ITEMS,
        direction: Direction::Higher,
        unit: Unit::Percent,
        formula: Formula::Counts(accuracy),
    }
    TOP_2_ACCURACY => {
        name: "top_2_accuracy",
        title: "top-2",
        about: "Share of items whose true class is among the two most probable.",
        undefined: NO_ITEMS,
        direction: Direction::Higher,
        unit: Unit::Percent,
        formula: Formula::Scores(top_k::<2>, Merge::ItemMean),
    }
    TOP_3_ACCURACY => {
        name: "top_3_accuracy",
        title: "top-3",
        about: "Share of items whose true class is among the three most probable.",
        undefined: NO_ITEMS,
        direction: Direction::Higher,
        unit: Unit::Percent,
        formula: Formula::Scores(top_k::<3>, Merge::ItemMean),
    }
    MCC => {
        name: "mcc",
        title: "MCC",
        about: "Matthews' correlation of true and predicted classes, from −1 to 1 (scikit-learn's\n`matthews_corrcoef`); 0 where one of them has a single class.",
        undefined: NO_ITEMS,
        direction: Direction::Higher,
        unit: Unit::Number,
        formula: Formula::Counts(matthews),
    }
    KAPPA => {
        name: "kappa",
        title: "kappa",
        about: "Cohen's κ of true and predicted classes: agreement beyond chance (scikit-learn's\n`cohen_kappa_score`).",
        undefined: "no item has the label, or truth and prediction have one and the same class alone: chance agrees always",
        direction: Direction::Higher,
        unit: Unit::Number,
        formula: Formula::Counts(cohen_kappa),
    }
    ROC_AUC => {
        name: "roc_auc",
        title: "ROC AUC",
        about: "Area under the ROC curve of each class against all others, mean over the classes (scikit-learn's\n`roc_auc_score`, `ovr`, `macro`).",
        undefined: "a class has no item, or every one: it has no curve",
        direction: Direction::Higher,
        unit: Unit::Number,
        formula: Formula::Scores(roc_auc, Merge::MemberMean),
    }
    AVERAGE_PRECISION => {
        name: "average_precision",
        title: "AP",
        about: "Average precision of each class against all others, mean over the classes (scikit-learn's\n`average_precision_score`, `macro`).",
        undefined: "a class has no item: it has no recall",
        direction: Direction::Higher,
        unit: Unit::Number,
        formula: Formula::Scores(average_precision, Merge::MemberMean),
    }
    BRIER => {
        name: "brier",
        title: "Brier",
        about: "Brier's score: mean over the items of the squared distances of all classes' probabilities from\nthe truth, summed, from 0 to 2 (scikit-learn's `brier_score_loss`, not halved).",
        undefined: NO_ITEMS,
        direction: Direction::Lower,
        unit: Unit::Number,
        formula: Formula::Scores(brier, Merge::ItemMean),
    }
    ECE => {
        name: "ece",
        title: "ECE",
        about: "Expected calibration error: how far accuracy and the probability of what was predicted are apart,\nover 15 bins of equal width of that probability (Guo et al. 2017).",
        undefined: NO_ITEMS,
        direction: Direction::Lower,
        unit: Unit::Percent,
        formula: Formula::Scores(ece, Merge::MemberMean),
    }
    CCC => {
        name: "ccc",
        title: "CCC",
        about: "Concordance correlation coefficient (Lin 1989), mean over the head's numbers, as all of these.",
        undefined: "there are less than two items, or neither true nor predicted numbers vary and they agree",
        direction: Direction::Higher,
        unit: Unit::Number,
        formula: Formula::Sums(Agreement::ccc),
    }
    PEARSON => {
        name: "pearson",
        title: "Pearson",
        about: "Pearson's correlation of true and predicted numbers.",
        undefined: "true or predicted numbers do not vary",
        direction: Direction::Higher,
        unit: Unit::Number,
        formula: Formula::Sums(Agreement::pearson),
    }
    MSE => {
        name: "mse",
        title: "MSE",
        about: "Mean squared error.",
        undefined: NO_ITEMS,
        direction: Direction::Lower,
        unit: Unit::Number,
        formula: Formula::Sums(Agreement::mse),
    }
    RMSE => {
        name: "rmse",
        title: "RMSE",
        about: "Root of the mean squared error.",
        undefined: NO_ITEMS,
        direction: Direction::Lower,
        unit: Unit::Number,
        formula: Formula::Sums(Agreement::rmse),
    }
    MAE => {
        name: "mae",
        title: "MAE",
        about: "Mean absolute error.",
        undefined: NO_ITEMS,
        direction: Direction::Lower,
        unit: Unit::Number,
        formula: Formula::Pairs(mean_absolute_error, Merge::ItemMean),
    }
    BIAS => {
        name: "bias",
        title: "bias",
        about: "Mean of predicted minus true numbers.",
        undefined: NO_ITEMS,
        direction: Direction::NearZero,
        unit: Unit::Number,
        formula: Formula::Sums(Agreement::bias),
    }
}
