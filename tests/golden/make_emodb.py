"""Writes emodb.tar.gz: an archive with EmoDB's 535 names and one frame of silence in each file.

The names are those of EmoBox's metadata (MIT, github.com/emo-box/EmoBox, data/emodb/emodb.jsonl):
python tests/golden/make_emodb.py PATH/TO/emodb.jsonl
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile
import wave
from pathlib import Path

lines = Path(sys.argv[1]).read_text().splitlines()
names = sorted(Path(json.loads(line)["wav"]).name for line in lines)
sound = io.BytesIO()
with wave.open(sound, "wb") as file:
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(16000)
    file.writeframes(b"\0\0")
archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w") as tar:
    for name in names:
        entry = tarfile.TarInfo(f"wav/{name}")
        entry.size = len(sound.getvalue())
        tar.addfile(entry, io.BytesIO(sound.getvalue()))
(Path(__file__).parent / "emodb.tar.gz").write_bytes(gzip.compress(archive.getvalue(), mtime=0))
print(len(names), hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest())
