"""What scikit-learn 1.9.1 says of texts by their words alone: CountVectorizer() and MultinomialNB() as they come.

python make_text_baseline.py writes text_baseline.json beside it.
"""

import json
import pathlib

from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

CASES = [
    (
        "three classes, repeated words, one class rare",
        [
            ("I am so happy today", 0),
            ("what a happy, happy day!", 0),
            ("leave me alone now", 1),
            ("I said: leave. Now!", 1),
            ("don't you leave", 1),
            ("the kids are talking by the door", 2),
        ],
        ["happy to leave", "now or never", "Kids TALKING kids", "", "I a ?", "unheard words only"],
    ),
    (
        "letters of other scripts, digits and underscores",
        [("Ärger über 42 Dinge", 0), ("größer als_das 7", 1), ("привет мир", 1), ("Ärger im Haus", 0)],
        ["ärger", "GRÖSSER größer als_das", "мир 42", "7"],
    ),
    (
        "the same sentences in every class",
        [("dogs are sitting by the door", c) for c in (0, 1, 2)] + [("kids are talking by the door", c) for c in (0, 1, 2)],
        ["dogs are sitting by the door", "door"],
    ),
]


def main():
    found = []
    for name, training, texts in CASES:
        vectorizer = CountVectorizer()
        counts = vectorizer.fit_transform([text for text, _ in training])
        model = MultinomialNB().fit(counts, [label for _, label in training])
        probabilities = model.predict_proba(vectorizer.transform(texts)).tolist()
        found.append({"name": name, "training": training, "texts": texts, "probabilities": probabilities})
    path = pathlib.Path(__file__).with_name("text_baseline.json")
    path.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
