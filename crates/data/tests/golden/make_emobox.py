"""Counts of EmoBox's metadata, by nothing but its own files.

    python make_emobox.py emobox.tar.xz REPOSITORY/data > emobox.json

The archive holds the folder `data` of the repository emo-box/EmoBox (MIT), without files of 4 MiB and more. Its lists do not
say who speaks; that is taken from the repository's tables `data.seg.wrd.stm`, which EmoBox's own scripts wrote.
"""

import collections
import json
import pathlib
import re
import sys
import tarfile

ARCHIVE, REPOSITORY = sys.argv[1], pathlib.Path(sys.argv[2])
# In these the table has the recording in place of its speaker (mer2023, resd), the voice type (mesd), or who wore the
# motion-capture markers (iemocap).
NO_SPEAKERS = {"mer2023", "resd", "mesd", "iemocap"}

with tarfile.open(ARCHIVE) as archive:
    files = {m.name.removeprefix("./"): archive.extractfile(m).read().decode() for m in archive if m.isfile()}


def rows(name):
    text = files.get(name)
    return None if text is None else [json.loads(line) for line in text.splitlines() if line.strip()]


def speakers(corpus):
    table = REPOSITORY / corpus / "data.seg.wrd.stm"
    if corpus in NO_SPEAKERS or not table.exists():
        return {}
    found = {}
    for line in table.read_text().splitlines():
        key, speaker = re.search(r"<id=(.*),lang=en,spk=(.*),emotion=", line).groups()
        # JL-Corpus has the whole path of the recording's start there.
        found[key] = speaker.rsplit("/", 1)[-1]
    return found


corpora = {}
for corpus in sorted({name.split("/")[1] for name in files if name.startswith("data/")} - {"track2"}):
    labels = json.loads(files.get(f"data/{corpus}/label_map.json", "{}"))
    labels.update({key.lower(): value for key, value in labels.items() if key.lower() not in labels})
    listed = rows(f"data/{corpus}/{corpus}.jsonl")
    spk = speakers(corpus)
    folds = {}
    for number in range(1, 10):
        sides = {side: rows(f"data/{corpus}/fold_{number}/{corpus}_{side}_fold_{number}.jsonl") for side in ("train", "valid", "test")}
        if not any(sides.values()):
            continue
        folds[number] = {side: None if own is None else len(own) for side, own in sides.items()}
        if spk and sides["train"] and sides["test"]:
            who = [{spk[row["key"]] for row in sides[side]} for side in ("train", "test")]
            folds[number]["speakers on both sides"] = len(who[0] & who[1])
    entry = {"recordings": None if listed is None else len(listed), "folds": folds}
    if listed is not None:
        entry["classes"] = dict(sorted(collections.Counter(labels.get(row["emo"], row["emo"]) for row in listed).items()))
        entry["seconds"] = round(sum(row["length"] for row in listed), 3)
        if spk:
            entry["recordings of each speaker"] = sorted(collections.Counter(spk[row["key"]] for row in listed).values())
    corpora[corpus] = entry

track2 = {}
for name in sorted(files):
    if name.startswith("data/track2/"):
        corpus = name.split("/")[-1].split("_")[0].lower()
        track2[corpus] = dict(sorted(collections.Counter(row["label"] for row in rows(name)).items()))

json.dump({"corpora": corpora, "track2": track2}, sys.stdout, ensure_ascii=False, separators=(",", ":"))
print()
